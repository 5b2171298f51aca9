/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of the shell: words, quotes, globs, sizes, and slips of the finger. */
#include "config.h"

#include <glib.h>

#include "libvmm/util/nearest.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static GPtrArray *split(const char *line)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *commands = words_split(line, &error);

	g_assert_no_error(error);
	return commands;
}

static const struct word *word(GPtrArray *commands, unsigned command, unsigned i)
{
	GPtrArray *words = commands->pdata[command];

	g_assert_cmpuint(i, <, words->len);
	return words->pdata[i];
}

static void quotes_keep_spaces_together(void)
{
	g_autoptr(GPtrArray) c = split("desc web 'a b' \"c \\\" d\" e\\ f");

	g_assert_cmpuint(c->len, ==, 1);
	g_assert_cmpstr(word(c, 0, 2)->text, ==, "a b");
	g_assert_cmpstr(word(c, 0, 3)->text, ==, "c \" d");
	g_assert_cmpstr(word(c, 0, 4)->text, ==, "e f");
}

static void an_empty_pair_of_quotes_is_a_word(void)
{
	g_autoptr(GPtrArray) c = split("desc web ''");

	g_assert_cmpstr(word(c, 0, 2)->text, ==, "");
}

static void semicolons_part_commands_and_comments_end_them(void)
{
	g_autoptr(GPtrArray) c = split("list; start web # not; this\nstop 'a;b' c#d");

	g_assert_cmpuint(c->len, ==, 3);
	g_assert_cmpstr(word(c, 1, 1)->text, ==, "web");
	g_assert_cmpstr(word(c, 2, 1)->text, ==, "a;b");
	g_assert_cmpstr(word(c, 2, 2)->text, ==, "c#d");
}

static void what_follows_a_pipe_is_the_shells(void)
{
	g_autoptr(GPtrArray) c = split("list --all | grep 'a;b' | wc -l # as it is\nstart web");

	g_assert_cmpuint(c->len, ==, 2);
	g_assert_cmpint(word(c, 0, 2)->op, ==, WORD_PIPE);
	g_assert_cmpstr(word(c, 0, 2)->text, ==, "grep 'a;b' | wc -l # as it is");
	g_assert_cmpstr(word(c, 1, 1)->text, ==, "web");
}

static void output_goes_to_files_and_an_exclamation_mark_is_a_shell(void)
{
	g_autoptr(GPtrArray) c = split("list>a; list --all >> 'b c'; desc web a!b '>'\n!ls; pwd");

	g_assert_cmpint(word(c, 0, 1)->op, ==, WORD_FILE);
	g_assert_cmpstr(word(c, 0, 1)->text, ==, "a");
	g_assert_cmpint(word(c, 1, 2)->op, ==, WORD_APPEND);
	g_assert_cmpstr(word(c, 1, 2)->text, ==, "b c");
	g_assert_cmpint(word(c, 2, 3)->op, ==, WORD_PLAIN);
	g_assert_cmpint(word(c, 3, 0)->op, ==, WORD_SHELL);
	g_assert_cmpstr(word(c, 3, 0)->text, ==, "ls; pwd");
}

static void a_file_that_is_not_named_is_refused(void)
{
	g_assert_null(words_split("list >", NULL));
	g_assert_null(words_split("list > ; start web", NULL));
}

static void times_are_read_as_people_write_them(void)
{
	uint64_t ms = 0;

	g_assert_true(duration_parse("2s", &ms) && ms == 2000);
	g_assert_true(duration_parse("250ms", &ms) && ms == 250);
	g_assert_true(duration_parse("1.5m", &ms) && ms == 90000);
	g_assert_true(duration_parse("3", &ms) && ms == 3000);
	g_assert_false(duration_parse("", &ms) || duration_parse("-1s", &ms) ||
		       duration_parse("2x", &ms) || duration_parse("1e99", &ms));
}

