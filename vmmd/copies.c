/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two owners: the main thread notes what has changed and hands over uuids; the
 * writer alone reads and writes files, and has its own connection.  What the
 * writer can't do it logs: a definition that is stored is stored.
 */
#include "config.h"
#include "vmmd/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/copy-batch.h"
#include "vmmd/store.h"

#define DELAY_MS 20
#define BUSY_TIMEOUT_MS 5000
#define STALE_SUFFIX ".stale"

/* Two texts: one that fits both reads the whole table for each. */
#define COPIES_SQL(condition) \
	"SELECT 0, uuid, name, xml, autostart, 0, created FROM domains WHERE " condition \
	" UNION ALL SELECT 1, uuid, name, xml, autostart, active, 0 FROM pools" \
	" WHERE persistent AND " condition

struct copies {
	/* main thread */
	struct store *store;
	GHashTable *changed;		/* GBytes: uuids not yet handed over */
	bool all;			/* that have changed: nothing is known yet */
	guint due;
	GThreadPool *writer;
	int writing;			/* both threads' */
	/* the writer's */
	char *database, *folder;
	int folder_fd;
	sqlite3 *db;
	sqlite3_stmt *one, *every;
	GHashTable *files;		/* struct named: a set, by uuid; there are many */
	struct copy_batch *batch;
};

/* Whose file is called so. */
struct named {
	uint8_t uuid[UUID_BYTES];
	char name[];
};

/* ---- the writer ---- */

static GBytes *uuid_bytes(const uint8_t uuid[UUID_BYTES])
{
	return g_bytes_new(uuid, UUID_BYTES);
}

static const char *file_of(const struct copies *c, GBytes *uuid)
{
	const struct named *n = g_hash_table_lookup(c->files, g_bytes_get_data(uuid, NULL));

	return n ? n->name : NULL;
}

static void file_note(struct copies *c, GBytes *uuid, const char *name)
{
	const size_t bytes = strlen(name) + 1;
	struct named *n = g_malloc(sizeof(*n) + bytes);

	memcpy(n->uuid, g_bytes_get_data(uuid, NULL), UUID_BYTES);
	memcpy(n->name, name, bytes);
	g_hash_table_replace(c->files, n, n);
}

static bool is_there_already(const struct copies *c, const char *name, const char *text)
{
	g_autofree char *path = g_build_filename(c->folder, name, NULL), *old = NULL;

	return g_file_get_contents(path, &old, NULL, NULL) && !strcmp(old, text);
}

static void on_written(GBytes *uuid, const char *name, int failed, void *opaque)
{
	struct copies *c = opaque;
	const char *before = file_of(c, uuid);

	if (failed) {
		g_warning("copy '%s/%s': %s", c->folder, name, g_strerror(failed));
		return;
	}
	if (before && strcmp(before, name))
		unlinkat(c->folder_fd, before, 0);
	file_note(c, uuid, name);
}

static void write_copy(struct copies *c, GBytes *uuid, const struct copy *copy)
{
	g_autofree char *name = copy_file_name(copy), *text = copy_format(copy);

	if (is_there_already(c, name, text))
		on_written(uuid, name, 0, c);
	else
		copy_batch_add(c->batch, uuid, name, text);
}

static struct copy row_copy(sqlite3_stmt *st)
{
	struct copy copy = {
		.pool = sqlite3_column_int(st, 0),
		.name = (char *)sqlite3_column_text(st, 2),
		.xml = (char *)sqlite3_column_text(st, 3),
		.autostart = sqlite3_column_int(st, 4),
		.active = sqlite3_column_int(st, 5),
		.created_s = sqlite3_column_int64(st, 6),
	};

	memcpy(copy.uuid, sqlite3_column_blob(st, 1), UUID_BYTES);
	return copy;
}

