/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What leaves a console, what is found in what it says, and scripts that are wrong. */
#include "config.h"

#include <string.h>

#include "vmsh/escape.h"
#include "vmsh/expect.h"
#include "vmsh/match.h"
#include "vmsh/size.h"
#include "vmsh/speech.h"

/* What the guest gets of the keys; "!" at its end: left. */
static char *typed(const char *escapes, const char *keys)
{
	struct escape e;
	GString *s = g_string_new(NULL);
	bool left = false;

	g_assert_true(escape_parse(escapes, &e, NULL));
	/* byte by byte, as they come from a terminal */
	for (const char *p = keys; *p && !left; p++) {
		char out[2];
		size_t n;

		left = escape_filter(&e, p, 1, out, &n);
		g_string_append_len(s, out, (gssize)n);
	}
	if (left)
		g_string_append_c(s, '!');
	return g_string_free(s, FALSE);
}

static void what_leaves_is_not_typed_and_the_rest_is(void)
{
	static const struct { const char *escapes, *keys, *expected; } cases[] = {
		{ ESCAPE_DEFAULT, "ls\r", "ls\r" },
		{ ESCAPE_DEFAULT, "a\035b", "a!" },
		{ ESCAPE_DEFAULT, "~.", "!" },
		{ ESCAPE_DEFAULT, "ls\r~.", "ls\r!" },
		{ ESCAPE_DEFAULT, "a~.", "a~." },
		{ ESCAPE_DEFAULT, "\r~~.", "\r~." },
		{ ESCAPE_DEFAULT, "\r~/x", "\r~/x" },
		{ ESCAPE_DEFAULT, "\r~\035", "\r!" },
		{ "^A", "\035\001", "\035!" },
		{ "%.", "~.\r%.", "~.\r!" },
		{ "none", "\035\r~.", "\035\r~." },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autofree char *got = typed(cases[i].escapes, cases[i].keys);

		g_assert_cmpstr(got, ==, cases[i].expected);
	}
}

static void an_escape_that_is_none_is_refused(void)
{
	static const char *const wrong[] = { "]", "^", "~", "x.", "~. %.", "^]x" };
	struct escape e;

	for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_false(escape_parse(wrong[i], &e, &error));
		g_assert_nonnull(strstr(error->message, "Ctrl-]"));
	}
}

static int find(struct match *m, const char *pattern)
{
	g_autoptr(GRegex) regex = match_regex(pattern, NULL);

	return match_find(m, &regex, 1);
}

static void a_prompt_is_found_before_its_line_ends(void)
{
	g_autoptr(match) m = match_new();

	match_add(m, "Debian GNU/Linux\r\nhost log", 26);
	g_assert_cmpint(find(m, "login: $"), ==, -1);
	match_add(m, "in: ", 4);
	g_assert_cmpint(find(m, "^host login: $"), ==, 0);
	g_assert_cmpint(find(m, "login"), ==, -1);
}

static void what_comes_behind_a_hit_is_looked_at_next(void)
{
	g_autoptr(match) m = match_new();

	match_add(m, "a b\nc\nd\n", 8);
	g_assert_cmpint(find(m, "a"), ==, 0);
	g_assert_cmpint(find(m, "b"), ==, 0);
	g_assert_cmpint(find(m, "d"), ==, 0);
	g_assert_cmpint(find(m, "c"), ==, -1);
}

static void the_last_lines_are_kept_for_people(void)
{
	g_autoptr(match) m = match_new();
	g_autofree char *text = NULL;

	match_add(m, "one\ntwo\nthree\nfour\n", 19);
	text = match_recent(m);
	g_assert_cmpstr(text, ==, "two\nthree\nfour");
}

static void a_script_that_is_wrong_is_refused_with_its_line(void)
{
	static const struct { const char *text, *expected; } cases[] = {
		{ "expct login:", "s, line 1: unknown verb 'expct': did you mean 'expect'?" },
		{ "# x\n\nexpect", "s, line 3: expect what?" },
		{ "expect (", "s, line 1: " },
		{ "timeout soon", "s, line 1: 'soon' is no duration" },
		{ "send \\q", "s, line 1: '\\q' means nothing" },
		{ "send \\", "s, line 1: '\\ ' means nothing" },
		{ "send \\x4", "s, line 1: '\\x' means nothing" },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(expect_parse(cases[i].text, "s", &error));
		if (!strstr(error->message, cases[i].expected))
			g_error("%s: %s", cases[i].text, error->message);
	}
}

static void a_script_that_is_right_is_taken(void)
{
	g_autoptr(expect_script) script = expect_parse(
		"# log in\ntimeout 90s\n\texpect  'login: '\nsendline root\nsend \\x03\\r\n"
		"fail [Pp]anic\npause 10ms\nprint done\n", "s", NULL);

	g_assert_nonnull(script);
}

static void durations_are_read(void)
{
	static const struct { const char *text; uint64_t ms; } right[] = {
		{ "5", 5000 }, { "60s", 60000 }, { "250ms", 250 }, { "5m", 300000 },
		{ "2h", 7200000 }, { "1d", 86400000 },
	};
	static const char *const wrong[] = { "", "s", "-1", "5x", "99999999999" };
	uint64_t ms;

	for (unsigned i = 0; i < G_N_ELEMENTS(right); i++) {
		g_assert_true(duration_parse(right[i].text, &ms));
		g_assert_cmpuint(ms, ==, right[i].ms);
	}
	for (unsigned i = 0; i < G_N_ELEMENTS(wrong); i++)
		g_assert_false(duration_parse(wrong[i], &ms));
}

static void on_line(const struct speech_line *line, void *opaque)
{
	GString *s = opaque;

	if (line->kind == SPEECH_LINE)
		g_string_append_printf(s, "%d:%s|", (int)line->time_us, line->text);
	else
		g_string_append(s, line->kind == SPEECH_BOOT ? "boot|" : "missed|");
}

static void a_line_has_the_time_of_its_first_byte(void)
{
	g_autoptr(GString) s = g_string_new(NULL);
	struct speech *speech = speech_new(on_line, s);

	speech_add(speech, &(struct feed_bit){ .time_us = 1, .boot = 1, .data = "on", .len = 2 });
	speech_add(speech, &(struct feed_bit){ .time_us = 2, .boot = 1, .data = "e\r\ntw",
					       .len = 5 });
	speech_add(speech, &(struct feed_bit){ .time_us = 3, .boot = 1, .missed = 4, .data = "o",
					       .len = 1 });
	speech_flush(speech, 3);
	g_assert_cmpstr(s->str, ==, "boot|1:one|2:tw|missed|");
	speech_flush(speech, 4);
	g_assert_cmpstr(s->str, ==, "boot|1:one|2:tw|missed|3:o|");
	speech_free(speech);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define STORY(name) g_test_add_func("/vmsh-console/" #name, name)
	STORY(what_leaves_is_not_typed_and_the_rest_is);
	STORY(an_escape_that_is_none_is_refused);
	STORY(a_prompt_is_found_before_its_line_ends);
	STORY(what_comes_behind_a_hit_is_looked_at_next);
	STORY(the_last_lines_are_kept_for_people);
	STORY(a_script_that_is_wrong_is_refused_with_its_line);
	STORY(a_script_that_is_right_is_taken);
	STORY(durations_are_read);
	STORY(a_line_has_the_time_of_its_first_byte);
	return g_test_run();
}
