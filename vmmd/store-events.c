/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The history of events, and of runs. */
#include "config.h"
#include "vmmd/store-priv.h"

#include <string.h>

static bool add_event(struct store *s, const struct store_event *ev, GError **error)
{
	return store_write(s, error, "store an event",
			   "INSERT INTO events(at, uuid, name, event, detail)"
			   " VALUES(?1, ?2, ?3, ?4, ?5)", "iusii", ev->at_us, ev->uuid, ev->name,
			   (int64_t)ev->event, (int64_t)ev->detail);
}

bool store_add_events(struct store *s, const struct store_event *events, size_t n, GError **error)
{
	bool ok = store_begin_soon(s, error);

	for (size_t i = 0; ok && i < n; i++)
		ok = add_event(s, &events[i], error);
	ok = ok && store_write(s, error, "store an event",
			       "DELETE FROM events WHERE seq <= (SELECT max(seq) FROM events) - ?1",
			       "i", (int64_t)STORE_EVENTS_MAX);
	if (ok)
		return store_commit(s, error);
	store_rollback(s);
	return false;
}

void store_event_free(void *p)
{
	struct store_event *ev = p;

	g_free(ev->name);
	g_free(ev);
}

static void *event_new(sqlite3_stmt *st)
{
	struct store_event *ev = g_new0(struct store_event, 1);

	ev->at_us = sqlite3_column_int64(st, 0);
	memcpy(ev->uuid, sqlite3_column_blob(st, 1),
	       MIN(sqlite3_column_bytes(st, 1), UUID_BYTES));
	ev->name = g_strdup((const char *)sqlite3_column_text(st, 2));
	ev->event = sqlite3_column_int(st, 3);
	ev->detail = sqlite3_column_int(st, 4);
	return ev;
}

/* The statement's rows, newest first, the other way round. */
static GPtrArray *rows(struct store *s, sqlite3_stmt *st, void *(*row_new)(sqlite3_stmt *st),
		       GDestroyNotify row_free, GError **error)
{
	g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(row_free);
	int rc;

	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		g_ptr_array_add(list, row_new(st));
	if (rc != SQLITE_DONE)
		store_error(s, "read the history", error);
	store_reset(st);
	for (unsigned i = 0; i < list->len / 2; i++) {
		void **a = &list->pdata[i], **b = &list->pdata[list->len - 1 - i], *kept = *a;

		*a = *b;
		*b = kept;
	}
	return rc == SQLITE_DONE ? g_steal_pointer(&list) : NULL;
}

GPtrArray *store_events(struct store *s, unsigned max, GError **error)
{
	sqlite3_stmt *st = store_statement(s,
		"SELECT at, uuid, name, event, detail FROM events ORDER BY seq DESC LIMIT ?1",
		error);

	if (!st)
		return NULL;
	sqlite3_bind_int64(st, 1, max);
	return rows(s, st, event_new, store_event_free, error);
}

/* ---- runs ---- */

void store_boot_free(void *p)
{
	struct store_boot *boot = p;

	g_free(boot->name);
	g_free(boot->how);
	g_free(boot);
}

static void *boot_new(sqlite3_stmt *st)
{
	struct store_boot *boot = g_new0(struct store_boot, 1);

	boot->id = sqlite3_column_int(st, 0);
	memcpy(boot->uuid, sqlite3_column_blob(st, 1), UUID_BYTES);
	boot->name = g_strdup((const char *)sqlite3_column_text(st, 2));
	boot->started_us = sqlite3_column_int64(st, 3);
	boot->boot_ms = sqlite3_column_type(st, 4) == SQLITE_NULL ? -1 :
								     sqlite3_column_int64(st, 4);
	boot->restored = sqlite3_column_int(st, 5);
	boot->ended_us = sqlite3_column_int64(st, 6);
	boot->how = g_strdup((const char *)sqlite3_column_text(st, 7));
	return boot;
}

bool store_put_boot(struct store *s, const struct store_boot *b, GError **error)
{
	static const char what[] = "store a run";

	if (b->id == 0)
		return store_write(s, error, what,
				   "UPDATE boots SET ended = ?2, how = ?3"
				   " WHERE uuid = ?1 AND ended IS NULL", "uis", b->uuid,
				   b->ended_us, b->how);
	return store_write(s, error, what,
			   "INSERT INTO boots VALUES(?1, ?2, ?3, ?4, nullif(?5, -1), ?6,"
			   " nullif(?7, 0), ?8) ON CONFLICT(id) DO UPDATE SET"
			   " name = excluded.name, ended = excluded.ended, how = excluded.how",
			   "iusiiiis", (int64_t)b->id, b->uuid, b->name, b->started_us, b->boot_ms,
			   (int64_t)b->restored, b->ended_us, b->how) &&
	       store_write(s, error, what,
			   "DELETE FROM boots WHERE id <= ("
			   "SELECT id FROM boots ORDER BY id DESC LIMIT 1 OFFSET ?1)", "i",
			   (int64_t)STORE_BOOTS_MAX);
}

GPtrArray *store_boots(struct store *s, int id, unsigned max, GError **error)
{
	sqlite3_stmt *st = store_statement(s,
		"SELECT id, uuid, name, started, boot_ms, restored, ended, how FROM boots"
		" WHERE ?1 IN (0, id) ORDER BY id DESC LIMIT ?2", error);

	if (!st)
		return NULL;
	sqlite3_bind_int64(st, 1, id);
	sqlite3_bind_int64(st, 2, max);
	return rows(s, st, boot_new, store_boot_free, error);
}
