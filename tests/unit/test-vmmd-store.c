/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The database: what is kept is there after a restart, and what can't be is refused. */
#include "config.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmmd/store.h"

static char *file_new(void)
{
	g_autofree char *dir = g_dir_make_tmp("vmmd-store-XXXXXX", NULL);

	return g_build_filename(dir, "db", NULL);
}

static void file_done(char *path)
{
	static const char *const suffixes[] = { "", "-wal", "-shm" };
	g_autofree char *dir = g_path_get_dirname(path);

	g_chmod(dir, 0700);
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

static void put(struct store *store, uint8_t first, const char *name, const char *xml)
{
	struct store_domain row = {
		.uuid = { first }, .name = name, .xml = xml, .state = 1, .created_s = 5
	};
	g_autoptr(GError) error = NULL;

	store_put_domain(store, &row, &error);
	g_assert_no_error(error);
}

static void collect(const struct store_domain *row, void *opaque)
{
	g_string_append_printf(opaque, "%02x %s %s %d %d/%d;", row->uuid[0], row->name, row->xml,
			       row->autostart, row->state, row->reason);
}

static char *rows(struct store *store)
{
	GString *text = g_string_new(NULL);

	g_assert_true(store_domains(store, collect, text, NULL));
	return g_string_free(text, FALSE);
}

static void what_was_put_is_there_after_a_new_open(void)
{
	char *path = file_new();
	struct store *store = open_fine(path);

	put(store, 1, "a", "<a/>");
	g_assert_true(store_set_autostart(store, (uint8_t[UUID_BYTES]){ 1 }, true, NULL));
	g_assert_true(store_set_state(store, (uint8_t[UUID_BYTES]){ 1 }, 1, 3, NULL));
	put(store, 1, "renamed", "<b/>");
	put(store, 2, "gone", "<c/>");
	g_assert_true(store_remove_domain(store, (uint8_t[UUID_BYTES]){ 2 }, NULL));
	store_close(store);

	store = open_fine(path);
	g_autofree char *text = rows(store);
	g_assert_cmpstr(text, ==, "01 renamed <b/> 1 1/3;");
	store_close(store);
	file_done(path);
}

static void a_name_belongs_to_one_uuid(void)
{
	char *path = file_new();
	struct store *store = open_fine(path);
	struct store_domain row = { .uuid = { 2 }, .name = "a", .xml = "<x/>", .state = 1 };
	g_autoptr(GError) error = NULL;

	put(store, 1, "a", "<a/>");
	g_assert_false(store_put_domain(store, &row, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	store_close(store);
	file_done(path);
}

static void ids_grow_over_opens(void)
{
	char *path = file_new();
	int last = 0, id;

	for (unsigned i = 0; i < 3; i++) {
		struct store *store = open_fine(path);

		g_assert_true(store_next_id(store, &id, NULL));
		g_assert_cmpint(id, ==, last + 1);
		last = id;
		store_close(store);
	}
	file_done(path);
}

static void what_was_acknowledged_survives_a_kill(void)
{
	char *path = file_new();
	int ends[2], status;
	char byte;
	pid_t pid;

	g_assert_cmpint(pipe(ends), ==, 0);
	pid = fork();
	if (pid == 0) {
		struct store *store = open_fine(path);

		put(store, 7, "a", "<a/>");
		g_assert_cmpint(write(ends[1], "", 1), ==, 1);
		for (unsigned i = 0;; i++)
			put(store, 7, "a", i % 2 ? "<odd/>" : "<even/>");
	}
	g_assert_cmpint(read(ends[0], &byte, 1), ==, 1);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(ends[0]);
	close(ends[1]);

	struct store *store = open_fine(path);
	g_autofree char *text = rows(store);
	g_assert_true(g_str_has_prefix(text, "07 a <"));
	store_close(store);
	file_done(path);
}

static void change(const char *path, const char *sql)
{
	sqlite3 *db;

	g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
	g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
	sqlite3_close(db);
}

static void a_newer_version_is_named_and_not_touched(void)
{
	char *path = file_new();
	g_autoptr(GError) error = NULL;

	store_close(open_fine(path));
	change(path, "PRAGMA user_version = 77");
	g_assert_null(store_open(path, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
	g_assert_nonnull(strstr(error->message, "version 77"));
	g_assert_nonnull(strstr(error->message, "up to " G_STRINGIFY(STORE_VERSION)));
	file_done(path);
}

static void another_programs_database_is_refused(void)
{
	char *path = file_new();
	g_autoptr(GError) error = NULL;

	change(path, "CREATE TABLE other(x)");
	g_assert_null(store_open(path, &error));
	g_assert_nonnull(strstr(error->message, "another program"));
	file_done(path);
}

/* Root writes everywhere, so the part that must fail is somebody else. */
static void a_read_only_database_is_refused_at_once(void)
{
	char *path = file_new();
	g_autofree char *dir = g_path_get_dirname(path);
	int status;
	pid_t pid;

	store_close(open_fine(path));
	g_assert_cmpint(g_chmod(path, 0444), ==, 0);
	g_assert_cmpint(g_chmod(dir, 0555), ==, 0);
	pid = fork();
	if (pid == 0) {
		GError *error = NULL;

		if (geteuid() == 0 && setuid(65534) < 0)
			_exit(2);
		_exit(!store_open(path, &error) && strstr(error->message, "read-only") ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	g_assert_cmpint(status, ==, 0);
	file_done(path);
}

static void history_is_bounded(void)
{
	char *path = file_new();
	struct store *store = open_fine(path);
	struct store_event *events = g_new0(struct store_event, STORE_EVENTS_MAX + 10);
	sqlite3_stmt *st;
	sqlite3 *db;

	for (unsigned i = 0; i < STORE_EVENTS_MAX + 10; i++)
		events[i].name = (char *)"a";
	g_assert_true(store_add_events(store, events, STORE_EVENTS_MAX + 10, NULL));
	store_close(store);
	g_free(events);
	g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
	sqlite3_prepare_v2(db, "SELECT count(*) FROM events", -1, &st, NULL);
	g_assert_cmpint(sqlite3_step(st), ==, SQLITE_ROW);
	g_assert_cmpint(sqlite3_column_int(st, 0), ==, STORE_EVENTS_MAX);
	sqlite3_finalize(st);
	sqlite3_close(db);
	file_done(path);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/store/again", what_was_put_is_there_after_a_new_open);
	g_test_add_func("/store/unique", a_name_belongs_to_one_uuid);
	g_test_add_func("/store/ids", ids_grow_over_opens);
	g_test_add_func("/store/kill", what_was_acknowledged_survives_a_kill);
	g_test_add_func("/store/newer", a_newer_version_is_named_and_not_touched);
	g_test_add_func("/store/other", another_programs_database_is_refused);
	g_test_add_func("/store/read-only", a_read_only_database_is_refused_at_once);
	g_test_add_func("/store/history", history_is_bounded);
	return g_test_run();
}
