/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of pools, and what is done to a whole one. */
#include "config.h"
#include "vmmd/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/event.h"
#include "vmmd/store-priv.h"
#include "vmmd/volume.h"

#define DEFAULT_NAME "default"
#define POOL_MODE 0711		/* enter, but do not list: images' names are nobody's business */

static struct pool *pool_new(struct daemon *daemon, pool_def *def)
{
	struct pool *pool = g_new0(struct pool, 1);

	pool->daemon = daemon;
	pool->def = def;
	pool->building = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_ptr_array_add(daemon->pools, pool);
	return pool;
}

static void pool_free(void *p)
{
	struct pool *pool = p;

	pool_def_free(pool->def);
	g_hash_table_unref(pool->building);
	g_free(pool);
}

void pools_free(GPtrArray *pools)
{
	g_ptr_array_unref(pools);
}

/* ---- finding ---- */

struct pool *pool_find_uuid(struct daemon *daemon, const uint8_t uuid[UUID_BYTES])
{
	for (unsigned i = 0; i < daemon->pools->len; i++) {
		struct pool *pool = g_ptr_array_index(daemon->pools, i);

		if (memcmp(pool->def->uuid, uuid, UUID_BYTES) == 0)
			return pool;
	}
	return NULL;
}

struct pool *pool_find_name(struct daemon *daemon, const char *name)
{
	for (unsigned i = 0; i < daemon->pools->len; i++) {
		struct pool *pool = g_ptr_array_index(daemon->pools, i);

		if (g_str_equal(pool->def->name, name))
			return pool;
	}
	return NULL;
}

struct pool *pool_find_path(struct daemon *daemon, const char *path)
{
	g_autofree char *key = g_canonicalize_filename(path, "/");

	for (unsigned i = 0; i < daemon->pools->len; i++) {
		struct pool *pool = g_ptr_array_index(daemon->pools, i);

		if (g_str_equal(pool->def->path, key))
			return pool;
	}
	return NULL;
}

/* ---- the database ---- */

static bool pool_store(const struct pool *pool, GError **error)
{
	g_autofree char *xml = pool_def_format(pool->def, NULL);
	sqlite3_stmt *st = store_statement(pool->daemon->store,
		"INSERT OR REPLACE INTO pools(uuid, name, xml, persistent, active, autostart)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6)", error);

	if (!st)
		return false;
	store_bind_uuid(st, 1, pool->def->uuid);
	sqlite3_bind_text(st, 2, pool->def->name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 3, xml, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int(st, 4, pool->persistent);
	sqlite3_bind_int(st, 5, pool->active);
	sqlite3_bind_int(st, 6, pool->autostart);
	return store_run_soon(pool->daemon->store, st, "store the pool", error);
}

static bool pool_unstore(const struct pool *pool, GError **error)
{
	sqlite3_stmt *st = store_statement(pool->daemon->store,
		"DELETE FROM pools WHERE uuid = ?1", error);

	if (!st)
		return false;
	store_bind_uuid(st, 1, pool->def->uuid);
	return store_run_soon(pool->daemon->store, st, "remove the pool", error);
}

static void row_load(struct daemon *daemon, sqlite3_stmt *st)
{
	g_autoptr(GError) error = NULL;
	pool_def *def = pool_def_parse((const char *)sqlite3_column_text(st, 1), 0, &error);
	struct pool *pool;

	if (!def) {
		g_warning("pool '%s': its stored definition can't be used: %s",
			  (const char *)sqlite3_column_text(st, 0), error->message);
		return;
	}
	pool = pool_new(daemon, def);
	pool->persistent = sqlite3_column_int(st, 2);
	pool->active = sqlite3_column_int(st, 3);
	pool->autostart = sqlite3_column_int(st, 4);
}

static bool rows_load(struct daemon *daemon, GError **error)
{
	sqlite3_stmt *st = store_statement(daemon->store,
		"SELECT name, xml, persistent, active, autostart FROM pools ORDER BY name", error);
	int rc;

	if (!st)
		return false;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		row_load(daemon, st);
	if (rc != SQLITE_DONE)
		store_error(daemon->store, "read the pools", error);
	store_reset(st);
	return rc == SQLITE_DONE;
}

/* True once in the life of a database: who undefines the default pool does not get it back. */
static bool default_is_wanted(struct daemon *daemon)
{
	sqlite3_stmt *st = store_statement(daemon->store,
		"UPDATE counters SET value = 1 WHERE name = 'default-pool' AND value = 0", NULL);

	return st && store_run(daemon->store, st, "note the default pool", NULL) &&
	       sqlite3_changes(sqlite3_db_handle(st)) == 1;
}

static void default_make(struct daemon *daemon)
{
	g_autofree char *path = g_build_filename(daemon->image_dir, NULL);
	g_autoptr(GError) error = NULL;
	pool_def *def;
	struct pool *pool;

	if (!default_is_wanted(daemon) || pool_find_name(daemon, DEFAULT_NAME))
		return;
	def = g_new0(struct pool_def, 1);
	def->name = g_strdup(DEFAULT_NAME);
	def->path = g_canonicalize_filename(path, "/");
	def->owner = (struct storage_owner){ -1, -1, -1 };
	uuid_random(def->uuid);
	pool = pool_define(daemon, def, true, &error);
	if (!pool || !pool_start(pool, true, &error) || !pool_set_autostart(pool, true, &error))
		g_warning("default pool: %s", error->message);
}

static void pool_resume(struct pool *pool)
{
	g_autoptr(GError) error = NULL;
	bool wanted = pool->active || pool->autostart;

	pool->active = false;
	if (wanted && !pool_start(pool, false, &error))
		g_warning("pool '%s': %s", pool->def->name, error->message);
}

bool pools_load(struct daemon *daemon, GError **error)
{
	daemon->pools = g_ptr_array_new_with_free_func(pool_free);
	if (!rows_load(daemon, error))
		return false;
	for (unsigned i = 0; i < daemon->pools->len; i++)
		pool_resume(g_ptr_array_index(daemon->pools, i));
	default_make(daemon);
	return true;
}

/* ---- define, undefine ---- */

static bool clash(GError **error, const struct pool *other, const char *what)
{
	char uuid[UUID_TEXT_BYTES];

	uuid_to_text(other->def->uuid, uuid);
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "operation failed: pool '%s' with uuid %s already %s", other->def->name,
			 uuid, what);
}

