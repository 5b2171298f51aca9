/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SQLite: the schema and every statement.
 *
 * WAL: a kill at any moment leaves the last commit.  One of a definition alone
 * is brought to the disk by store-sync.h (synchronous=NORMAL), and answered when
 * it is there; one that files follow waits for the disk itself (FULL), and rolls
 * back if that fails.  Statements are prepared once, at open, and always reset
 * before a function returns, so no read transaction holds up the log's checkpoint.
 */
#include "config.h"
#include "vmmd/store-priv.h"

#include <sqlite3.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/store-sync.h"

#define APPLICATION_ID 0x764d4d64	/* "vMMd": tells our file from other people's */
#define BUSY_TIMEOUT_MS 2000
#define CACHE_SIZE "-512"	/* KiB: upper levels of trees; the rest is the system's to keep */
/*
 * The WAL is begun anew when a checkpoint has reached its end, which one beside many commits never
 * does: from here on there is one between two commits, for which all wait.
 */
#define WAL_PAGES_LONG 8000

enum statement {
	ST_DOMAINS, ST_PUT_DOMAIN, ST_REMOVE_DOMAIN, ST_SET_AUTOSTART, ST_SET_STATE, ST_NEXT_ID,
	N_STATEMENTS,
};

static const char *const statements[] = {
	[ST_DOMAINS] = "SELECT uuid, name, xml, autostart, state, reason, created FROM domains",
	[ST_PUT_DOMAIN] = "INSERT INTO domains(uuid, name, xml, autostart, state, reason, created)"
			  " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT(uuid) DO UPDATE SET"
			  " name = excluded.name, xml = excluded.xml",
	[ST_REMOVE_DOMAIN] = "DELETE FROM domains WHERE uuid = ?1",
	[ST_SET_AUTOSTART] = "UPDATE domains SET autostart = ?2 WHERE uuid = ?1",
	[ST_SET_STATE] = "UPDATE domains SET state = ?2, reason = ?3 WHERE uuid = ?1",
	[ST_NEXT_ID] =
		"UPDATE counters SET value = value + 1 WHERE name = 'domain-id' RETURNING value",
};
static_assert(ARRAY_SIZE(statements) == N_STATEMENTS, "each statement has its text");

bool store_error(struct store *s, const char *what, GError **error)
{
	int rc = sqlite3_errcode(s->db);

	store_look_failed(s);

	switch (rc) {
	case SQLITE_READONLY:
	case SQLITE_PERM:
		if (s->failed)
			return store_is_sound(s, error);
		return error_set(
			error, VMM_ERR_OPERATION_FAILED,
			"%s: database '%s' can't be written: it, or its folder, is read-only", what,
			s->path);
	case SQLITE_FULL:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "%s: no space is left on the disk of database '%s'", what,
				 s->path);
	case SQLITE_CANTOPEN:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "%s: can't open database '%s': %s", what, s->path,
				 g_strerror(sqlite3_system_errno(s->db)));
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "%s: '%s' is damaged or no database: %s", what, s->path,
				 sqlite3_errmsg(s->db));
	case SQLITE_BUSY:
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "%s: another process has locked database '%s'", what, s->path);
	default:
		return error_set(error, VMM_ERR_OPERATION_FAILED, "%s: database '%s': %s", what,
				 s->path, sqlite3_errmsg(s->db));
	}
}

bool store_exec(struct store *s, const char *sql, GError **error)
{
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return true;
	return store_error(s, "change the database", error);
}

static bool store_pragma(struct store *s, const char *name, int *ret, GError **error)
{
	g_autofree char *sql = g_strdup_printf("PRAGMA %s", name);
	sqlite3_stmt *st = NULL;
	bool ok = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_step(st) == SQLITE_ROW;

	if (ok)
		*ret = sqlite3_column_int(st, 0);
	else
		store_error(s, "open", error);
	sqlite3_finalize(st);
	return ok;
}

/* ---- when a commit is on the disk ---- */

/* For the transaction that begins next; within one it stays as it is. */
static void store_mode(struct store *s, bool soon)
{
	if (s->soon == soon || !sqlite3_get_autocommit(s->db))
		return;
	if (sqlite3_exec(s->db, soon ? "PRAGMA synchronous = NORMAL" : "PRAGMA synchronous = FULL",
			 NULL, NULL, NULL) == SQLITE_OK)
		s->soon = soon;
}

