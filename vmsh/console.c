/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's console on this terminal.
 *
 * The terminal is raw while attached: every key goes to the guest, only
 * Ctrl-] leaves.  On each way out it gets its old mode back: the normal end,
 * an error, and the signals that end a process, whose handler only calls
 * tcsetattr() and raises the signal again.
 *
 * When the standard input is no terminal, its end does not cut the answer
 * off: we leave when the guest has been silent for a second, or after ten.
 * An input that was empty from the start is no conversation at all: then we
 * stay until the guest is gone, as a log does.
 */
#include "config.h"
#include "vmsh/console.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "vmsh/fleet.h"

#define ESCAPE_KEY 0x1d			/* Ctrl-] */
#define QUEUE_MAX (64 << 10)		/* bytes for the guest that have not left */
#define SILENCE_MS 1000
#define ANSWER_MS 10000

static struct termios tty_before, tty_attached;
static volatile sig_atomic_t tty_is_raw;
static const int fatal_signals[] = { SIGTERM, SIGHUP, SIGQUIT };

static void tty_restore(void)
{
	if (tty_is_raw)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &tty_before);
	tty_is_raw = 0;
}

static void on_fatal(int sig)
{
	tty_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_cont(int sig)
{
	if (tty_is_raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &tty_attached);
}

static struct sigaction cont_before;

static void tty_raw(void)
{
	struct sigaction action = { .sa_handler = on_fatal };
	struct sigaction cont = { .sa_handler = on_cont, .sa_flags = SA_RESTART };

	if (tcgetattr(STDIN_FILENO, &tty_before) < 0)
		return;
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		sigaction(fatal_signals[i], &action, NULL);
	sigaction(SIGCONT, &cont, &cont_before);
	tty_attached = tty_before;
	cfmakeraw(&tty_attached);
	tty_is_raw = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &tty_attached);
}

