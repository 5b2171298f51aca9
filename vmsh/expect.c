/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Conversations with a console. */
#include "config.h"
#include "vmsh/expect.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>

#include "libvmm/util/nearest.h"
#include "vmsh/fleet.h"
#include "vmsh/feed.h"
#include "vmsh/match.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"

#define FAILS_MAX 16

enum verb { EXPECT, SEND, SENDLINE, TIMEOUT, PAUSE, FAIL, PRINT, N_VERBS };

static const char *const verbs[] = { "expect", "send", "sendline", "timeout", "pause", "fail",
				     "print" };
G_STATIC_ASSERT(G_N_ELEMENTS(verbs) == N_VERBS);

struct step {
	unsigned line;
	enum verb verb;
	char *text;		/* as written; of SEND, SENDLINE, PRINT: what it means */
	size_t len;
	GRegex *regex;
	uint64_t ms;
};

struct expect_script {
	char *name;
	GPtrArray *steps;
};

/* ---- reading a script ---- */

static void step_free(void *p)
{
	struct step *step = p;

	g_free(step->text);
	if (step->regex)
		g_regex_unref(step->regex);
	g_free(step);
}

/* In place: never longer than before. */
static bool unescape(struct step *step, GError **error)
{
	static const char from[] = "rnte\\", to[] = "\r\n\t\033\\";
	char *out = step->text;

	for (const char *p = step->text; *p; p++) {
		const char *known = p[0] == '\\' && p[1] ? strchr(from, p[1]) : NULL;

		if (*p != '\\') {
			*out++ = *p;
		} else if (known) {
			*out++ = to[known - from];
			p++;
		} else if (p[1] == 'x' && g_ascii_isxdigit(p[2]) && g_ascii_isxdigit(p[3])) {
			*out++ = (char)(g_ascii_xdigit_value(p[2]) << 4 |
					g_ascii_xdigit_value(p[3]));
			p += 3;
		} else {
			return usage_error(error, "'\\%c' means nothing: there are \\r \\n \\t \\e "
					   "\\\\ and \\xHH", p[1] ? p[1] : ' ');
		}
	}
	step->len = (size_t)(out - step->text);
	return true;
}

static char *argument(const char *rest)
{
	char *text = g_strstrip(g_strdup(rest));
	size_t len = strlen(text);

	if (len < 2 || (*text != '"' && *text != '\'') || text[len - 1] != *text)
		return text;
	text[len - 1] = '\0';
	memmove(text, text + 1, len - 1);
	return text;
}

static bool step_argument(struct step *step, GError **error)
{
	switch (step->verb) {
	case EXPECT:
	case FAIL:
		if (!*step->text)
			return usage_error(error, "%s what?", verbs[step->verb]);
		step->regex = match_regex(step->text, error);
		return step->regex != NULL;
	case TIMEOUT:
	case PAUSE:
		return duration_parse(step->text, &step->ms) ||
		       usage_error(error, "'%s' is no duration: write a number and perhaps ms, s, "
				   "m or h", step->text);
	default:
		return unescape(step, error);
	}
}

static const char *verb_at(const void *arg, unsigned i)
{
	return i < N_VERBS ? verbs[i] : NULL;
}

static bool verb_parse(const char *word, enum verb *ret, GError **error)
{
	const char *near;

	for (unsigned i = 0; i < N_VERBS; i++) {
		if (g_str_equal(word, verbs[i])) {
			*ret = (enum verb)i;
			return true;
		}
	}
	near = nearest(word, verb_at, NULL);
	if (near)
		return usage_error(error, "unknown verb '%s': did you mean '%s'?", word, near);
	return usage_error(error, "unknown verb '%s': there are expect, send, sendline, timeout, "
			   "pause, fail and print", word);
}

static struct step *step_parse(const char *line, GError **error)
{
	size_t word_len = strcspn(line, " \t");
	g_autofree char *word = g_strndup(line, word_len);
	struct step *step = g_new0(struct step, 1);

	step->text = argument(line + word_len);
	step->len = strlen(step->text);
	if (verb_parse(word, &step->verb, error) && step_argument(step, error))
		return step;
	step_free(step);
	return NULL;
}