/* *ret: the pool that has both name and uuid.  A definition without a uuid means the name's. */
static bool pool_match(struct daemon *daemon, pool_def *def, struct pool **ret, GError **error)
{
	struct pool *by_name = pool_find_name(daemon, def->name), *by_uuid, *by_path;

	if (by_name && !def->has_uuid)
		memcpy(def->uuid, by_name->def->uuid, UUID_BYTES);
	by_uuid = pool_find_uuid(daemon, def->uuid);
	by_path = pool_find_path(daemon, def->path);
	if (by_name != by_uuid)
		return clash(error, by_name ? by_name : by_uuid, "exists");
	if (by_path && by_path != by_name)
		return clash(error, by_path, "has that folder");
	*ret = by_name;
	return true;
}

static struct pool *pool_redefine(struct pool *pool, pool_def *def, GError **error)
{
	pool_def *old = pool->def;
	bool was_persistent = pool->persistent;

	if (pool->active && !g_str_equal(def->path, old->path)) {
		pool_def_free(def);
		error_set(error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: pool '%s' is active: its folder can't "
			  "change; destroy it first", pool->def->name);
		return NULL;
	}
	pool->def = def;
	pool->persistent = true;
	if (pool_store(pool, error)) {
		pool_def_free(old);
		event_pool(pool, POOL_DEFINED);
		return pool;
	}
	pool->def = old;
	pool->persistent = was_persistent;
	pool_def_free(def);
	return NULL;
}

struct pool *pool_define(struct daemon *daemon, pool_def *def, bool persistent, GError **error)
{
	struct pool *pool = NULL;

	if (!pool_match(daemon, def, &pool, error)) {
		pool_def_free(def);
		return NULL;
	}
	if (pool && (persistent || !pool->active))
		return pool_redefine(pool, def, error);
	if (pool) {
		clash(error, pool, "is active");
		pool_def_free(def);
		return NULL;
	}
	pool = pool_new(daemon, def);
	pool->persistent = persistent;
	if (pool_store(pool, error)) {
		if (persistent)
			event_pool(pool, POOL_DEFINED);
		return pool;
	}
	g_ptr_array_remove(daemon->pools, pool);
	return NULL;
}

static bool need_inactive(const struct pool *pool, GError **error)
{
	return !pool->active ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: storage pool '%s' is still active",
			 pool->def->name);
}

bool pool_undefine(struct pool *pool, GError **error)
{
	if (!need_inactive(pool, error) || !pool_unstore(pool, error))
		return false;
	if (pool->persistent)
		event_pool(pool, POOL_UNDEFINED);
	g_ptr_array_remove(pool->daemon->pools, pool);
	return true;
}

