/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the files that keep their tables' statements beside the functions that
 * use them.  A statement is always reset before a function returns.
 */
#pragma once

#include <sqlite3.h>

#include "vmmd/store.h"

struct store_sync;

struct store {
	char *path;
	sqlite3 *db;
	sqlite3_stmt **st;		/* store.c's own, by enum statement */
	GHashTable *others;		/* text -> statement of the store's other files */
	const char *author;		/* of revisions; NULL: vmmd */
	unsigned restored;		/* the revision that is being brought back; 0: none */
	store_changed_fn *changed;	/* NULL: nobody wants to know */
	void *changed_opaque;
	struct store_sync *sync;	/* NULL: a database in memory */
	bool soon;			/* PRAGMA synchronous is NORMAL, else FULL */
	int failed;			/* store-fail.c: errno of the disk; 0 */
};

/* store_migrations[n] brings version n to n + 1. */
extern const char *const store_migrations[];

/* Prepared at its first use; text is a literal. */
sqlite3_stmt *store_statement(struct store *store, const char *text, GError **error);
/* Steps a statement that gives no rows, and resets it.  what is for the message. */
bool store_run(struct store *store, sqlite3_stmt *st, const char *what, GError **error);
/* Likewise; outside a transaction it is on the disk soon, not when it returns. */
bool store_run_soon(struct store *store, sqlite3_stmt *st, const char *what, GError **error);
void store_reset(sqlite3_stmt *st);
/*
 * A whole statement without rows: types has a letter for each parameter, 'i'
 * int64_t, 's' const char * (NULL: NULL), 'u' a uuid's bytes.
 */
bool store_write(struct store *store, GError **error, const char *what, const char *text,
		 const char *types, ...);
bool store_write_soon(struct store *store, GError **error, const char *what, const char *text,
		      const char *types, ...);
int64_t store_last_id(struct store *store);
void store_bind_uuid(sqlite3_stmt *st, int at, const uint8_t uuid[UUID_BYTES]);
/* SQL's functions author(), restored() and changed(), which triggers call. */
bool store_functions(struct store *store, GError **error);
bool store_exec(struct store *store, const char *sql, GError **error);
/* From now on nothing is changed. */
void store_fail(int err, void *store);
void store_look_failed(struct store *store);
/* What SQLite says went wrong last; false. */
bool store_error(struct store *store, const char *what, GError **error);
