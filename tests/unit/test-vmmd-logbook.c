/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Logbooks: what is written comes back, is bounded, and has no power over a terminal. */
#include "config.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <utime.h>

#include "vmmd/said.h"

static const uint8_t somebody[UUID_BYTES] = { 7 };
#define SOMEBODY "07000000-0000-0000-0000-000000000000"

struct folder {
	char *path;
	struct logbook *log;
};

static struct folder folder_new(void)
{
	char *path = g_dir_make_tmp("vmmd-log-XXXXXX", NULL);

	return (struct folder){ path, logbook_open(path) };
}

static char *file_of(const struct folder *f, const char *name)
{
	return g_build_filename(f->path, name, NULL);
}

static void folder_done(struct folder *f)
{
	g_autoptr(GDir) dir = g_dir_open(f->path, 0, NULL);
	const char *name;

	while ((name = g_dir_read_name(dir))) {
		g_autofree char *path = file_of(f, name);

		g_unlink(path);
	}
	g_rmdir(f->path);
	logbook_close(f->log);
	g_free(f->path);
}

static void note(const struct folder *f, const char *text)
{
	logbook_add(f->log, somebody, LOG_LEVEL_NOTE, "test", "me", text);
}

static GPtrArray *read_all(const struct folder *f, struct log_query query)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *entries;

	query.max = query.max ?: G_MAXUINT;
	entries = logbook_read(f->log, somebody, &query, &error);
	g_assert_no_error(error);
	return entries;
}

static const struct log_entry *at(const GPtrArray *entries, unsigned i)
{
	g_assert_cmpuint(i, <, entries->len);
	return entries->pdata[i];
}

static void an_entry_comes_back(void)
{
	struct folder f = folder_new();
	int64_t before_us = g_get_real_time(), after_us;

	logbook_add(f.log, somebody, LOG_LEVEL_ERROR, "stopped", "uid 0, x (pid 1)", "a text");
	after_us = g_get_real_time();
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });
	const struct log_entry *e = at(entries, 0);

	g_assert_cmpuint(entries->len, ==, 1);
	g_assert_cmpuint(e->number, ==, 1);
	g_assert_true(e->at_us >= before_us && e->at_us <= after_us);
	g_assert_cmpint(e->level, ==, LOG_LEVEL_ERROR);
	g_assert_cmpstr(e->event, ==, "stopped");
	g_assert_cmpstr(e->who, ==, "uid 0, x (pid 1)");
	g_assert_cmpstr(e->text, ==, "a text");
	folder_done(&f);
}

static void foreign_text_has_no_power_over_terminal_and_file(void)
{
	struct folder f = folder_new();

	note(&f, "a\033[2J\nb\tc\r\x7f\xff\302\233d \342\200\256e");
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });

	g_assert_cmpuint(entries->len, ==, 1);
	g_assert_cmpstr(at(entries, 0)->text, ==,
			"a\\x1b[2J b c\\x0d\\x7f\357\277\275\\x9bd \\u202ee");
	folder_done(&f);
}

static void a_long_text_is_cut(void)
{
	struct folder f = folder_new();
	g_autofree char *text = g_strnfill(100000, 'x');

	note(&f, text);
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });

	g_assert_cmpuint(strlen(at(entries, 0)->text), <=, LOGBOOK_TEXT_MAX);
	g_assert_true(g_str_has_suffix(at(entries, 0)->text, "..."));
	folder_done(&f);
}

static void the_oldest_go_first_and_numbers_go_on(void)
{
	struct folder f = folder_new();
	g_autofree char *text = g_strnfill(1000, 'x');
	g_autofree char *path = file_of(&f, SOMEBODY ".log");
	g_autofree char *older = file_of(&f, SOMEBODY ".log.1");
	struct stat st;

	for (unsigned i = 0; i < 4000; i++)
		note(&f, text);
	g_assert_true(stat(path, &st) == 0 && st.st_size <= LOGBOOK_BYTES_MAX);
	g_assert_true(stat(older, &st) == 0 && st.st_size <= LOGBOOK_BYTES_MAX);
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });

	g_assert_cmpuint(entries->len, >, 1000);
	for (unsigned i = 0; i < entries->len; i++)
		g_assert_cmpuint(at(entries, i)->number, ==, 4000 - entries->len + 1 + i);
	logbook_close(f.log);
	f.log = logbook_open(f.path);		/* the next vmmd */
	note(&f, "next");
	g_autoptr(GPtrArray) more = read_all(&f, (struct log_query){ .after = 4000 });
	g_assert_cmpuint(more->len, ==, 1);
	g_assert_cmpuint(at(more, 0)->number, ==, 4001);
	folder_done(&f);
}