static bool writer_open(struct copies *c)
{
	if (c->every)
		return true;
	if (sqlite3_open_v2(c->database, &c->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
			    NULL) == SQLITE_OK &&
	    sqlite3_exec(c->db, "PRAGMA cache_size = -128", NULL, NULL, NULL) == SQLITE_OK &&
	    sqlite3_busy_timeout(c->db, BUSY_TIMEOUT_MS) == SQLITE_OK &&
	    sqlite3_prepare_v2(c->db, COPIES_SQL("uuid = ?1"), -1, &c->one, NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(c->db, COPIES_SQL("true"), -1, &c->every, NULL) == SQLITE_OK)
		return true;
	g_warning("copies of definitions: database '%s': %s", c->database, sqlite3_errmsg(c->db));
	g_clear_pointer(&c->one, sqlite3_finalize);
	g_clear_pointer(&c->db, sqlite3_close);
	return false;
}

/* What the database says of uuid now, or of all (NULL); those that it has are put into seen. */
static bool write_rows(struct copies *c, GBytes *uuid, GHashTable *seen)
{
	sqlite3_stmt *st = uuid ? c->one : c->every;
	int rc;

	if (uuid)
		sqlite3_bind_blob(st, 1, g_bytes_get_data(uuid, NULL), UUID_BYTES, SQLITE_STATIC);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct copy copy = row_copy(st);
		g_autoptr(GBytes) key = uuid_bytes(copy.uuid);

		write_copy(c, key, &copy);
		g_hash_table_add(seen, g_bytes_ref(key));
	}
	if (rc != SQLITE_DONE)
		g_warning("copies of definitions: %s", sqlite3_errmsg(c->db));
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	if (!uuid)
		copy_batch_end(c->batch);
	return rc == SQLITE_DONE;
}

static void remove_copy(struct copies *c, GBytes *uuid)
{
	const char *name = file_of(c, uuid);

	if (name && unlinkat(c->folder_fd, name, 0) < 0 && errno != ENOENT)
		g_warning("copy '%s/%s': %s", c->folder, name, g_strerror(errno));
	g_hash_table_remove(c->files, g_bytes_get_data(uuid, NULL));
}

/* Of nobody now: perhaps the database is the older one.  Out of the way, and not lost. */
static void set_aside(const struct copies *c, const char *name)
{
	g_autofree char *aside = g_strconcat(name, STALE_SUFFIX, NULL);

	g_message("'%s/%s' is of no definition: it is '%s' now", c->folder, name, aside);
	renameat(c->folder_fd, name, c->folder_fd, aside);
}

/* Of two files with one uuid the database's name stays; the other is a rename's that was cut. */
static void learn_files(struct copies *c, GPtrArray *extra)
{
	g_autoptr(GDir) dir = g_dir_open(c->folder, 0, NULL);
	uint8_t uuid[UUID_BYTES];

	for (const char *name; dir && (name = g_dir_read_name(dir));) {
		g_autoptr(GBytes) key = NULL;

		if (copy_batch_is_litter(name))
			unlinkat(c->folder_fd, name, 0);
		if (!copy_file_uuid(name, uuid))
			continue;
		key = uuid_bytes(uuid);
		if (file_of(c, key))
			g_ptr_array_add(extra, g_strdup(name));
		else
			file_note(c, key, name);
	}
}

static gboolean is_of_nobody(void *key, void *value, void *opaque)
{
	const struct named *n = value;
	g_autoptr(GBytes) uuid = uuid_bytes(n->uuid);
	void **c_and_seen = opaque;

	if (g_hash_table_contains(c_and_seen[1], uuid))
		return FALSE;
	set_aside(c_and_seen[0], n->name);
	return TRUE;
}

static bool is_in_use(const struct copies *c, const char *name)
{
	GHashTableIter iter;
	void *used;

	g_hash_table_iter_init(&iter, c->files);
	while (g_hash_table_iter_next(&iter, NULL, &used))
		if (!strcmp(((const struct named *)used)->name, name))
			return true;
	return false;
}

static void write_all(struct copies *c)
{
	g_autoptr(GPtrArray) extra = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GHashTable) seen = g_hash_table_new_full(
		g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

	learn_files(c, extra);
	if (!write_rows(c, NULL, seen))
		return;
	g_hash_table_foreach_remove(c->files, is_of_nobody, (void *[]){ c, seen });
	for (unsigned i = 0; i < extra->len; i++)
		if (!is_in_use(c, extra->pdata[i]))
			unlinkat(c->folder_fd, extra->pdata[i], 0);
}

static void write_some(struct copies *c, const GPtrArray *uuids)
{
	g_autoptr(GHashTable) seen = g_hash_table_new_full(
		g_bytes_hash, g_bytes_equal, (GDestroyNotify)g_bytes_unref, NULL);

	for (unsigned i = 0; i < uuids->len; i++) {
		GBytes *uuid = uuids->pdata[i];

		if (write_rows(c, uuid, seen) && !g_hash_table_contains(seen, uuid))
			remove_copy(c, uuid);
	}
	copy_batch_end(c->batch);
}

