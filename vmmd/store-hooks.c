/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What triggers ask the daemon and tell it; and when what they have changed is on the disk. */
#include "config.h"
#include "vmmd/store-priv.h"
#include "vmmd/store-sync.h"

/* ---- what the triggers of revisions ask ---- */

static void sql_author(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const struct store *s = sqlite3_user_data(context);

	sqlite3_result_text(context, s->author ?: "vmmd", -1, SQLITE_TRANSIENT);
}

static void sql_restored(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const struct store *s = sqlite3_user_data(context);

	sqlite3_result_int64(context, s->restored);
}

/* ---- what has changed, for whoever watches ---- */

static const char watch_sql[] =
	"CREATE TEMP TRIGGER IF NOT EXISTS new_domain AFTER INSERT ON main.domains"
	" BEGIN SELECT changed(new.uuid); END;"
	"CREATE TEMP TRIGGER IF NOT EXISTS next_domain"
	" AFTER UPDATE OF name, xml, autostart ON main.domains"
	" BEGIN SELECT changed(new.uuid); END;"
	"CREATE TEMP TRIGGER IF NOT EXISTS no_domain AFTER DELETE ON main.domains"
	" BEGIN SELECT changed(old.uuid); END;"
	"CREATE TEMP TRIGGER IF NOT EXISTS new_pool AFTER INSERT ON main.pools"
	" BEGIN SELECT changed(new.uuid); END;"
	"CREATE TEMP TRIGGER IF NOT EXISTS next_pool AFTER UPDATE ON main.pools"
	" BEGIN SELECT changed(new.uuid); END;"
	"CREATE TEMP TRIGGER IF NOT EXISTS no_pool AFTER DELETE ON main.pools"
	" BEGIN SELECT changed(old.uuid); END";

static void sql_changed(sqlite3_context *context, int argc, sqlite3_value **argv)
{
	const struct store *s = sqlite3_user_data(context);

	if (s->changed && sqlite3_value_bytes(argv[0]) == UUID_BYTES)
		s->changed(sqlite3_value_blob(argv[0]), s->changed_opaque);
}

bool store_watch(struct store *s, store_changed_fn *fn, void *opaque, GError **error)
{
	s->changed = fn;
	s->changed_opaque = opaque;
	return !fn || store_exec(s, watch_sql, error);
}

bool store_functions(struct store *s, GError **error)
{
	const int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS;

	if (sqlite3_create_function(s->db, "author", 0, flags, s, sql_author, NULL, NULL) ==
		    SQLITE_OK &&
	    sqlite3_create_function(s->db, "restored", 0, flags, s, sql_restored, NULL, NULL) ==
		    SQLITE_OK &&
	    sqlite3_create_function(s->db, "changed", 1, flags, s, sql_changed, NULL, NULL) ==
		    SQLITE_OK)
		return true;
	return store_error(s, "open", error);
}

void store_set_author(struct store *s, const char *who)
{
	s->author = who;
}

const char *store_author(const struct store *s)
{
	return s->author;
}

void store_set_restored(struct store *s, unsigned number)
{
	s->restored = number;
}

uint64_t store_commits(const struct store *s)
{
	return s->sync ? store_sync_commits(s->sync) : 0;
}

bool store_is_synced(const struct store *s)
{
	return !s->sync || store_sync_is_done(s->sync);
}

void store_when_synced(struct store *s, store_synced_fn *fn, void *opaque)
{
	if (s->sync)
		store_sync_when(s->sync, fn, opaque);
	else
		fn(NULL, opaque);
}