static void tty_cooked(void)
{
	if (!tty_is_raw)
		return;
	tty_restore();
	sigaction(SIGCONT, &cont_before, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		signal(fatal_signals[i], SIG_DFL);
}

struct console {
	GMainContext *context;
	vmm_stream *stream;
	GSource *input;		/* NULL: nothing is read */
	GSource *silence;	/* after the end of the input */
	gint64 answer_until_us;	/* likewise */
	bool sent;		/* something */
	bool read_only;
	bool done;
	bool left;		/* by the escape key or ^C, not by the guest */
	GError *error;
};

/* All of it, however slow the terminal: meanwhile the daemon waits with the rest. */
static void write_all(const char *data, size_t bytes)
{
	while (bytes > 0) {
		ssize_t n = write(STDOUT_FILENO, data, bytes);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return;
		if (n > 0) {
			data += n;
			bytes -= n;
		}
	}
}

static gboolean on_silence(void *opaque)
{
	struct console *c = opaque;

	c->done = c->left = true;
	return G_SOURCE_REMOVE;
}

static void silence_restart(struct console *c)
{
	if (c->silence) {
		g_source_destroy(c->silence);
		g_source_unref(c->silence);
	}
	c->silence = g_timeout_source_new(SILENCE_MS);
	g_source_set_callback(c->silence, on_silence, c, NULL);
	g_source_attach(c->silence, c->context);
}

static void on_data(vmm_stream *stream, const void *data, size_t bytes, void *opaque)
{
	struct console *c = opaque;

	write_all(data, bytes);
	if (c->silence && g_get_monotonic_time() < c->answer_until_us)
		silence_restart(c);
	else if (c->silence)
		on_silence(c);
}

static void on_closed(vmm_stream *stream, const GError *error, void *opaque)
{
	struct console *c = opaque;

	c->done = true;
	if (error)
		c->error = g_error_copy(error);
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	struct console *c = opaque;

	c->done = c->left = true;
	return G_SOURCE_REMOVE;
}

static gboolean on_input(int fd, GIOCondition condition, void *opaque)
{
	struct console *c = opaque;
	char keys[4096];
	const char *escape;
	ssize_t n;

	if (vmm_stream_queued(c->stream) > QUEUE_MAX) {
		g_usleep(1000);
		return G_SOURCE_CONTINUE;
	}
	n = read(fd, keys, sizeof(keys));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		c->answer_until_us = g_get_monotonic_time() + ANSWER_MS * 1000;
		if (c->sent)
			silence_restart(c);
		return G_SOURCE_REMOVE;
	}
	c->sent = true;
	escape = tty_is_raw ? memchr(keys, ESCAPE_KEY, n) : NULL;
	if (escape)
		n = escape - keys;
	if (n > 0 && !c->read_only && !vmm_stream_write(c->stream, keys, n, &c->error))
		c->done = true;
	if (escape)
		c->done = c->left = true;
	return c->done ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static void watch(struct console *c, GSource *source, GUnixFDSourceFunc fn)
{
	g_source_set_callback(source, G_SOURCE_FUNC(fn), c, NULL);
	g_source_attach(source, c->context);
}

static void loop(struct shell *sh, struct console *c)
{
	g_autoptr(GSource) interrupt = g_unix_fd_source_new(sh->interrupt_fd, G_IO_IN);
	g_autoptr(GSource) input = g_unix_fd_source_new(STDIN_FILENO, G_IO_IN | G_IO_HUP);

	watch(c, interrupt, on_interrupt);
	watch(c, input, on_input);
	while (!c->done)
		g_main_context_iteration(c->context, TRUE);
	g_source_destroy(interrupt);
	g_source_destroy(input);
	if (!c->silence)
		return;
	g_source_destroy(c->silence);
	g_source_unref(c->silence);
}

static void farewell(struct shell *sh, struct console *c, const char *name)
{
	if (!isatty(STDOUT_FILENO))
		return;
	printf("\n");
	if (c->left)
		shell_say(sh, "Detached from '%s'; it goes on. Attach again with: vmsh console %s",
			  name, name);
	else if (!c->error)
		shell_say(sh, "The console of '%s' has ended", name);
}

static void greet(struct shell *sh, const struct console *c, vmm_domain *dom)
{
	const char *name = vmm_domain_name(dom);
	int state = VMM_STATE_NONE, reason;

	vmm_domain_state(dom, &state, &reason, NULL);
	shell_say(sh, "Attached to '%s'%s; Ctrl-] leaves", name,
		  c->read_only ? ", watching only" : "");
	if (state == VMM_STATE_PAUSED)
		shell_say(sh, "It is paused and reads nothing until: vmsh resume %s", name);
}

static bool attached(struct shell *sh, struct console *c, vmm_domain *dom, GError **error)
{
	const char *name = vmm_domain_name(dom);

	if (isatty(STDIN_FILENO)) {
		greet(sh, c, dom);
		fflush(stdout);
		tty_raw();
	}
	loop(sh, c);
	if (!c->error)
		vmm_stream_finish(c->stream, NULL);
	tty_cooked();
	farewell(sh, c, name);
	if (!c->error)
		return true;
	g_propagate_prefixed_error(error, g_steal_pointer(&c->error), "console of '%s': ", name);
	return false;
}

static void advise(vmm_domain *dom, GError **error)
{
	GError *why;

	fleet_advise(dom, error);
	why = error ? *error : NULL;
	if (why && strstr(why->message, "in use")) {
		g_autofree char *old = g_steal_pointer(&why->message);

		why->message = g_strdup_printf("%s (--read-only, --force)", old);
	}
}

bool console_run(struct shell *sh, vmm_domain *dom, const char *device, unsigned flags,
		 GError **error)
{
	static const struct vmm_stream_ops ops = { .data = on_data, .closed = on_closed };
	struct console c = { .read_only = flags & CONSOLE_READ_ONLY };
	unsigned open_flags = (flags & CONSOLE_FORCE ? VMM_CONSOLE_FORCE : 0) |
			      (flags & CONSOLE_SAFE ? VMM_CONSOLE_SAFE : 0) |
			      (flags & CONSOLE_READ_ONLY ? VMM_CONSOLE_WATCH : 0);
	bool ok;

	c.context = g_main_context_new();
	c.stream = vmm_domain_open_console(dom, device, open_flags, c.context, &ops, &c, error);
	ok = c.stream && attached(sh, &c, dom, error);
	if (!c.stream)
		advise(dom, error);
	vmm_stream_free(c.stream);
	g_clear_error(&c.error);
	g_main_context_unref(c.context);
	return ok;
}