/* data: GPtrArray of GBytes, uuids; NULL among them: all. */
static void writer_run(void *data, void *user)
{
	g_autoptr(GPtrArray) uuids = data;
	struct copies *c = user;
	bool all = g_ptr_array_find(uuids, NULL, NULL);

	if (!writer_open(c))
		;			/* it was logged */
	else if (all)
		write_all(c);
	else
		write_some(c, uuids);
	g_atomic_int_set(&c->writing, 0);
}

/* ---- the main thread ---- */

static void uuid_unref(void *uuid)
{
	if (uuid)
		g_bytes_unref(uuid);
}

static void hand_over(struct copies *c)
{
	GPtrArray *uuids = g_ptr_array_new_with_free_func(uuid_unref);
	GHashTableIter iter;
	void *uuid;

	if (c->all)
		g_ptr_array_add(uuids, NULL);
	c->all = false;
	g_hash_table_iter_init(&iter, c->changed);
	while (g_hash_table_iter_next(&iter, &uuid, NULL)) {
		g_ptr_array_add(uuids, g_bytes_ref(uuid));
		g_hash_table_iter_remove(&iter);
	}
	g_atomic_int_set(&c->writing, 1);
	g_thread_pool_push(c->writer, uuids, NULL);
}

/*
 * Between two calls: no transaction is open, so what the writer will read is
 * committed.  What changes while it writes is handed over together.
 */
static gboolean on_due(void *opaque)
{
	struct copies *c = opaque;

	if (g_atomic_int_get(&c->writing))
		return G_SOURCE_CONTINUE;
	c->due = 0;
	hand_over(c);
	return G_SOURCE_REMOVE;
}

static void on_changed(const uint8_t uuid[UUID_BYTES], void *opaque)
{
	struct copies *c = opaque;

	g_hash_table_add(c->changed, uuid_bytes(uuid));
	if (!c->due)
		c->due = g_timeout_add(DELAY_MS, on_due, c);
}

static void *copies_free(struct copies *c)
{
	copy_batch_free(c->batch);
	fd_close(&c->folder_fd);
	g_hash_table_unref(c->changed);
	g_hash_table_unref(c->files);
	g_free(c->database);
	g_free(c->folder);
	g_free(c);
	return NULL;
}

struct copies *copies_open(struct daemon *daemon, GError **error)
{
	struct copies *c = g_new0(struct copies, 1);

	c->store = daemon->store;
	c->database = g_build_filename(daemon->state_dir, "vmmd.sqlite", NULL);
	c->folder = g_build_filename(daemon->state_dir, COPIES_FOLDER, NULL);
	c->changed = g_hash_table_new_full(g_bytes_hash, g_bytes_equal,
					   (GDestroyNotify)g_bytes_unref, NULL);
	c->files = g_hash_table_new_full(uuid_hash, uuid_equal, NULL, g_free);
	c->folder_fd = -1;
	if (g_mkdir(c->folder, 0700) < 0 && errno != EEXIST) {
		error_errno(error, errno, "make folder '%s'", c->folder);
		return copies_free(c);
	}
	c->folder_fd = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (c->folder_fd < 0) {
		error_errno(error, errno, "open folder '%s'", c->folder);
		return copies_free(c);
	}
	c->batch = copy_batch_new(c->folder_fd, on_written, c);
	c->writer = g_thread_pool_new(writer_run, c, 1, FALSE, error);
	if (!c->writer || !store_watch(c->store, on_changed, c, error)) {
		if (c->writer)
			g_thread_pool_free(c->writer, TRUE, TRUE);
		return copies_free(c);
	}
	/* who waits for the daemon's start need not wait for this */
	c->all = true;
	c->due = g_timeout_add(DELAY_MS, on_due, c);
	return c;
}

void copies_close(struct copies *c)
{
	if (!c)
		return;
	store_watch(c->store, NULL, NULL, NULL);
	g_clear_handle_id(&c->due, g_source_remove);
	hand_over(c);
	g_thread_pool_free(c->writer, FALSE, TRUE);
	sqlite3_finalize(c->one);
	sqlite3_finalize(c->every);
	sqlite3_close(c->db);
	copies_free(c);
}
