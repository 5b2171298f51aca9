/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of revisions. */
#include "config.h"
#include "vmmd/history.h"

#include "libvmm/util/error.h"
#include "vmmd/store-priv.h"

static void entry_free(void *p)
{
	struct history_entry *entry = p;

	g_free(entry->who);
	g_free(entry);
}

static struct history_entry *entry_new(sqlite3_stmt *st)
{
	struct history_entry *entry = g_new(struct history_entry, 1);

	*entry = (struct history_entry){
		.number = (unsigned)sqlite3_column_int64(st, 0),
		.at_s = sqlite3_column_int64(st, 1),
		.who = g_strdup((const char *)sqlite3_column_text(st, 2)),
		.restored = (unsigned)sqlite3_column_int64(st, 3),
		.bytes = (unsigned)sqlite3_column_int64(st, 4),
	};
	return entry;
}

GPtrArray *history_list(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned max,
			GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"SELECT * FROM (SELECT number, at, who, restored, length(CAST(xml AS BLOB))"
		" FROM revisions WHERE uuid = ?1 ORDER BY number DESC LIMIT ?2) ORDER BY number",
		error);
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(entry_free);
	int rc;

	if (!st)
		return NULL;
	store_bind_uuid(st, 1, uuid);
	sqlite3_bind_int64(st, 2, max);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		g_ptr_array_add(list, entry_new(st));
	if (rc != SQLITE_DONE)
		store_error(store, "read the history", error);
	store_reset(st);
	return rc == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}

char *history_xml(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned number,
		  GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"SELECT xml FROM revisions WHERE uuid = ?1 AND number = ?2", error);
	char *xml = NULL;
	int rc;

	if (!st)
		return NULL;
	store_bind_uuid(st, 1, uuid);
	sqlite3_bind_int64(st, 2, number);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		xml = g_strdup((const char *)sqlite3_column_text(st, 0));
	else if (rc == SQLITE_DONE)
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: the definition has no revision %u", number);
	else
		store_error(store, "read the history", error);
	store_reset(st);
	return xml;
}

bool history_before(struct store *store, const uint8_t uuid[UUID_BYTES], unsigned *ret,
		    GError **error)
{
	sqlite3_stmt *st = store_statement(store,
		"SELECT iif(restored, restored, number) - 1 FROM revisions WHERE uuid = ?1"
		" ORDER BY number DESC LIMIT 1", error);
	int rc, number = 0;

	if (!st)
		return false;
	store_bind_uuid(st, 1, uuid);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		number = sqlite3_column_int(st, 0);
	else if (rc != SQLITE_DONE)
		store_error(store, "read the history", error);
	store_reset(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return false;
	if (number <= 0)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: the definition is the first "
				 "that it has been");
	*ret = (unsigned)number;
	return true;
}
