/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A SOCKS 5 door on this host into a guest's network: one conversation with
 * the guest's agent, a channel of it ("connect") for each client.
 *
 * Neither side may make us keep what the other does not take.  To the guest: a
 * client is read as far as its channel has credit.  To the client: credit is
 * given when it has taken what came, so at most a window of it waits here.
 */
#include "config.h"
#include "vmsh/socks-door.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "images/agent/object.h"
#include "images/agent/wire.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/socks.h"

#define CLIENTS_MAX 200
#define HELLO_MS 30000
#define GREET_MS 30000	/* for a client to say what it wants */

struct door {
	struct shell *sh;
	GMainContext *context;
	vmm_stream *stream;
	struct wire_reader in;
	bool greeted, ended;
	int listener;
	GSource *accepts;
	GHashTable *clients;		/* by channel */
	uint32_t last;
	GError *error;
};

struct client {
	struct door *door;
	uint32_t channel;
	int fd;
	GSource *in, *out, *late;
	struct socks socks;
	bool asked, open;		/* the agent: for a connection; it is there */
	bool input_ended, output_ended, over;	/* over: hang up when all is written */
	uint32_t room;
	struct bytes waiting;		/* for the client */
};

/* ---- frames ---- */

static void send_frame(struct door *d, uint8_t type, uint32_t channel, const void *data, size_t n)
{
	struct bytes out = { 0 };

	wire_put(&out, type, channel, data, (uint32_t)n);
	if (!d->ended)
		vmm_stream_write(d->stream, out.data + out.start, bytes_count(&out), NULL);
	bytes_clear(&out);
}

static void send_json(struct door *d, uint8_t type, uint32_t channel, struct json_object *o)
{
	size_t n;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &n);

	send_frame(d, type, channel, text, n);
	json_object_put(o);
}

static void door_stop(struct door *d, const char *text)
{
	d->ended = true;
	if (!d->error)
		error_set(&d->error, VMM_ERR_AGENT, "the guest's agent %s", text);
}

/* ---- a client ---- */

static void source_end(GSource **source)
{
	if (!*source)
		return;
	g_source_destroy(*source);
	g_source_unref(g_steal_pointer(source));
}

static void client_free(void *opaque)
{
	struct client *c = opaque;

	source_end(&c->in);
	source_end(&c->out);
	source_end(&c->late);
	fd_close(&c->fd);
	bytes_clear(&c->waiting);
	g_free(c);
}

/* Out of the table; a connection in the guest that is still there is ended. */
static void client_drop(struct client *c)
{
	struct json_object *o;

	if (c->asked && !c->over) {
		o = json_object_new_object();
		object_put_text(o, "do", "kill");
		object_put_number(o, "signal", 9);
		send_json(c->door, AGENT_CONTROL, c->channel, o);
	}
	g_hash_table_remove(c->door->clients, GUINT_TO_POINTER(c->channel));
}

static void source_begin(struct client *c, GSource **source, GIOCondition condition,
			 GUnixFDSourceFunc fn)
{
	if (*source)
		return;
	*source = g_unix_fd_source_new(c->fd, condition);
	g_source_set_callback(*source, G_SOURCE_FUNC(fn), c, NULL);
	g_source_attach(*source, c->door->context);
}

static void give_credit(struct client *c, size_t n)
{
	uint8_t bytes[4];

	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(n >> 8 * i);
	if (n && c->open && !c->over)
		send_frame(c->door, AGENT_CREDIT, c->channel, bytes, sizeof(bytes));
}

static gboolean on_writable(int fd, GIOCondition condition, void *opaque);

/* false: the client has gone, and is freed. */
static bool client_flush(struct client *c)
{
	while (bytes_count(&c->waiting)) {
		ssize_t n = send(c->fd, c->waiting.data + c->waiting.start,
				 bytes_count(&c->waiting), MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			source_begin(c, &c->out, G_IO_OUT, on_writable);
			return true;
		}
		if (n < 0) {
			client_drop(c);
			return false;
		}
		bytes_drop(&c->waiting, (size_t)n);
		give_credit(c, (size_t)n);
	}
	if (c->output_ended)
		shutdown(c->fd, SHUT_WR);
	if (c->over) {
		client_drop(c);
		return false;
	}
	return true;
}

