/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command in a guest on our own standard streams.  Input is read as the
 * guest takes it; output is written before more of it is let come.  Signals
 * that would end us are passed on, and the command's end is ours.
 */
#include "config.h"
#include "vmsh/agent-exec.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/tty.h"

#define PIECE 32768
#define LINES_MAX 16
#define LINE_BYTES 1024
#define SIGNALLED 128 /* added to a signal's number, as sh(1) does */

struct exec {
	struct agent *agent;
	int in, out, err; /* in -1: nothing is forwarded; err -1: nobody wants it */
	GSource *input;	  /* NULL: not waiting for input */
	bool ended;	  /* the input */
	/* With err -1: whoever listens to lines instead; NULL */
	agent_said *said;
	void *said_opaque;
	GString *line;
	unsigned lines;
};

static void input_go_on(struct exec *e);

static void take_lines(struct exec *e, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes && e->lines < LINES_MAX; i++) {
		if (data[i] != '\n') {
			if (e->line->len < LINE_BYTES)
				g_string_append_c(e->line, data[i]);
			continue;
		}
		e->lines++;
		e->said(e->line->str, e->said_opaque);
		g_string_truncate(e->line, 0);
	}
}

static bool on_output(struct agent *a, bool errors, const void *data, size_t bytes, void *opaque)
{
	struct exec *e = opaque;

	if (errors && e->err < 0) {
		if (e->said)
			take_lines(e, data, bytes);
		return true;
	}
	if (tty_write(errors ? e->err : e->out, data, bytes))
		return true;
	if (errno != EPIPE)
		agent_stop(a, g_error_new(VMM_ERROR, VMM_ERR_OPERATION_FAILED,
					  "write what the guest says: %s", g_strerror(errno)));
	return false;
}

static gboolean on_input(int fd, GIOCondition condition, void *opaque)
{
	struct exec *e = opaque;
	char data[PIECE];
	size_t most = MIN(agent_room(e->agent), sizeof(data));
	ssize_t n = most ? read(fd, data, most) : -1;

	if (n > 0)
		agent_input(e->agent, data, (size_t)n);
	if (n == 0 || (n < 0 && most && errno != EAGAIN && errno != EINTR)) {
		agent_input_end(e->agent);
		e->ended = true;
	}
	if (!e->ended && agent_room(e->agent))
		return G_SOURCE_CONTINUE;
	g_source_unref(g_steal_pointer(&e->input)); /* on_room() goes on */
	return G_SOURCE_REMOVE;
}

static void on_room(struct agent *a, void *opaque)
{
	input_go_on(opaque);
}

static void input_go_on(struct exec *e)
{
	if (e->ended || e->input || !agent_room(e->agent))
		return;
	if (e->in < 0) {
		agent_input_end(e->agent);
		e->ended = true;
		return;
	}
	e->input = g_unix_fd_source_new(e->in, G_IO_IN | G_IO_HUP | G_IO_ERR);
	g_source_set_callback(e->input, G_SOURCE_FUNC(on_input), e, NULL);
	g_source_attach(e->input, agent_context(e->agent));
}

static void put_window(struct json_object *o)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	agent_put_number(o, "rows", size.ws_row);
	agent_put_number(o, "columns", size.ws_col);
}

static gboolean on_window(void *opaque)
{
	struct exec *e = opaque;
	struct json_object *o = agent_request("resize");

	put_window(o);
	agent_control(e->agent, o);
	return G_SOURCE_CONTINUE;
}

static gboolean on_terminate(void *opaque)
{
	agent_signal(((struct exec *)opaque)->agent, SIGTERM);
	return G_SOURCE_CONTINUE;
}

static gboolean on_hangup(void *opaque)
{
	agent_signal(((struct exec *)opaque)->agent, SIGHUP);
	return G_SOURCE_CONTINUE;
}

static gboolean on_user1(void *opaque)
{
	agent_signal(((struct exec *)opaque)->agent, SIGUSR1);
	return G_SOURCE_CONTINUE;
}

static gboolean on_user2(void *opaque)
{
	agent_signal(((struct exec *)opaque)->agent, SIGUSR2);
	return G_SOURCE_CONTINUE;
}

static const struct {
	int signal;
	GSourceFunc fn;
} passed_on[] = {
	{ SIGTERM, on_terminate }, { SIGHUP, on_hangup },   { SIGUSR1, on_user1 },
	{ SIGUSR2, on_user2 },	   { SIGWINCH, on_window },
};

static void watch_signals(struct exec *e, GSource *sources[G_N_ELEMENTS(passed_on)], bool terminal)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(passed_on); i++) {
		sources[i] = NULL;
		if (passed_on[i].signal == SIGWINCH && !terminal)
			continue;
		sources[i] = g_unix_signal_source_new(passed_on[i].signal);
		g_source_set_callback(sources[i], passed_on[i].fn, e, NULL);
		g_source_attach(sources[i], agent_context(e->agent));
	}
}

static void unwatch(GSource *source)
{
	if (!source)
		return;
	g_source_destroy(source);
	g_source_unref(source);
}

bool agent_exec(struct agent *a, struct json_object *request, const struct agent_exec_opts *opts,
		int *ret_status, GError **error)
{
	static const struct agent_ops ops = { .output = on_output, .room = on_room };
	struct exec e = { .agent = a,
			  .in = opts->stdin_too ? STDIN_FILENO : -1,
			  .out = STDOUT_FILENO,
			  .err = STDERR_FILENO };
	GSource *sources[G_N_ELEMENTS(passed_on)];
	struct agent_end end;

	if (opts->terminal) {
		struct json_object *pty = json_object_new_object();
		put_window(pty);
		json_object_object_add(request, "pty", pty);
		if (opts->stdin_too && isatty(STDIN_FILENO))
			tty_raw();
	}
	watch_signals(&e, sources, opts->terminal);
	bool ok = agent_run(a, request, &ops, &e, &end, error);
	for (unsigned i = 0; i < G_N_ELEMENTS(passed_on); i++)
		unwatch(sources[i]);
	unwatch(e.input);
	tty_cooked();
	if (ok)
		*ret_status = end.signal ? SIGNALLED + end.signal : end.code;
	return ok;
}

/* What goes there is a file's: nothing of it is for the terminal. */
static bool transfer(struct exec *e, struct json_object *request, GError **error)
{
	static const struct agent_ops ops = { .output = on_output, .room = on_room };
	struct agent_end end;
	bool ok = agent_run(e->agent, request, &ops, e, &end, error);

	unwatch(e->input);
	if (ok && (end.signal == SIGINT || end.code == SIGNALLED + SIGINT))
		return error_set(error, VMM_ERR_ABORTED, "interrupted");
	if (ok && end.code != 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED, "the copy has broken off");
	return ok;
}

bool agent_send_file(struct agent *a, struct json_object *request, int fd, agent_said *said,
		     void *opaque, GError **error)
{
	struct exec e = { .agent = a, .in = fd, .out = STDOUT_FILENO, .err = -1, .said = said,
			  .said_opaque = opaque, .line = g_string_new(NULL) };
	bool ok = transfer(&e, request, error);

	g_string_free(e.line, TRUE);
	return ok;
}

bool agent_fetch_file(struct agent *a, struct json_object *request, int fd, GError **error)
{
	struct exec e = { .agent = a, .in = -1, .out = fd, .err = -1 };

	return transfer(&e, request, error);
}