struct expect_script *expect_parse(const char *text, const char *name, GError **error)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
	g_autoptr(expect_script) script = g_new0(struct expect_script, 1);

	script->name = g_strdup(name);
	script->steps = g_ptr_array_new_with_free_func(step_free);
	for (unsigned i = 0; lines[i]; i++) {
		char *line = g_strstrip(lines[i]);
		struct step *step;

		if (!*line || *line == '#')
			continue;
		step = step_parse(line, error);
		if (!step) {
			g_prefix_error(error, "%s, line %u: ", name, i + 1);
			return NULL;
		}
		step->line = i + 1;
		g_ptr_array_add(script->steps, step);
	}
	return g_steal_pointer(&script);
}

void expect_script_free(struct expect_script *script)
{
	if (!script)
		return;
	g_ptr_array_unref(script->steps);
	g_free(script->name);
	g_free(script);
}

/* ---- a conversation ---- */

struct talk {
	struct shell *sh;
	const char *name;		/* of the domain */
	GMainContext *context;
	GSource *interrupt;
	struct feed *feed;
	struct match *match;
	GRegex *regexes[1 + FAILS_MAX];	/* what is expected, then what is not to be seen */
	const char *fails[FAILS_MAX];
	unsigned n_fails;
	uint64_t timeout_ms;
	bool show, heard, ended, interrupted;
	GError *ended_by;
};

static void on_bit(const struct feed_bit *bit, void *opaque)
{
	struct talk *t = opaque;

	match_add(t->match, bit->data, bit->len);
	t->heard |= bit->len > 0;
	if (!t->show)
		return;
	if (bit->len > 0)
		fwrite(bit->data, 1, bit->len, stdout);
	fflush(stdout);
}

static void on_ended(const GError *error, void *opaque)
{
	struct talk *t = opaque;

	t->ended = true;
	t->ended_by = error ? g_error_copy(error) : NULL;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	((struct talk *)opaque)->interrupted = true;
	return G_SOURCE_REMOVE;
}

static gboolean on_late(void *opaque)
{
	*(bool *)opaque = true;
	return G_SOURCE_REMOVE;
}

static GSource *timer_start(struct talk *t, uint64_t ms, bool *late)
{
	GSource *timer = g_timeout_source_new((guint)MIN(ms, G_MAXUINT));

	g_source_set_callback(timer, on_late, late, NULL);
	g_source_attach(timer, t->context);
	return timer;
}

static void timer_stop(GSource *timer)
{
	g_source_destroy(timer);
	g_source_unref(timer);
}

/* What a person would look at first. */
static bool talk_failed(struct talk *t, const char *pattern, uint64_t ms, GError **error)
{
	g_autofree char *recent = match_recent(t->match);
	g_autofree char *harmless = text_harmless(recent);
	const char *said = *harmless ? harmless : "nothing";

	if (t->interrupted)
		g_set_error(error, VMM_ERROR, VMM_ERR_ABORTED, "domain '%s': interrupted", t->name);
	else if (t->ended_by)
		g_propagate_prefixed_error(error, g_error_copy(t->ended_by),
					   "console of '%s': ", t->name);
	else if (t->ended)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "domain '%s' has ended and did not say '%s'; last it said: %s",
			    t->name, pattern, said);
	else
		g_set_error(error, VMM_ERROR, VMM_ERR_TIMEOUT,
			    "domain '%s' did not say '%s' within %.3g s; last it said: %s",
			    t->name, pattern, (double)ms / 1000, said);
	return false;
}

static bool talk_expect(struct talk *t, GRegex *regex, const char *pattern, GError **error)
{
	bool late = false;
	GSource *timer = timer_start(t, t->timeout_ms, &late);
	int found;

	t->regexes[0] = regex;
	t->heard = false;
	found = match_find(t->match, t->regexes, 1 + t->n_fails);
	while (found < 0 && !t->ended && !late && !t->interrupted) {
		g_main_context_iteration(t->context, TRUE);
		if (t->heard)
			found = match_find(t->match, t->regexes, 1 + t->n_fails);
		t->heard = false;
	}
	timer_stop(timer);
	if (found > 0)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED,
			    "domain '%s' said '%s' where '%s' was expected", t->name,
			    t->fails[found - 1], pattern);
	return found < 0 ? talk_failed(t, pattern, t->timeout_ms, error) : found == 0;
}