static gboolean on_writable(int fd, GIOCondition condition, void *opaque)
{
	struct client *c = opaque;

	g_source_unref(g_steal_pointer(&c->out));
	client_flush(c);
	return G_SOURCE_REMOVE;
}

static void client_wants(struct client *c)
{
	struct json_object *o = json_object_new_object();

	object_put_text(o, "do", "connect");
	object_put_text(o, "host", c->socks.host);
	object_put_number(o, "port", c->socks.port);
	source_end(&c->late);
	c->asked = true;
	send_json(c->door, AGENT_REQUEST, c->channel, o);
}

static void client_answer(struct client *c, enum socks_code code)
{
	uint8_t out[SOCKS_OUT_MAX];

	bytes_add(&c->waiting, out, socks_reply(out, code));
}

/* A piece at a time: what follows the request waits in the socket. */
static bool client_greet(struct client *c, const uint8_t *data, size_t n, bool *ret_more)
{
	uint8_t out[SOCKS_OUT_MAX];
	size_t used, answer;
	enum socks_result r = socks_take(&c->socks, data, n, &used, out, &answer);

	bytes_add(&c->waiting, out, answer);
	*ret_more = r == SOCKS_MORE;
	if (r == SOCKS_WANTS)
		client_wants(c);
	else if (r == SOCKS_NO)
		c->over = true;
	return client_flush(c);
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct client *c = opaque;
	uint8_t data[32768];
	size_t most = c->open ? MIN(c->room, sizeof(data)) : 1;
	ssize_t n = most ? read(fd, data, most) : -1;
	bool more = true;

	if (n < 0 && most && errno != EAGAIN && errno != EINTR) {
		client_drop(c);
		return G_SOURCE_REMOVE;
	}
	if (n == 0 && !c->open) {
		client_drop(c);
		return G_SOURCE_REMOVE;
	}
	if (n == 0) {
		c->input_ended = true;
		send_frame(c->door, AGENT_END, c->channel, NULL, 0);
	} else if (n > 0 && c->open) {
		c->room -= (uint32_t)n;
		send_frame(c->door, AGENT_INPUT, c->channel, data, (size_t)n);
	} else if (n > 0 && !client_greet(c, data, (size_t)n, &more)) {
		return G_SOURCE_REMOVE;
	}
	if (more && !c->input_ended && (!c->open || c->room))
		return G_SOURCE_CONTINUE;
	source_end(&c->in);	/* until there is room again */
	return G_SOURCE_REMOVE;
}

static void client_read_on(struct client *c)
{
	if (c->open && !c->input_ended && !c->over && c->room)
		source_begin(c, &c->in, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable);
}

static gboolean on_client_late(void *opaque)
{
	client_drop(opaque);
	return G_SOURCE_REMOVE;
}

static gboolean on_client(int fd, GIOCondition condition, void *opaque)
{
	struct door *d = opaque;
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *c;

	if (client < 0)
		return G_SOURCE_CONTINUE;
	if (g_hash_table_size(d->clients) >= CLIENTS_MAX) {
		close(client);
		return G_SOURCE_CONTINUE;
	}
	do
		d->last++;
	while (!d->last || g_hash_table_contains(d->clients, GUINT_TO_POINTER(d->last)));
	c = g_new0(struct client, 1);
	*c = (struct client){ .door = d, .channel = d->last, .fd = client, .room = AGENT_WINDOW };
	g_hash_table_insert(d->clients, GUINT_TO_POINTER(c->channel), c);
	c->late = g_timeout_source_new(GREET_MS);
	g_source_set_callback(c->late, on_client_late, c, NULL);
	g_source_attach(c->late, d->context);
	source_begin(c, &c->in, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable);
	return G_SOURCE_CONTINUE;
}

/* ---- what the agent says ---- */

static void on_failed(struct client *c, const struct frame *f)
{
	struct json_object *o = object_read(f->data, f->n);
	bool bad = false;
	int64_t error = o ? object_number(o, "errno", 0, 0, 4095, &bad) : 0;

	json_object_put(o);
	if (!c->open)
		client_answer(c, socks_code_of((int)error));
	c->over = true;
	client_flush(c);
}