static int on_commit(void *opaque, sqlite3 *db, const char *name, int pages)
{
	struct store *s = opaque;

	if (s->sync)
		store_sync_committed(s->sync, (unsigned)pages, !s->soon);
	if (pages >= WAL_PAGES_LONG)
		sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* Steps a statement that gives no rows (or whose first row alone matters). */
static bool store_step(struct store *s, enum statement which, const char *what, GError **error)
{
	int rc;

	store_mode(s, true);
	rc = sqlite3_step(s->st[which]);
	if (rc != SQLITE_DONE && rc != SQLITE_ROW)
		store_error(s, what, error);
	sqlite3_reset(s->st[which]);
	sqlite3_clear_bindings(s->st[which]);
	return rc == SQLITE_DONE || rc == SQLITE_ROW;
}

static bool store_migrate_step(struct store *s, int version, GError **error)
{
	g_autofree char *sql = g_strdup_printf(
		"BEGIN IMMEDIATE; %s PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		store_migrations[version], APPLICATION_ID, version + 1);

	if (store_exec(s, sql, error))
		return true;
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return false;
}

static bool store_migrate(struct store *s, GError **error)
{
	int version, application, schema;

	if (!store_pragma(s, "user_version", &version, error) ||
	    !store_pragma(s, "application_id", &application, error) ||
	    !store_pragma(s, "schema_version", &schema, error))
		return false;
	if (schema != 0 && application != APPLICATION_ID)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "'%s' is the database of another program", s->path);
	if (version < 0 || version > STORE_VERSION)
		return error_set(
			error, VMM_ERR_OPERATION_FAILED,
			"database '%s' has version %d, but this vmmd (%s) knows versions up to %d: "
			"use the newer vmmd that wrote it",
			s->path, version, PACKAGE_VERSION, STORE_VERSION);
	for (; version < STORE_VERSION; version++)
		if (!store_migrate_step(s, version, error))
			return false;
	return true;
}

static bool store_prepare(struct store *s, GError **error)
{
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->st[i], NULL) != SQLITE_OK)
			return store_error(s, "open", error);
	return true;
}

/*
 * An open of a read-only file succeeds; that it can't be used must be
 * known now, not at a define.
 */
