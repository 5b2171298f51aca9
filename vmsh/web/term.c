/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal between a browser and a guest: the browser's side, and the thread. */
#include "config.h"
#include "vmsh/web/term.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/owner.h"
#include "vmsh/json.h"
#include "vmsh/web/said.h"
#include "vmsh/web/term-priv.h"

#define PIECE 16384			/* bytes of output in one message */
#define CELLS_MAX 1000

/* ---- to the browser: posted by the thread, sent by the main loop ---- */

struct message {
	struct term *t;
	GBytes *bytes;
	bool text;
};

static void message_send(void *arg)
{
	struct message *m = arg;
	SoupWebsocketConnection *socket = m->t->socket;

	if (socket && soup_websocket_connection_get_state(socket) == SOUP_WEBSOCKET_STATE_OPEN)
		soup_websocket_connection_send_message(
			socket, m->text ? SOUP_WEBSOCKET_DATA_TEXT : SOUP_WEBSOCKET_DATA_BINARY,
			m->bytes);
	g_bytes_unref(m->bytes);
	g_free(m);
}

static void message_post(struct term *t, const void *data, size_t bytes, bool text)
{
	struct message *m = g_new(struct message, 1);

	*m = (struct message){ t, g_bytes_new(data, bytes), text };
	owner_post(NULL, message_send, m);
}

static void json_post(struct term *t, struct json *j)
{
	g_autofree char *text = json_finish(j);

	message_post(t, text, strlen(text), true);
}

static struct json *json_about(const char *what)
{
	struct json *j = json_new_line();

	json_begin_object(j, NULL);
	json_string(j, "is", what);
	return j;
}

/* ---- what the guest's side calls ---- */

bool term_output(struct term *t, const void *data, size_t bytes)
{
	const uint8_t *p = data;

	while (bytes > 0) {
		size_t n = MIN(bytes, PIECE);
		bool closing;

		g_mutex_lock(&t->lock);
		while (!t->closing && t->unseen + n > TERM_WINDOW)
			g_cond_wait(&t->room, &t->lock);
		t->unseen += n;
		closing = t->closing;
		g_mutex_unlock(&t->lock);
		if (closing)
			return false;
		message_post(t, p, n, false);
		p += n;
		bytes -= n;
	}
	return true;
}

void term_opened(struct term *t, const char *mode, const char *why)
{
	struct json *j = json_about("open");

	json_string(j, "mode", mode);
	json_string(j, "why", why);
	json_end(j);
	json_post(t, j);
}

void term_wake_by(struct term *t, GMainContext *context, void (*fn)(void *arg), void *arg)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);

	t->context = context;
	t->wake = fn;
	t->wake_arg = arg;
	if (context)
		owner_post(context, fn, arg);
}

size_t term_input(struct term *t, void *ret, size_t max)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);
	size_t n = MIN(max, t->input->len);

	if (n == 0)
		return 0;	/* an empty array has no data to point to */
	memcpy(ret, t->input->data, n);
	g_byte_array_remove_range(t->input, 0, (guint)n);
	return n;
}

void term_left(struct term *t, size_t bytes)
{
	struct json *j = json_about("left");

	json_number(j, "bytes", bytes);
	json_end(j);
	g_mutex_lock(&t->lock);
	t->waiting -= MIN(bytes, t->waiting);
	g_mutex_unlock(&t->lock);
	json_post(t, j);
}

bool term_resized(struct term *t, unsigned *ret_columns, unsigned *ret_rows)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);
	bool resized = t->resized;

	t->resized = false;
	*ret_columns = t->columns;
	*ret_rows = t->rows;
	return resized;
}

bool term_closing(struct term *t)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);

	return t->closing;
}

/* ---- the thread ---- */

static void term_free(struct term *t)
{
	g_thread_join(t->thread);
	g_clear_object(&t->socket);
	g_byte_array_unref(t->input);
	g_mutex_clear(&t->lock);
	g_cond_clear(&t->room);
	fd_close(&t->stop_fd);
	g_free(t->uri);
	g_free(t->uuid);
	g_free(t);
}

/*
 * The thread has ended and the socket is closed: whichever comes last.  A socket that is let go
 * while it closes forgets what it was to send, the close itself too; libsoup closes it after some
 * seconds if the browser says nothing.
 */
static void term_settle(struct term *t)
{
	if (!t->over || t->socket)
		return;
	t->gone(t, t->opaque);
	term_free(t);
}

/* The thread's last word: behind all that it has posted. */
static void term_over(void *arg)
{
	struct term *t = arg;

	term_end(t, "the terminal has ended");
	t->over = true;
	term_settle(t);
}

