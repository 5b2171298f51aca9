/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Intents: what was begun and not ended is there after a restart, and goes to its kind. */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "vmmd/journal.h"

static const uint8_t somebody[UUID_BYTES] = { 7 };

static char *file_new(void)
{
	g_autofree char *dir = g_dir_make_tmp("vmmd-journal-XXXXXX", NULL);

	return g_build_filename(dir, "db", NULL);
}

static void file_done(char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	g_autofree char *dir = g_path_get_dirname(path);

	for (unsigned i = 0; i < 3; i++) {
		g_autofree char *file = g_strconcat(path, suffixes[i], NULL);

		g_unlink(file);
	}
	g_rmdir(dir);
	g_free(path);
}

static struct store *open_fine(const char *path)
{
	g_autoptr(GError) error = NULL;
	struct store *store = store_open(path, &error);

	g_assert_no_error(error);
	return store;
}

static int64_t begin(struct store *store, const char *kind, const char *body)
{
	g_autoptr(GError) error = NULL;
	int64_t id = 0;

	journal_begin(store, kind, somebody, body, &id, &error);
	g_assert_no_error(error);
	return id;
}

static char *left(struct store *store)
{
	g_autoptr(GPtrArray) list = journal_list(store, NULL);
	GString *text = g_string_new(NULL);

	g_assert_nonnull(list);
	for (unsigned i = 0; i < list->len; i++) {
		const struct journal_entry *e = g_ptr_array_index(list, i);

		g_string_append_printf(text, "%s %02x %d %s;", e->kind, e->uuid[0], e->step,
				       e->body);
	}
	return g_string_free(text, FALSE);
}

static void an_intent_is_there_after_a_new_open_with_its_last_step(void)
{
	char *path = file_new();
	struct store *store = open_fine(path);
	g_autofree char *after = NULL;
	int64_t id = begin(store, "a", "one");

	begin(store, "b", "two");
	g_assert_true(journal_step(store, id, 3, "other", NULL));
	g_assert_true(journal_step(store, id, 4, NULL, NULL));
	store_close(store);
	store = open_fine(path);
	after = left(store);
	g_assert_cmpstr(after, ==, "a 07 4 other;b 07 0 two;");
	store_close(store);
	file_done(path);
}

static void an_end_counts_only_with_the_transaction_that_it_is_in(void)
{
	char *path = file_new();
	struct store *store = open_fine(path);
	g_autofree char *undone = NULL, *done = NULL;
	int64_t id = begin(store, "a", "one");

	g_assert_true(store_begin(store, NULL));
	g_assert_true(journal_end(store, id, NULL));
	store_rollback(store);
	undone = left(store);
	g_assert_cmpstr(undone, ==, "a 07 0 one;");
	g_assert_true(store_begin(store, NULL));
	g_assert_true(journal_end(store, id, NULL));
	g_assert_true(store_commit(store, NULL));
	done = left(store);
	g_assert_cmpstr(done, ==, "");
	store_close(store);
	file_done(path);
}

static bool resume_good(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	return journal_end(daemon->store, entry->id, error);
}

static bool resume_bad(struct daemon *daemon, const struct journal_entry *entry, GError **error)
{
	return error_set(error, VMM_ERR_OPERATION_FAILED, "no");
}

static void what_is_left_goes_to_its_kind_and_stays_if_that_can_not(void)
{
	static const struct journal_kind kinds[] = {
		{ "good", resume_good }, { "bad", resume_bad }, { NULL, NULL },
	};
	char *path = file_new();
	struct daemon daemon = { .store = open_fine(path) };
	g_autofree char *after = NULL;

	begin(daemon.store, "good", "1");
	begin(daemon.store, "bad", "2");
	begin(daemon.store, "unheard-of", "3");
	journal_resume_all(&daemon, kinds);
	after = left(daemon.store);
	g_assert_cmpstr(after, ==, "bad 07 0 2;unheard-of 07 0 3;");
	store_close(daemon.store);
	file_done(path);
}

static GLogWriterOutput log_drop(GLogLevelFlags level, const GLogField *fields, gsize n,
				 void *opaque)
{
	return G_LOG_WRITER_HANDLED;
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_log_set_always_fatal(G_LOG_FATAL_MASK);
	g_log_set_writer_func(log_drop, NULL, NULL);
#define TEST(name) g_test_add_func("/journal/" #name, name)
	TEST(an_intent_is_there_after_a_new_open_with_its_last_step);
	TEST(an_end_counts_only_with_the_transaction_that_it_is_in);
	TEST(what_is_left_goes_to_its_kind_and_stays_if_that_can_not);
	return g_test_run();
}