/* ---- start, stop ---- */

int pool_open(const struct pool *pool, GError **error)
{
	int fd = open(pool->def->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		error_errno(error, errno, "open the folder '%s' of pool '%s'%s", pool->def->path,
			    pool->def->name,
			    errno == ENOENT ? " (pool-build makes it)" : "");
	return fd;
}

bool pool_need_active(const struct pool *pool, GError **error)
{
	return pool->active ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: storage pool '%s' is not active",
			 pool->def->name);
}

static bool active_set(struct pool *pool, bool active, GError **error)
{
	bool was = pool->active;

	pool->active = active;
	if (pool_store(pool, error))
		return true;
	pool->active = was;
	return false;
}

bool pool_start(struct pool *pool, bool build, GError **error)
{
	auto_close int fd = -1;

	if (pool->active)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: storage pool '%s' is already "
				 "active", pool->def->name);
	if (build && !pool_build(pool, error))
		return false;
	fd = pool_open(pool, error);
	if (fd < 0)
		return false;
	volume_sweep(fd);
	if (!active_set(pool, true, error))
		return false;
	event_pool(pool, POOL_STARTED);
	return true;
}

bool pool_stop(struct pool *pool, GError **error)
{
	if (!pool_need_active(pool, error))
		return false;
	if (pool->busy)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: %u volumes of pool '%s' are "
				 "being worked on", pool->busy, pool->def->name);
	if (pool->persistent && !active_set(pool, false, error))
		return false;
	pool->active = false;
	event_pool(pool, POOL_STOPPED);
	return pool->persistent || pool_undefine(pool, error);
}

bool pool_set_autostart(struct pool *pool, bool on, GError **error)
{
	bool was = pool->autostart;

	if (!pool->persistent)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: pool '%s' is transient",
				 pool->def->name);
	pool->autostart = on;
	if (pool_store(pool, error))
		return true;
	pool->autostart = was;
	return false;
}

/* ---- the folder ---- */

/* Only of a folder that we have made: what was there keeps its owner and mode. */
static bool folder_own(const struct pool *pool, GError **error)
{
	const struct storage_owner *o = &pool->def->owner;
	auto_close int fd = pool_open(pool, error);

	if (fd < 0)
		return false;
	if ((o->uid >= 0 || o->gid >= 0) && fchown(fd, (uid_t)o->uid, (gid_t)o->gid) < 0)
		return error_errno(error, errno, "change the owner of '%s'", pool->def->path);
	if (fchmod(fd, o->mode >= 0 ? (mode_t)o->mode : POOL_MODE) < 0)
		return error_errno(error, errno, "change the mode of '%s'", pool->def->path);
	return true;
}

bool pool_build(struct pool *pool, GError **error)
{
	g_autofree char *above = g_path_get_dirname(pool->def->path);

	bool made;

	if (!need_inactive(pool, error))
		return false;
	if (g_mkdir_with_parents(above, 0755) < 0)
		return error_errno(error, errno, "make folder '%s'", above);
	made = mkdir(pool->def->path, 0700) == 0;
	if (!made && (errno != EEXIST || !g_file_test(pool->def->path, G_FILE_TEST_IS_DIR)))
		return error_errno(error, errno, "make folder '%s'", pool->def->path);
	if (made && !folder_own(pool, error))
		return false;
	event_pool(pool, POOL_CREATED);
	return true;
}

bool pool_delete(struct pool *pool, GError **error)
{
	if (!need_inactive(pool, error))
		return false;
	if (rmdir(pool->def->path) < 0)
		return error_errno(error, errno, "remove the folder '%s'%s", pool->def->path,
				   errno == ENOTEMPTY ? " (delete what is in it first)" : "");
	event_pool(pool, POOL_DELETED);
	return true;
}

bool pool_space(const struct pool *pool, struct pool_space *ret, GError **error)
{
	auto_close int fd = pool_open(pool, error);
	struct statvfs st;

	if (fd < 0)
		return false;
	if (fstatvfs(fd, &st) < 0)
		return error_errno(error, errno, "space of '%s'", pool->def->path);
	ret->capacity = (uint64_t)st.f_blocks * st.f_frsize;
	ret->available = (uint64_t)st.f_bavail * st.f_frsize;
	ret->allocation = ret->capacity - (uint64_t)st.f_bfree * st.f_frsize;
	return true;
}
