/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "watch": a command's output, again and again. */
#include "config.h"
#include "vmsh/watch.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmsh/exec.h"
#include "vmsh/fullscreen.h"
#include "vmsh/options.h"
#include "vmsh/output.h"
#include "vmsh/rc.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define INTERVAL_MS 2000
#define INTERVAL_MIN_MS 100

struct watching {
	struct shell *sh;
	const GPtrArray *words;
	char *line;		/* as it was typed */
	unsigned interval_ms;
};

static char *header(const struct watching *w)
{
	g_autoptr(GDateTime) now = g_date_time_new_now_local();
	g_autofree char *time = g_date_time_format(now, "%Y-%m-%d %H:%M:%S");
	g_autofree char *line = text_harmless(w->line);

	return g_strdup_printf("Every %g s: %s   %s   q: quit\n\n", w->interval_ms / 1000.0, line,
			       time);
}

/* What it prints, with its error at the end. */
static char *one_run(const struct watching *w, GError **error)
{
	g_autoptr(GError) why = NULL;
	g_autofree char *text = NULL, *head = header(w), *harmless = NULL;
	struct output o;

	if (!output_to_memory(&o, error))
		return NULL;
	shell_run_inner(w->sh, w->words, &why);
	text = output_end_text(&o);
	harmless = why ? text_harmless(why->message) : NULL;
	return g_strconcat(head, text, why ? "error: " : "", why ? harmless : "", NULL);
}

static bool watch_screen(const struct watching *w, uint64_t count, GError **error)
{
	int key = KEY_NONE;
	bool ok = true;

	for (uint64_t i = 0; ok && key != KEY_INTERRUPT && key != 'q' && (!count || i < count);
	     i++) {
		g_autofree char *text = NULL;

		shell_screen_update(w->sh);
		text = one_run(w, error);
		ok = text != NULL;
		if (ok)
			fullscreen_show(text);
		key = fullscreen_key(w->sh, w->interval_ms);
	}
	return ok;
}

/* Not a terminal: one after the other. */
static bool watch_lines(const struct watching *w, uint64_t count, GError **error)
{
	for (uint64_t i = 0; !count || i < count; i++) {
		if (i > 0 && !shell_sleep(w->sh, w->interval_ms))
			return true;
		if (!shell_run_inner(w->sh, w->words, error))
			return false;
		fflush(stdout);
	}
	return true;
}

static char *line_of(const GPtrArray *words)
{
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; i < words->len; i++)
		g_string_append_printf(s, "%s%s", i > 0 ? " " : "", words_text(words, i));
	return g_string_free(s, FALSE);
}

bool cmd_watch(struct shell *sh, struct command_args *args, GError **error)
{
	struct watching w = { .sh = sh, .words = args_words(args, "command") };
	uint64_t ms = args_ms(args, "interval", INTERVAL_MS), count = args_number(args, "count", 0);
	unsigned used;
	bool ok;

	if (!rc_is_alias(sh, words_text(w.words, 0)) && !command_find(w.words, &used, error))
		return false;
	sh->one_shot = false;	/* there is more to do after the command */
	w.interval_ms = (unsigned)CLAMP(ms, INTERVAL_MIN_MS, G_MAXINT);
	if (!fullscreen_begin(sh))
		return watch_lines(&w, count, error);
	w.line = line_of(w.words);
	ok = watch_screen(&w, count, error);
	fullscreen_end();
	g_free(w.line);
	return ok;
}

const struct option_def options_watch[] = {
	{ .name = "command", .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY, .complete = COMPLETE_LINE,
	  .value = "COMMAND", .help = "with its own options" },
	{ .name = "interval", .letter = 'n', .kind = OPT_TIME, .value = "TIME",
	  .help = "how often, as in 500ms or 10s; 2s if not given" },
	{ .name = "count", .kind = OPT_NUMBER, .value = "N", .help = "so many times, not forever" },
	{ 0 },
};
