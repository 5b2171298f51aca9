/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many consoles at once. */
#include "config.h"
#include "vmsh/console-many.h"

#include <glib-unix.h>
#include <stdio.h>

#include "vmsh/fleet.h"
#include "vmsh/speech.h"

/* A prompt has no end: it is shown when nothing came behind it for so long. */
#define PROMPT_MS 400

struct many {
	struct shell *sh;
	GPtrArray *voices;
	unsigned width;		/* of the longest name */
	unsigned left;		/* guests that still speak */
	bool interrupted;
};

struct voice {
	struct many *many;
	const char *name;
	enum colour colour;
	struct feed *feed;
	struct speech *speech;
};

static void on_line(const struct speech_line *line, void *opaque)
{
	struct voice *v = opaque;
	g_autofree char *harmless = text_harmless(line->text);
	g_autofree char *prefix = g_strdup_printf("%-*s |", (int)v->many->width, v->name);
	g_autofree char *shown = text_coloured(prefix, v->colour, &v->many->sh->out);

	if (line->kind == SPEECH_LINE)
		printf("%s %s\n", shown, harmless);
	else if (line->kind == SPEECH_MISSED)
		printf("%s [%" G_GUINT64_FORMAT " bytes missed]\n", shown, line->bit->missed);
	fflush(stdout);
}

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	speech_add(((struct voice *)opaque)->speech, bit);
}

static void on_ended(const GError *error, void *opaque)
{
	struct voice *v = opaque;

	speech_flush(v->speech, G_MAXINT64);
	v->many->left--;
	if (error)
		shell_print_error(v->many->sh, error);
}

static gboolean on_prompt(void *opaque)
{
	struct many *m = opaque;

	for (guint i = 0; i < m->voices->len; i++)
		speech_flush(((struct voice *)m->voices->pdata[i])->speech,
			     g_get_real_time() - PROMPT_MS * 1000);
	return G_SOURCE_CONTINUE;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	((struct many *)opaque)->interrupted = true;
	return G_SOURCE_REMOVE;
}

static void voice_free(void *p)
{
	struct voice *v = p;

	feed_free(v->feed);
	speech_free(v->speech);
	g_free(v);
}

static const struct feed_ops ops = { .bit = on_bit, .ended = on_ended };

/* One that can't be heard does not silence the others. */
static void voice_add(struct many *m, const struct target *t, const struct feed_opts *opts,
		      GMainContext *context)
{
	static const enum colour colours[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED,
					       COLOUR_BOLD };
	struct voice *v = g_new0(struct voice, 1);
	g_autoptr(GError) error = NULL;

	*v = (struct voice){ .many = m, .name = vmm_domain_name(t->dom),
			     .colour = colours[m->voices->len % G_N_ELEMENTS(colours)] };
	v->speech = speech_new(on_line, v);
	g_ptr_array_add(m->voices, v);
	m->left++;
	v->feed = feed_open(t->dom, opts, context, &ops, v, &error);
	if (v->feed)
		return;
	m->left--;
	fleet_advise(t->dom, &error);
	shell_print_error(m->sh, error);
}

static void voices_add(struct many *m, const GPtrArray *targets, const struct feed_opts *opts,
		       GMainContext *context)
{
	for (guint i = 0; i < targets->len; i++) {
		const struct target *t = targets->pdata[i];

		m->width = MAX(m->width, t->dom ? text_width(vmm_domain_name(t->dom)) : 0);
	}
	for (guint i = 0; i < targets->len; i++) {
		const struct target *t = targets->pdata[i];

		if (t->dom)
			voice_add(m, t, opts, context);
		else
			shell_print_error(m->sh, t->error);
	}
}

bool console_many(struct shell *sh, const GPtrArray *targets, const struct feed_opts *opts,
		  GError **error)
{
	g_autoptr(GMainContext) context = g_main_context_new();
	g_autoptr(GSource) interrupt = g_unix_fd_source_new(sh->interrupt_fd, G_IO_IN);
	g_autoptr(GSource) prompt = g_timeout_source_new(PROMPT_MS);
	struct many m = { .sh = sh, .voices = g_ptr_array_new_with_free_func(voice_free) };
	bool any;

	g_source_set_callback(interrupt, G_SOURCE_FUNC(on_interrupt), &m, NULL);
	g_source_attach(interrupt, context);
	g_source_set_callback(prompt, on_prompt, &m, NULL);
	g_source_attach(prompt, context);
	voices_add(&m, targets, opts, context);
	any = m.left > 0;
	while (m.left > 0 && !m.interrupted)
		g_main_context_iteration(context, TRUE);
	g_source_destroy(interrupt);
	g_source_destroy(prompt);
	g_ptr_array_unref(m.voices);
	if (!any)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "none of these domains has a console to watch");
	return any;
}