static void an_open_quote_is_refused(void)
{
	g_autoptr(GError) error = NULL;

	g_assert_null(words_split("desc 'web", &error));
	g_assert_error(error, USAGE_ERROR, 0);
}

static void a_quoted_star_is_no_glob(void)
{
	g_autoptr(GPtrArray) c = split("start web-* 'web-*' web-\\* \"a\"?");

	g_assert_true(pattern_is_glob(word(c, 0, 1)->pattern));
	g_assert_false(pattern_is_glob(word(c, 0, 2)->pattern));
	g_assert_false(pattern_is_glob(word(c, 0, 3)->pattern));
	g_assert_true(pattern_is_glob(word(c, 0, 4)->pattern));
	g_assert_cmpstr(word(c, 0, 2)->text, ==, "web-*");
}

static void what_is_quoted_reads_back_the_same(void)
{
	static const char *const texts[] = {
		"", "web", "a b", "it's", "a\rb", "\f", "v\vv", "\"x\"", "a\\b", "w*", "#;"
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
		g_autofree char *quoted = word_quote(texts[i]);
		g_autoptr(GPtrArray) c = split(quoted);

		g_assert_cmpstr(word(c, 0, 0)->text, ==, texts[i]);
		g_assert_false(pattern_is_glob(word(c, 0, 0)->pattern));
	}
}

static void a_line_may_end_within_a_word_for_completion(void)
{
	char quote;
	g_autoptr(GPtrArray) open = words_split_partial("list; start \"web ser", &quote);

	g_assert_cmpint(quote, ==, '"');
	g_assert_cmpuint(open->len, ==, 2);
	g_assert_cmpstr(((struct word *)open->pdata[1])->text, ==, "web ser");
}

static void sizes_have_suffixes_and_a_default_unit(void)
{
	uint64_t n;

	g_assert_true(size_parse("512", 1024, &n) && n == 512 << 10);
	g_assert_true(size_parse("512M", 1024, &n) && n == 512 << 20);
	g_assert_true(size_parse("1.5G", 1, &n) && n == 1536ull << 20);
	g_assert_true(size_parse("2GiB", 1, &n) && n == 2ull << 30);
	g_assert_true(size_parse("0", 1, &n) && n == 0);
}

static void what_is_no_size_is_refused(void)
{
	static const char *const bad[] = {
		"",	"G",   "-1G",  "1Q",  "1GG", "0x10", "99999999999999999999",
		"9E9E", "20E", "1e99", "nan", " 1"
	};
	uint64_t n;

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++)
		g_assert_false(size_parse(bad[i], 1, &n));
}

static const char *some_names(const void *arg, unsigned i)
{
	static const char *const names[] = { "start", "shutdown", "list", "domblklist", NULL };

	return names[i];
}

static void a_slip_of_the_finger_finds_the_word_meant(void)
{
	g_assert_cmpstr(nearest("strat", some_names, NULL), ==, "start");
	g_assert_cmpstr(nearest("lst", some_names, NULL), ==, "list");
	g_assert_cmpstr(nearest("shut", some_names, NULL), ==, "shutdown");
	g_assert_null(nearest("frobnicate", some_names, NULL));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
#define T(name) g_test_add_func("/vmsh/words/" #name, name)
	T(quotes_keep_spaces_together);
	T(an_empty_pair_of_quotes_is_a_word);
	T(semicolons_part_commands_and_comments_end_them);
	T(what_follows_a_pipe_is_the_shells);
	T(output_goes_to_files_and_an_exclamation_mark_is_a_shell);
	T(a_file_that_is_not_named_is_refused);
	T(times_are_read_as_people_write_them);
	T(an_open_quote_is_refused);
	T(a_quoted_star_is_no_glob);
	T(what_is_quoted_reads_back_the_same);
	T(a_line_may_end_within_a_word_for_completion);
	T(sizes_have_suffixes_and_a_default_unit);
	T(what_is_no_size_is_refused);
	T(a_slip_of_the_finger_finds_the_word_meant);
	return g_test_run();
}
