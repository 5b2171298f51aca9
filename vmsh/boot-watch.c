/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Waiting for a guest that boots.  The console is listened to by a thread with
 * a loop of its own, for who waits is in calls that may take seconds.
 */
#include "config.h"
#include "vmsh/boot-watch.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/agent.h"
#include "vmsh/feed.h"

#define REDRAW_MS 200
#define LINE_BYTES_MAX 512
#define FIRST_SHOWN_US (G_USEC_PER_SEC / 2) /* who is faster than that need not be watched */

struct boot_watch {
	struct shell *sh;
	vmm_domain *dom;
	bool show, drawn;
	gint64 begun_us;
	GMainContext *context;
	GMainLoop *loop;
	GThread *thread;
	GString *line;	/* the thread's: what is being said */
	char *last;	/* the thread's: the last whole one that is not empty */
};

static void line_end(struct boot_watch *w)
{
	g_autofree char *plain = text_harmless(w->line->str);

	g_string_truncate(w->line, 0);
	if (!*g_strstrip(plain))
		return;
	g_free(w->last);
	w->last = g_steal_pointer(&plain);
}

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	struct boot_watch *w = opaque;
	const char *data = bit->data;

	for (size_t i = 0; i < bit->len; i++) {
		if (data[i] == '\n' || w->line->len >= LINE_BYTES_MAX)
			line_end(w);
		else if (data[i] && data[i] != '\r')
			g_string_append_c(w->line, data[i]);
	}
}

static gboolean on_redraw(void *opaque)
{
	struct boot_watch *w = opaque;
	gint64 passed_us = g_get_monotonic_time() - w->begun_us;
	g_autofree char *text = NULL;

	if (passed_us < FIRST_SHOWN_US)
		return G_SOURCE_CONTINUE;
	text = g_strdup_printf("%s: waiting for its agent, %u s%s%s", vmm_domain_name(w->dom),
			       (unsigned)(passed_us / G_USEC_PER_SEC), w->last ? ": " : "",
			       w->last ? w->last : "");
	while (*text && text_width(text) >= w->sh->err.width)
		*g_utf8_find_prev_char(text, text + strlen(text)) = '\0';
	fprintf(stderr, "\r\033[K%s", text);
	fflush(stderr);
	w->drawn = true;
	return G_SOURCE_CONTINUE;
}

static void *watch_main(void *opaque)
{
	static const struct feed_ops ops = { .bit = on_bit };
	const struct feed_opts opts = { .flags = VMM_CONSOLE_WATCH, .live = true };
	struct boot_watch *w = opaque;
	g_autoptr(GSource) timer = g_timeout_source_new(REDRAW_MS);
	/* A guest without a console is waited for in silence. */
	g_autoptr(feed) heard = feed_open(w->dom, &opts, w->context, &ops, w, NULL);

	if (w->show && w->sh->err.width) {
		g_source_set_callback(timer, on_redraw, w, NULL);
		g_source_attach(timer, w->context);
	}
	g_main_loop_run(w->loop);
	g_source_destroy(timer);
	return NULL;
}

static gboolean on_stop(void *opaque)
{
	g_main_loop_quit(((struct boot_watch *)opaque)->loop);
	return G_SOURCE_REMOVE;
}

static void watch_begin(struct boot_watch *w)
{
	w->begun_us = g_get_monotonic_time();
	w->context = g_main_context_new();
	w->loop = g_main_loop_new(w->context, FALSE);
	w->line = g_string_new(NULL);
	w->thread = g_thread_new("boot-watch", watch_main, w);
}

/* What the guest said last; NULL: nothing. */
static char *watch_end(struct boot_watch *w)
{
	g_autoptr(GSource) stop = g_idle_source_new();

	/* A loop that does not run yet would forget a quit. */
	g_source_set_callback(stop, on_stop, w, NULL);
	g_source_attach(stop, w->context);
	g_thread_join(w->thread);
	if (w->drawn)
		fprintf(stderr, "\r\033[K");
	line_end(w); /* a prompt has no end */
	g_string_free(w->line, TRUE);
	g_main_loop_unref(w->loop);
	g_main_context_unref(w->context);
	return w->last;
}

struct agent *boot_watch_agent(struct shell *sh, vmm_domain *dom, uint64_t timeout_ms, bool show,
			       GError **error)
{
	struct boot_watch w = { .sh = sh, .dom = dom, .show = show };
	g_autofree char *said = NULL;
	g_autoptr(GError) why = NULL;
	struct agent *a;

	watch_begin(&w);
	a = agent_open(sh, dom, (unsigned)MIN(timeout_ms, G_MAXINT), &why);
	said = watch_end(&w);
	if (a)
		return a;
	g_propagate_error(error, g_steal_pointer(&why));
	if (said && !g_error_matches(*error, VMM_ERROR, VMM_ERR_ABORTED)) {
		g_autofree char *text = g_steal_pointer(&(*error)->message);

		(*error)->message = g_strdup_printf("%s; last the guest said: %s", text, said);
	}
	return NULL;
}

bool boot_watch_ready(struct shell *sh, vmm_domain *dom, uint64_t timeout_ms, bool show,
		      GError **error)
{
	g_autoptr(agent) a = boot_watch_agent(sh, dom, timeout_ms, show, error);

	return a != NULL;
}
