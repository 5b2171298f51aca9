/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's console on this terminal.
 *
 * The terminal is raw while attached: every key goes to the guest, only the
 * escapes leave.  On each way out it gets its old mode back: the normal end,
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
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/escape.h"
#include "vmsh/fleet.h"
#include "vmsh/tty.h"

#define QUEUE_MAX (64 << 10)		/* bytes for the guest that have not left */
#define SILENCE_MS 1000
#define ANSWER_MS 10000

struct console {
	GMainContext *context;
	vmm_domain *dom;
	struct feed *feed;
	vmm_stream *stream;	/* the feed's */
	struct escape escape;
	GSource *input;		/* NULL: nothing is read */
	GSource *silence;	/* after the end of the input */
	gint64 answer_until_us;	/* likewise */
	bool sent;		/* something */
	bool read_only;
	bool done;
	bool left;		/* by the escape key or ^C, not by the guest */
	GError *error;
};

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

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	struct console *c = opaque;

	/* meanwhile the daemon waits with the rest */
	tty_write(STDOUT_FILENO, bit->data, bit->len);
	if (c->silence && g_get_monotonic_time() < c->answer_until_us)
		silence_restart(c);
	else if (c->silence)
		on_silence(c);
}

static void on_ended(const GError *error, void *opaque)
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
	char typed[4096], keys[2 * sizeof(typed)];
	size_t len;
	ssize_t n;
	bool left = false;

	if (vmm_stream_queued(c->stream) > QUEUE_MAX) {
		g_usleep(1000);
		return G_SOURCE_CONTINUE;
	}
	n = read(fd, typed, sizeof(typed));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		c->answer_until_us = g_get_monotonic_time() + ANSWER_MS * 1000;
		if (c->sent)
			silence_restart(c);
		return G_SOURCE_REMOVE;
	}
	c->sent = true;
	if (tty_is_raw())
		left = escape_filter(&c->escape, typed, (size_t)n, keys, &len);
	else
		memcpy(keys, typed, len = (size_t)n);
	if (len > 0 && !c->read_only && !vmm_stream_write(c->stream, keys, len, &c->error))
		c->done = true;
	if (left)
		c->done = c->left = true;
	return c->done ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

/* The guest's virtio console gets this terminal's size; a serial line has none. */
static void window_tell(struct console *c)
{
	struct winsize size;

	if (!c->read_only && tty_is_raw() && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0)
		vmm_domain_resize_console(c->dom, feed_device(c->feed), size.ws_col, size.ws_row,
					  NULL);
}

static int window_fd = -1;		/* eventfd: readable when the size has changed */
static struct sigaction window_before;

static void on_winch(int sig)
{
	int saved = errno;

	eventfd_write(window_fd, 1);
	errno = saved;
}

static gboolean on_window(int fd, GIOCondition condition, void *opaque)
{
	eventfd_t changes;

	eventfd_read(fd, &changes);
	window_tell(opaque);
	return G_SOURCE_CONTINUE;
}

static void window_watch(void)
{
	const struct sigaction action = { .sa_handler = on_winch, .sa_flags = SA_RESTART };

	window_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigaction(SIGWINCH, &action, &window_before);
}

static void window_unwatch(void)
{
	sigaction(SIGWINCH, &window_before, NULL);
	fd_close(&window_fd);
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
	g_autoptr(GSource) window = NULL;

	window_watch();
	window = g_unix_fd_source_new(window_fd, G_IO_IN);
	watch(c, interrupt, on_interrupt);
	watch(c, input, on_input);
	watch(c, window, on_window);
	window_tell(c);
	while (!c->done)
		g_main_context_iteration(c->context, TRUE);
	g_source_destroy(interrupt);
	g_source_destroy(input);
	g_source_destroy(window);
	window_unwatch();
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
	g_autofree char *escape = escape_text(&c->escape);

	vmm_domain_state(dom, &state, &reason, NULL);
	shell_say(sh, "Attached to '%s'%s; %s%s", name, c->read_only ? ", watching only" : "",
		  *escape ? escape : "nothing but its end", " leaves");
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

		why->message = g_strdup_printf("%s (--read-only, --take-over)", old);
	}
}

static bool console_open(struct console *c, const struct console_opts *opts, GError **error)
{
	static const struct feed_ops ops = { .bit = on_bit, .ended = on_ended };
	const struct feed_opts what = {
		.device = opts->device, .live = true, .journal = opts->journal,
		.since_us = opts->since_us, .boot = opts->boot,
		.flags = c->read_only ? VMM_CONSOLE_WATCH :
			 opts->flags & CONSOLE_FORCE ? VMM_CONSOLE_FORCE : 0,
	};

	c->feed = feed_open(c->dom, &what, c->context, &ops, c, error);
	c->stream = c->feed ? feed_stream(c->feed) : NULL;
	return c->feed != NULL;
}

bool console_run(struct shell *sh, vmm_domain *dom, const struct console_opts *opts,
		 GError **error)
{
	static const struct console_opts usual = { 0 };
	struct console c = { .dom = dom };
	bool ok;

	opts = opts ? opts : &usual;
	c.read_only = opts->flags & CONSOLE_READ_ONLY;
	if (!escape_parse(opts->escape ? opts->escape : ESCAPE_DEFAULT, &c.escape, error))
		return false;
	c.context = g_main_context_new();
	ok = console_open(&c, opts, error);
	if (!ok)
		advise(dom, error);
	ok = ok && attached(sh, &c, dom, error);
	feed_free(c.feed);
	g_clear_error(&c.error);
	g_main_context_unref(c.context);
	return ok;
}