static bool store_writable(struct store *s, GError **error)
{
	if (sqlite3_db_readonly(s->db, "main") > 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "database '%s' can't be written: it, or its folder, is read-only",
				 s->path);
	if (sqlite3_exec(s->db, "BEGIN IMMEDIATE; ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		return store_error(s, "open", error);
	return true;
}

static void statement_free(void *st)
{
	sqlite3_finalize(st);
}

struct store *store_open(const char *path, GError **error)
{
	struct store *s = g_new0(struct store, 1);
	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

	s->path = g_strdup(path);
	s->st = g_new0(sqlite3_stmt *, N_STATEMENTS);
	s->others = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, statement_free);
	if (sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK) {
		store_error(s, "open", error);
		goto fail;
	}
	sqlite3_busy_timeout(s->db, BUSY_TIMEOUT_MS);
	/*
	 * The version first: nothing, not even the journal mode, is
	 * changed in a newer one's file.
	 */
	if (!store_migrate(s, error) || !store_functions(s, error) ||
	    !store_exec(s, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			   "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;"
			   "PRAGMA cache_size = " CACHE_SIZE, error) ||
	    !store_writable(s, error) || !store_prepare(s, error))
		goto fail;
	if (*sqlite3_db_filename(s->db, "main") &&
	    !(s->sync = store_sync_new(path, store_fail, s, error)))
		goto fail;
	sqlite3_wal_hook(s->db, on_commit, s);
	return s;
fail:
	store_close(s);
	return NULL;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	store_sync_free(s->sync);
	for (unsigned i = 0; i < N_STATEMENTS; i++)
		sqlite3_finalize(s->st[i]);
	g_hash_table_unref(s->others);
	sqlite3_close(s->db);
	g_free(s->st);
	g_free(s->path);
	g_free(s);
}

void store_bind_uuid(sqlite3_stmt *st, int at, const uint8_t uuid[UUID_BYTES])
{
	sqlite3_bind_blob(st, at, uuid, UUID_BYTES, SQLITE_TRANSIENT);
}

sqlite3_stmt *store_statement(struct store *s, const char *text, GError **error)
{
	sqlite3_stmt *st = g_hash_table_lookup(s->others, text);

	if (st)
		return st;
	if (sqlite3_prepare_v3(s->db, text, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL) !=
	    SQLITE_OK) {
		store_error(s, "prepare a statement", error);
		return NULL;
	}
	g_hash_table_insert(s->others, (char *)text, st);
	return st;
}

static bool run(struct store *s, sqlite3_stmt *st, bool soon, const char *what, GError **error)
{
	bool ok;

	store_mode(s, soon);
	ok = sqlite3_step(st) == SQLITE_DONE;
	if (!ok)
		store_error(s, what, error);
	store_reset(st);
	return ok;
}

bool store_run(struct store *s, sqlite3_stmt *st, const char *what, GError **error)
{
	return run(s, st, false, what, error);
}

bool store_run_soon(struct store *s, sqlite3_stmt *st, const char *what, GError **error)
{
	return run(s, st, true, what, error);
}

void store_reset(sqlite3_stmt *st)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

static void bind_all(sqlite3_stmt *st, const char *types, va_list ap)
{
	for (int at = 1; types[at - 1]; at++) {
		switch (types[at - 1]) {
		case 'i':
			sqlite3_bind_int64(st, at, va_arg(ap, int64_t));
			break;
		case 's':
			sqlite3_bind_text(st, at, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
			break;
		default:
			store_bind_uuid(st, at, va_arg(ap, const uint8_t *));
		}
	}
}

static sqlite3_stmt *statement_bind(struct store *s, const char *text, const char *types,
				    va_list ap, GError **error)
{
	sqlite3_stmt *st = store_statement(s, text, error);

	if (st)
		bind_all(st, types, ap);
	return st;
}

bool store_write(struct store *s, GError **error, const char *what, const char *text,
		 const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	va_start(ap, types);
	st = statement_bind(s, text, types, ap, error);
	va_end(ap);
	return st && store_run(s, st, what, error);
}

bool store_write_soon(struct store *s, GError **error, const char *what, const char *text,
		      const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	va_start(ap, types);
	st = statement_bind(s, text, types, ap, error);
	va_end(ap);
	return st && store_run_soon(s, st, what, error);
}

int64_t store_last_id(struct store *s)
{
	return sqlite3_last_insert_rowid(s->db);
}

static bool begin(struct store *s, bool soon, GError **error)
{
	store_mode(s, soon);
	return store_exec(s, "BEGIN IMMEDIATE", error);
}

bool store_begin(struct store *s, GError **error)
{
	return begin(s, false, error);
}

bool store_begin_soon(struct store *s, GError **error)
{
	return begin(s, true, error);
}

bool store_commit(struct store *s, GError **error)
{
	if (store_exec(s, "COMMIT", error))
		return true;
	store_rollback(s);
	return false;
}

void store_rollback(struct store *s)
{
	if (!sqlite3_get_autocommit(s->db))
		sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

bool store_domains(struct store *s, store_domain_fn *fn, void *opaque, GError **error)
{
	sqlite3_stmt *st = s->st[ST_DOMAINS];
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		struct store_domain row = {
			.name = (const char *)sqlite3_column_text(st, 1),
			.xml = (const char *)sqlite3_column_text(st, 2),
			.autostart = sqlite3_column_int(st, 3),
			.state = sqlite3_column_int(st, 4),
			.reason = sqlite3_column_int(st, 5),
			.created_s = sqlite3_column_int64(st, 6),
		};

		memcpy(row.uuid, sqlite3_column_blob(st, 0), UUID_BYTES);
		fn(&row, opaque);
	}
	if (rc != SQLITE_DONE)
		store_error(s, "read the domains", error);
	sqlite3_reset(st);
	return rc == SQLITE_DONE;
}

bool store_put_domain(struct store *s, const struct store_domain *row, GError **error)
{
	sqlite3_stmt *st = s->st[ST_PUT_DOMAIN];

	store_bind_uuid(st, 1, row->uuid);
	sqlite3_bind_text(st, 2, row->name, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 3, row->xml, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int(st, 4, row->autostart);
	sqlite3_bind_int(st, 5, row->state);
	sqlite3_bind_int(st, 6, row->reason);
	sqlite3_bind_int64(st, 7, row->created_s);
	return store_step(s, ST_PUT_DOMAIN, "store the definition", error);
}

bool store_remove_domain(struct store *s, const uint8_t uuid[UUID_BYTES], GError **error)
{
	store_bind_uuid(s->st[ST_REMOVE_DOMAIN], 1, uuid);
	return store_step(s, ST_REMOVE_DOMAIN, "remove the definition", error);
}

bool store_set_autostart(struct store *s, const uint8_t uuid[UUID_BYTES], bool on, GError **error)
{
	store_bind_uuid(s->st[ST_SET_AUTOSTART], 1, uuid);
	sqlite3_bind_int(s->st[ST_SET_AUTOSTART], 2, on);
	return store_step(s, ST_SET_AUTOSTART, "set autostart", error);
}

bool store_set_state(struct store *s, const uint8_t uuid[UUID_BYTES], int state, int reason,
		     GError **error)
{
	store_bind_uuid(s->st[ST_SET_STATE], 1, uuid);
	sqlite3_bind_int(s->st[ST_SET_STATE], 2, state);
	sqlite3_bind_int(s->st[ST_SET_STATE], 3, reason);
	return store_step(s, ST_SET_STATE, "store the state", error);
}

bool store_next_id(struct store *s, int *ret, GError **error)
{
	sqlite3_stmt *st = s->st[ST_NEXT_ID];
	bool ok;
	int id;

	store_mode(s, true);
	ok = sqlite3_step(st) == SQLITE_ROW;
	id = ok ? sqlite3_column_int(st, 0) : 0;

	/* RETURNING gives its row before the commit: only the next step writes it. */
	ok = ok && sqlite3_step(st) == SQLITE_DONE;
	if (!ok)
		store_error(s, "give out an id", error);
	sqlite3_reset(st);
	if (ok)
		*ret = id;
	return ok;
}

void store_note_id(struct store *s, int id)
{
	g_autoptr(GError) error = NULL;

	if (!store_write_soon(s, &error, "note an id",
			      "UPDATE counters SET value = ?1"
			      " WHERE name = 'domain-id' AND value < ?1", "i", (int64_t)id))
		g_warning("%s", error->message);
}
