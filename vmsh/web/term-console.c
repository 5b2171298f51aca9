/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal's guest's side: a serial or virtio console. */
#include "config.h"
#include "vmsh/web/term-priv.h"

#include <string.h>

#include "vmsh/feed.h"

#define PIECE 4096
#define QUEUE_MAX (32u << 10)		/* bytes for the guest that have not left */
#define QUEUE_LOOK_MS 20

struct side {
	struct term *t;
	vmm_domain *dom;
	GMainContext *context;
	struct feed *feed;
	GSource *later;			/* looks whether the queue has become shorter */
	bool watches, done;
	GError *error;
};

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	struct side *s = opaque;

	if (!term_output(s->t, bit->data, bit->len))
		s->done = true;
}

static void on_ended(const GError *error, void *opaque)
{
	struct side *s = opaque;

	s->done = true;
	if (error)
		s->error = g_error_copy(error);
}

static void pump(struct side *s);

static gboolean on_later(void *opaque)
{
	struct side *s = opaque;

	g_source_unref(g_steal_pointer(&s->later));
	pump(s);
	return G_SOURCE_REMOVE;
}

/* What was typed goes on as the guest takes it. */
static void pump(struct side *s)
{
	vmm_stream *stream = feed_stream(s->feed);
	char typed[PIECE];
	size_t n = 0;

	while (vmm_stream_queued(stream) < QUEUE_MAX &&
	       (n = term_input(s->t, typed, sizeof(typed))) > 0) {
		if (!s->watches && !vmm_stream_write(stream, typed, n, NULL))
			return;		/* on_ended() says why */
		term_left(s->t, n);
	}
	if (vmm_stream_queued(stream) < QUEUE_MAX || s->later)
		return;
	s->later = g_timeout_source_new(QUEUE_LOOK_MS);
	g_source_set_callback(s->later, on_later, s, NULL);
	g_source_attach(s->later, s->context);
}

static void on_wake(void *arg)
{
	struct side *s = arg;
	unsigned columns, rows;

	if (term_closing(s->t)) {
		s->done = true;
		return;
	}
	/* A serial line has no size: then it fails, and nothing is lost. */
	if (term_resized(s->t, &columns, &rows) && !s->watches)
		vmm_domain_resize_console(s->dom, feed_device(s->feed), columns, rows, NULL);
	pump(s);
}

static bool try_open(struct side *s, unsigned flags, GError **error)
{
	static const struct feed_ops ops = { .bit = on_bit, .ended = on_ended };
	const struct feed_opts opts = { .live = true, .flags = flags };

	s->watches = flags & VMM_CONSOLE_WATCH;
	s->feed = feed_open(s->dom, &opts, s->context, &ops, s, error);
	return s->feed != NULL;
}

/* Another has the keyboard, and this one did not ask to take it: then it watches. */
static bool side_open(struct side *s, GError **error)
{
	g_autoptr(GError) why = NULL;
	unsigned flags = s->t->opts.mode == TERM_TAKE_OVER ? VMM_CONSOLE_FORCE :
			 s->t->opts.mode == TERM_WATCH	   ? VMM_CONSOLE_WATCH :
							     0;

	if (try_open(s, flags, &why)) {
		term_opened(s->t, s->watches ? "watch" : "write", NULL);
		return true;
	}
	if (flags || !strstr(why->message, "in use")) {
		g_propagate_error(error, g_steal_pointer(&why));
		return false;
	}
	if (!try_open(s, VMM_CONSOLE_WATCH, error))
		return false;
	term_opened(s->t, "watch", why->message);
	return true;
}

void term_console_run(struct term *t, vmm_domain *dom, GError **error)
{
	struct side s = { .t = t, .dom = dom, .context = g_main_context_new() };

	if (side_open(&s, error)) {
		term_wake_by(t, s.context, on_wake, &s);
		while (!s.done)
			g_main_context_iteration(s.context, TRUE);
		term_wake_by(t, NULL, NULL, NULL);
	}
	if (s.later) {
		g_source_destroy(s.later);
		g_source_unref(s.later);
	}
	feed_free(s.feed);
	if (s.error)
		g_propagate_error(error, s.error);
	g_main_context_unref(s.context);
}
