/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of intents. */
#include "config.h"
#include "vmmd/journal.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/store-priv.h"

bool journal_begin(struct store *store, const char *kind, const uint8_t uuid[UUID_BYTES],
		   const char *body, int64_t *ret_id, GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"INSERT INTO intents(kind, uuid, step, body, created)"
		" VALUES(?1, ?2, 0, ?3, unixepoch())", error);

	if (!st)
		return false;
	sqlite3_bind_text(st, 1, kind, -1, SQLITE_TRANSIENT);
	store_bind_uuid(st, 2, uuid);
	sqlite3_bind_text(st, 3, body, -1, SQLITE_TRANSIENT);
	if (!store_run(store, st, "write down an intent", error))
		return false;
	*ret_id = sqlite3_last_insert_rowid(sqlite3_db_handle(st));
	fault_point("journal:begun");
	return true;
}

bool journal_step(struct store *store, int64_t id, int step, const char *body, GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"UPDATE intents SET step = ?2, body = coalesce(?3, body) WHERE id = ?1", error);

	if (!st)
		return false;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int(st, 2, step);
	sqlite3_bind_text(st, 3, body, -1, SQLITE_TRANSIENT);
	return store_run(store, st, "write down a step", error);
}

bool journal_end(struct store *store, int64_t id, GError **error)
{
	sqlite3_stmt *st = store_statement(store, "DELETE FROM intents WHERE id = ?1", error);

	if (!st)
		return false;
	sqlite3_bind_int64(st, 1, id);
	return store_run(store, st, "end an intent", error);
}

static void entry_free(void *p)
{
	struct journal_entry *entry = p;

	g_free(entry->kind);
	g_free(entry->body);
	g_free(entry);
}

static struct journal_entry *entry_new(sqlite3_stmt *st)
{
	struct journal_entry *entry = g_new0(struct journal_entry, 1);

	entry->id = sqlite3_column_int64(st, 0);
	entry->kind = g_strdup((const char *)sqlite3_column_text(st, 1));
	memcpy(entry->uuid, sqlite3_column_blob(st, 2), UUID_BYTES);
	entry->step = sqlite3_column_int(st, 3);
	entry->body = g_strdup((const char *)sqlite3_column_text(st, 4));
	entry->created_s = sqlite3_column_int64(st, 5);
	return entry;
}

GPtrArray *journal_list(struct store *store, GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"SELECT id, kind, uuid, step, body, created FROM intents ORDER BY id", error);
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(entry_free);
	int rc;

	if (!st)
		return NULL;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		g_ptr_array_add(list, entry_new(st));
	if (rc != SQLITE_DONE)
		store_error(store, "read the intents", error);
	store_reset(st);
	return rc == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}

static bool journal_resume(struct daemon *daemon, const struct journal_kind *kinds,
			   const struct journal_entry *entry, GError **error)
{
	for (const struct journal_kind *k = kinds; k->name; k++)
		if (strcmp(k->name, entry->kind) == 0)
			return k->resume(daemon, entry, error);
	return error_set(error, VMM_ERR_INTERNAL, "nobody knows what it means");
}

void journal_resume_all(struct daemon *daemon, const struct journal_kind *kinds)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = journal_list(daemon->store, &error);

	if (!list)
		g_warning("%s", error->message);
	for (unsigned i = 0; list && i < list->len; i++) {
		const struct journal_entry *entry = g_ptr_array_index(list, i);
		g_autoptr(GError) why = NULL;

		g_message("intent %" G_GINT64_FORMAT " (%s) was interrupted at step %d: going on",
			  entry->id, entry->kind, entry->step);
		if (!journal_resume(daemon, kinds, entry, &why))
			g_warning("intent %" G_GINT64_FORMAT " (%s) stays: %s", entry->id,
				  entry->kind, why->message);
	}
}