/* As long as lines are, and as many as there can be. */
static struct folder full_book(void)
{
	struct folder f = folder_new();
	static const char *const names[] = { SOMEBODY ".log.1", SOMEBODY ".log" };
	unsigned number = 1;

	for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
		g_autofree char *path = file_of(&f, names[i]);
		GString *text = g_string_new(NULL);

		while (text->len + 100 < LOGBOOK_BYTES_MAX)
			g_string_append_printf(text, "%u\t2026-11-22T%02u:%02u:%02u.000000Z\tnote"
					       "\ttest\tme\tx\n", number, number / 36000,
					       number / 600 % 60, number / 10 % 60), number++;
		g_assert_true(g_file_set_contents(path, text->str, (gssize)text->len, NULL));
		g_string_free(text, TRUE);
	}
	return f;
}

static double seconds_of(const struct folder *f, struct log_query query, unsigned expected)
{
	clock_t began = clock();

	for (unsigned i = 0; i < 5; i++) {
		g_autoptr(GPtrArray) entries = read_all(f, query);

		g_assert_cmpuint(entries->len, ==, expected);
	}
	return (double)(clock() - began) / CLOCKS_PER_SEC;
}

/* vmmd does nothing else meanwhile, and "log --follow" asks twice a second. */
static void a_few_entries_of_a_full_book_cost_less_than_all(void)
{
	struct folder f = full_book();
	g_autoptr(GPtrArray) all = read_all(&f, (struct log_query){ 0 });
	uint64_t last = at(all, all->len - 1)->number;
	int64_t late_us = at(all, all->len - 1)->at_us;
	double whole = seconds_of(&f, (struct log_query){ 0 }, all->len);

	g_assert_cmpuint(all->len, ==, last);
	g_assert_cmpfloat(seconds_of(&f, (struct log_query){ .newest = true, .max = 1 }, 1), <,
			  whole / 4);
	g_assert_cmpfloat(seconds_of(&f, (struct log_query){ .after = last - 1 }, 1), <,
			  whole / 4);
	g_assert_cmpfloat(seconds_of(&f, (struct log_query){ .since_us = late_us + 1 }, 0), <,
			  whole / 4);
	g_assert_cmpfloat(seconds_of(&f, (struct log_query){ .max = 10 }, 10), <, whole / 4);
	folder_done(&f);
}

/* A signal would be the default of what a full disk is a mere error of. */
static void limit_files(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
	limit.rlim_cur = bytes;
	g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void what_does_not_fit_on_the_disk_spoils_no_other_entry(void)
{
	struct folder f = folder_new();

	note(&f, "first");
	limit_files(100);
	note(&f, "lost, for the disk is full in the middle of it");
	limit_files(RLIM_INFINITY);
	note(&f, "second");
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });

	g_assert_cmpuint(entries->len, ==, 2);
	g_assert_cmpstr(at(entries, 0)->text, ==, "first");
	g_assert_cmpstr(at(entries, 1)->text, ==, "second");
	g_assert_cmpuint(at(entries, 1)->number, ==, 2);
	folder_done(&f);
}

static void what_is_asked_for_comes(void)
{
	struct folder f = folder_new();

	for (unsigned i = 1; i <= 9; i++)
		note(&f, "x");
	g_autoptr(GPtrArray) newest = read_all(&f, (struct log_query){ .max = 2, .newest = true });
	g_autoptr(GPtrArray) next = read_all(&f, (struct log_query){ .max = 2, .after = 3 });
	g_autoptr(GPtrArray) later = read_all(&f, (struct log_query){
		.since_us = g_get_real_time() + G_USEC_PER_SEC });

	g_assert_cmpuint(newest->len, ==, 2);
	g_assert_cmpuint(at(newest, 0)->number, ==, 8);
	g_assert_cmpuint(next->len, ==, 2);
	g_assert_cmpuint(at(next, 0)->number, ==, 4);
	g_assert_cmpuint(later->len, ==, 0);
	folder_done(&f);
}