static bool term_talk(struct term *t, int *ret_code, GError **error)
{
	g_autoptr(vmm_connect) conn = vmm_connect_open_interruptible(
		t->uri, t->opts.connect_flags, t->stop_fd, error);
	g_autoptr(vmm_domain) dom =
		conn ? vmm_domain_lookup_by_uuid(conn, t->uuid, error) : NULL;

	if (!dom)
		return false;
	if (t->opts.kind == TERM_CONSOLE)
		term_console_run(t, dom, error);
	else
		term_shell_run(t, dom, ret_code, error);
	return true;
}

static void *term_main(void *arg)
{
	struct term *t = arg;
	g_autoptr(GError) error = NULL;
	struct json *j = json_about("ended");
	int code = -1;

	term_talk(t, &code, &error);
	json_string(j, "why", error ? error->message : NULL);
	json_signed(j, "code", code);
	json_end(j);
	json_post(t, j);
	owner_post(NULL, term_over, t);
	return NULL;
}

/* ---- from the browser, on the main loop ---- */

/* The lock is held. */
static void term_wake(struct term *t)
{
	if (t->context)
		owner_post(t->context, t->wake, t->wake_arg);
}

static void term_close(struct term *t)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);

	if (t->closing)
		return;
	t->closing = true;
	eventfd_write(t->stop_fd, 1);
	g_cond_signal(&t->room);
	term_wake(t);
}

void term_end(struct term *t, const char *why)
{
	if (t->socket &&
	    soup_websocket_connection_get_state(t->socket) == SOUP_WEBSOCKET_STATE_OPEN)
		soup_websocket_connection_close(t->socket, SOUP_WEBSOCKET_CLOSE_NORMAL, why);
	term_close(t);
}

static void on_typed(struct term *t, const void *data, size_t bytes)
{
	bool much;

	g_mutex_lock(&t->lock);
	much = t->waiting + bytes > TERM_INPUT_MAX;
	if (!much) {
		g_byte_array_append(t->input, data, (guint)bytes);
		t->waiting += bytes;
		term_wake(t);
	}
	g_mutex_unlock(&t->lock);
	if (much)
		term_end(t, "it types more than has left");
}

static void on_seen(struct term *t, size_t bytes)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);

	t->unseen -= MIN(bytes, t->unseen);
	g_cond_signal(&t->room);
}

static void on_size(struct term *t, unsigned columns, unsigned rows)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&t->lock);

	t->columns = columns;
	t->rows = rows;
	t->resized = true;
	term_wake(t);
}

/* {"do": "seen", "bytes"}, {"do": "size", "columns", "rows"} */
static bool on_said(struct term *t, const struct said *words)
{
	if (g_strcmp0(words->what, "seen") == 0 && words->bytes >= 0) {
		on_seen(t, (size_t)words->bytes);
		return true;
	}
	if (g_strcmp0(words->what, "size") != 0 || words->columns < 1 || words->rows < 1)
		return false;
	on_size(t, (unsigned)MIN(words->columns, CELLS_MAX), (unsigned)MIN(words->rows, CELLS_MAX));
	return true;
}

static void on_message(SoupWebsocketConnection *socket, int type, GBytes *message, void *opaque)
{
	struct term *t = opaque;
	size_t n;
	const void *data = g_bytes_get_data(message, &n);
	g_auto(said) words = { 0 };

	if (type == SOUP_WEBSOCKET_DATA_BINARY) {
		on_typed(t, data, n);
		return;
	}
	if (!said_parse(data, n, &words) || !on_said(t, &words))
		term_end(t, "that is no word of a terminal");
}

static void on_closed(SoupWebsocketConnection *socket, void *opaque)
{
	struct term *t = opaque;

	g_signal_handlers_disconnect_by_data(socket, t);
	g_clear_object(&t->socket);
	term_close(t);
	term_settle(t);
}

struct term *term_new(SoupWebsocketConnection *socket, const struct term_opts *opts,
		      void (*gone)(struct term *t, void *opaque), void *opaque)
{
	struct term *t = g_new0(struct term, 1);

	t->opts = *opts;
	t->uri = g_strdup(opts->uri);
	t->uuid = g_strdup(opts->uuid);
	t->columns = CLAMP(opts->columns, 1, CELLS_MAX);
	t->rows = CLAMP(opts->rows, 1, CELLS_MAX);
	t->resized = true;
	t->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (t->stop_fd < 0)
		g_error("eventfd: %s", g_strerror(errno));
	t->gone = gone;
	t->opaque = opaque;
	t->input = g_byte_array_new();
	g_mutex_init(&t->lock);
	g_cond_init(&t->room);
	t->socket = g_object_ref(socket);
	g_signal_connect(socket, "message", G_CALLBACK(on_message), t);
	g_signal_connect(socket, "closed", G_CALLBACK(on_closed), t);
	t->thread = g_thread_new("web-term", term_main, t);
	return t;
}