static bool talk_send(struct talk *t, const struct step *step, GError **error)
{
	vmm_stream *stream = feed_stream(t->feed);

	return vmm_stream_write(stream, step->text, step->len, error) &&
	       (step->verb != SENDLINE || vmm_stream_write(stream, "\r", 1, error));
}

static bool talk_pause(struct talk *t, uint64_t ms, GError **error)
{
	bool late = false;
	GSource *timer = timer_start(t, ms, &late);

	while (!late && !t->ended && !t->interrupted)
		g_main_context_iteration(t->context, TRUE);
	timer_stop(timer);
	if (t->interrupted)
		g_set_error(error, VMM_ERROR, VMM_ERR_ABORTED, "domain '%s': interrupted", t->name);
	return !t->interrupted;
}

static bool talk_fail(struct talk *t, const struct step *step, GError **error)
{
	if (t->n_fails == FAILS_MAX)
		return usage_error(error, "more than %d times fail", FAILS_MAX);
	t->fails[t->n_fails++] = step->text;
	t->regexes[t->n_fails] = step->regex;
	return true;
}

static bool talk_step(struct talk *t, const struct step *step, GError **error)
{
	switch (step->verb) {
	case EXPECT:
		return talk_expect(t, step->regex, step->text, error);
	case SEND:
	case SENDLINE:
		return talk_send(t, step, error);
	case TIMEOUT:
		t->timeout_ms = step->ms;
		return true;
	case PAUSE:
		return talk_pause(t, step->ms, error);
	case FAIL:
		return talk_fail(t, step, error);
	default:
		fwrite(step->text, 1, step->len, stdout);
		printf("\n");
		fflush(stdout);
		return true;
	}
}

static bool talk_begin(struct talk *t, struct shell *sh, vmm_domain *dom,
		       const struct expect_opts *opts, unsigned flags, GError **error)
{
	static const struct feed_ops ops = { .bit = on_bit, .ended = on_ended };
	const struct feed_opts what = {
		.device = opts->device, .live = true, .journal = !opts->fresh,
		.flags = flags | (opts->fresh ? VMM_CONSOLE_NEW : 0),
	};

	*t = (struct talk){ .sh = sh, .name = vmm_domain_name(dom), .show = opts->show,
			    .timeout_ms = opts->timeout_ms, .match = match_new(),
			    .context = g_main_context_new() };
	t->interrupt = g_unix_fd_source_new(sh->interrupt_fd, G_IO_IN);
	g_source_set_callback(t->interrupt, G_SOURCE_FUNC(on_interrupt), t, NULL);
	g_source_attach(t->interrupt, t->context);
	t->feed = feed_open(dom, &what, t->context, &ops, t, error);
	if (!t->feed)
		fleet_advise(dom, error);
	return t->feed != NULL;
}

static void talk_end(struct talk *t)
{
	/* what was typed last has arrived */
	if (t->feed && !t->ended)
		vmm_stream_finish(feed_stream(t->feed), NULL);
	feed_free(t->feed);
	match_free(t->match);
	g_source_destroy(t->interrupt);
	g_source_unref(t->interrupt);
	g_main_context_unref(t->context);
	g_clear_error(&t->ended_by);
}

bool expect_wait(struct shell *sh, vmm_domain *dom, const struct expect_opts *opts,
		 const char *pattern, GError **error)
{
	g_autoptr(GRegex) regex = match_regex(pattern, error);
	struct talk t;
	bool ok;

	if (!regex)
		return false;
	ok = talk_begin(&t, sh, dom, opts, VMM_CONSOLE_WATCH, error) &&
	     talk_expect(&t, regex, pattern, error);
	talk_end(&t);
	return ok;
}

bool expect_run(struct shell *sh, vmm_domain *dom, const struct expect_opts *opts,
		const struct expect_script *script, GError **error)
{
	struct talk t;
	bool ok = talk_begin(&t, sh, dom, opts, opts->take_over ? VMM_CONSOLE_FORCE : 0, error);

	for (unsigned i = 0; ok && i < script->steps->len; i++) {
		const struct step *step = script->steps->pdata[i];

		ok = talk_step(&t, step, error);
		if (!ok)
			g_prefix_error(error, "%s, line %u: ", script->name, step->line);
	}
	talk_end(&t);
	return ok;
}