static void lines_that_are_none_are_passed_over(void)
{
	struct folder f = folder_new();
	g_autofree char *path = file_of(&f, SOMEBODY ".log");

	g_assert_true(g_file_set_contents(path,
		"no line\n1\t2026-01-01T00:00:00.000000Z\tnote\ta\tb\n"
		"x\t2026-01-01T00:00:00.000000Z\tnote\ta\tb\tc\n"
		"2\tyesterday\tnote\ta\tb\tc\n3\t2026-01-01T00:00:00.000000Z\tloud\ta\tb\tc\n"
		"7\t2026-01-01T00:00:00.000000Z\tnote\ta\033\tb\tc\td\n8\t2026-01-0", -1, NULL));
	note(&f, "x");
	g_autoptr(GPtrArray) entries = read_all(&f, (struct log_query){ 0 });

	g_assert_cmpuint(at(entries, 0)->number, ==, 7);
	g_assert_cmpstr(at(entries, 0)->event, ==, "a\\x1b");
	g_assert_cmpstr(at(entries, 0)->text, ==, "c d");
	/* the last line was cut, by a power failure say: the next one begins a line all the same */
	g_assert_cmpuint(entries->len, ==, 2);
	g_assert_cmpstr(at(entries, 1)->text, ==, "x");
	folder_done(&f);
}

static bool nobody_is_known(const char *uuid_text, void *opaque)
{
	return false;
}

static bool all_are_known(const char *uuid_text, void *opaque)
{
	return true;
}

static void old_books_of_domains_that_are_gone_go(void)
{
	struct folder f = folder_new();
	g_autofree char *path = file_of(&f, SOMEBODY ".log"), *mine = file_of(&f, "mine.log");
	struct utimbuf long_ago = { 1000000, 1000000 };

	note(&f, "x");
	g_assert_true(g_file_set_contents(mine, "x", -1, NULL));
	g_assert_true(utime(path, &long_ago) == 0 && utime(mine, &long_ago) == 0);
	logbook_sweep(f.log, 30, all_are_known, NULL);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	logbook_sweep(f.log, 30, nobody_is_known, NULL);
	g_assert_false(g_file_test(path, G_FILE_TEST_EXISTS));
	g_assert_true(g_file_test(mine, G_FILE_TEST_EXISTS));
	note(&f, "x");
	logbook_sweep(f.log, 30, nobody_is_known, NULL);
	g_assert_true(g_file_test(path, G_FILE_TEST_EXISTS));
	folder_done(&f);
}

static void a_guest_writes_so_much_and_no_more(void)
{
	struct said_budget budget = { 0 };
	unsigned left_out = 0, written = 0;

	for (unsigned i = 0; i < 5000; i++)
		written += said_may(&budget, &left_out);
	g_assert_cmpuint(written, >=, 199);
	g_assert_cmpuint(written, <=, 202);
	g_assert_cmpuint(budget.left_out, ==, 5000 - written);
	budget.paid_us -= 60 * G_USEC_PER_SEC;		/* a minute later */
	g_assert_true(said_may(&budget, &left_out));
	g_assert_cmpuint(left_out, ==, 5000 - written);
	g_assert_cmpuint(budget.left_out, ==, 0);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/logbook/an entry comes back", an_entry_comes_back);
	g_test_add_func("/logbook/foreign text has no power over terminal and file",
			foreign_text_has_no_power_over_terminal_and_file);
	g_test_add_func("/logbook/a long text is cut", a_long_text_is_cut);
	g_test_add_func("/logbook/the oldest go first, and numbers go on",
			the_oldest_go_first_and_numbers_go_on);
	g_test_add_func("/logbook/a few entries of a full book cost less than all",
			a_few_entries_of_a_full_book_cost_less_than_all);
	g_test_add_func("/logbook/what does not fit on the disk spoils no other entry",
			what_does_not_fit_on_the_disk_spoils_no_other_entry);
	g_test_add_func("/logbook/what is asked for comes", what_is_asked_for_comes);
	g_test_add_func("/logbook/lines that are none are passed over",
			lines_that_are_none_are_passed_over);
	g_test_add_func("/logbook/old books of domains that are gone go",
			old_books_of_domains_that_are_gone_go);
	g_test_add_func("/logbook/a guest writes so much and no more",
			a_guest_writes_so_much_and_no_more);
	return g_test_run();
}