static void on_output(struct client *c, const struct frame *f)
{
	if (!c->open || c->output_ended || bytes_count(&c->waiting) + f->n > 2 * AGENT_WINDOW) {
		door_stop(c->door, "sends more than it may");
		return;
	}
	bytes_add(&c->waiting, f->data, f->n);
	client_flush(c);
}

static void on_client_frame(struct client *c, const struct frame *f)
{
	switch (f->type) {
	case AGENT_REPLY:
		if (c->open)
			break;
		client_answer(c, SOCKS_DONE);
		c->open = true;
		if (client_flush(c))
			client_read_on(c);
		break;
	case AGENT_OUTPUT:
		on_output(c, f);
		break;
	case AGENT_CREDIT:
		c->room = MIN(AGENT_WINDOW, c->room +
			  MIN(f->n == 4 ? wire_u32(f->data) : 0, AGENT_WINDOW));
		client_read_on(c);
		break;
	case AGENT_CLOSED:
		c->output_ended = true;
		client_flush(c);
		break;
	case AGENT_EXIT:
		c->output_ended = c->over = true;
		client_flush(c);
		break;
	case AGENT_FAILED:
		on_failed(c, f);
		break;
	default:
		break;
	}
}

static void on_frame(struct door *d, const struct frame *f)
{
	struct client *c = g_hash_table_lookup(d->clients, GUINT_TO_POINTER(f->channel));

	if (f->type == AGENT_HELLO)
		d->greeted = true;
	else if (d->greeted && c && c->asked && !c->over)
		on_client_frame(c, f);
}

static void parse(struct door *d)
{
	enum wire_result r = WIRE_MORE;
	struct frame f;

	while (!d->ended && (r = wire_read(&d->in, &f)) == WIRE_FRAME)
		on_frame(d, &f);
	if (r == WIRE_BROKEN)
		door_stop(d, "does not speak its protocol");
}

static void on_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	struct door *d = opaque;

	bytes_add(&d->in.unread, data, bytes);
	parse(d);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct door *d = opaque;

	door_stop(d, "has gone");
}

/* ---- the door ---- */

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	struct door *d = opaque;

	d->ended = true;
	return G_SOURCE_CONTINUE;
}

static gboolean on_late(void *opaque)
{
	struct door *d = opaque;

	if (!d->greeted)
		door_stop(d, "does not answer: it is not there, or not yet");
	return G_SOURCE_REMOVE;
}

static void say_hello(struct door *d)
{
	g_autofree uint8_t *zeroes = g_malloc0(AGENT_FLUSH);
	struct json_object *o = json_object_new_object();

	vmm_stream_write(d->stream, zeroes, AGENT_FLUSH, NULL);
	object_put_number(o, "version", AGENT_PROTOCOL_VERSION);
	send_json(d, AGENT_HELLO, 0, o);
}

static void iterate(struct door *d)
{
	GSource *interrupt = g_unix_fd_source_new(d->sh->interrupt_fd, G_IO_IN);
	GSource *late = g_timeout_source_new(HELLO_MS);

	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), d, NULL);
	g_source_attach(interrupt, d->context);
	g_source_set_callback(late, on_late, d, NULL);
	g_source_attach(late, d->context);
	d->accepts = g_unix_fd_source_new(d->listener, G_IO_IN);
	g_source_set_callback(d->accepts, G_SOURCE_FUNC(on_client), d, NULL);
	g_source_attach(d->accepts, d->context);
	while (!d->ended)
		g_main_context_iteration(d->context, TRUE);
	source_end(&interrupt);
	source_end(&late);
	source_end(&d->accepts);
}

bool socks_door(struct shell *sh, vmm_domain *dom, int listener, GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	struct door d = { .sh = sh, .listener = listener, .in = { .lost = true } };

	d.context = g_main_context_new();
	d.clients = g_hash_table_new_full(NULL, NULL, NULL, client_free);
	d.stream = vmm_domain_open_agent(dom, d.context, &ops, &d, &d.error);
	if (d.stream) {
		say_hello(&d);
		iterate(&d);
	}
	d.ended = true;
	g_hash_table_destroy(d.clients);
	if (d.stream)
		vmm_stream_free(d.stream);
	bytes_clear(&d.in.unread);
	g_main_context_unref(d.context);
	close(listener);
	if (!d.error)
		return true;
	g_propagate_error(error, d.error);
	return false;
}
