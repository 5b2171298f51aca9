/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What must outlive the daemon, in SQLite.  Each change is one transaction.
 * When the function returns a kill of the daemon leaves it; the answer to a call
 * waits until a power cut does, too (server.h).  What files are changed after
 * lies between store_begin() and store_commit(), or is an intent (journal.h):
 * those are on the disk when they return.  Owner: the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/util/uuid.h"

#define STORE_VERSION 9			/* PRAGMA user_version of what we write */
#define STORE_EVENTS_MAX 10000		/* how much history is kept */
#define STORE_BOOTS_MAX 10000

struct store;

struct store_domain {
	uint8_t uuid[UUID_BYTES];
	const char *name;
	const char *xml;		/* the saved definition */
	bool autostart;
	int state, reason;		/* of its last end: enum domain_state, enum wire_reason */
	int64_t created_s;
};

struct store_event {
	int64_t at_us;
	uint8_t uuid[UUID_BYTES];
	char *name;
	int event, detail;		/* numbers of the wire's lifecycle events */
};

struct store_boot {			/* one run of a domain */
	int id;				/* the domain's while it ran: 0 when that is not known */
	uint8_t uuid[UUID_BYTES];
	char *name;
	int64_t started_us;		/* real time */
	int64_t boot_ms;		/* from the start's beginning to running vCPUs; -1 */
	bool restored;
	int64_t ended_us;		/* 0: it runs, or nobody saw its end */
	char *how;			/* it ended; NULL */
};

/* Makes the file and brings it up to STORE_VERSION; refuses one from a newer version. */
struct store *store_open(const char *path, GError **error);
void store_close(struct store *store);

/*
 * What lies between begin and commit is one change; a function that fails in
 * between is followed by a rollback.  A commit that fails has rolled back.
 */
bool store_begin(struct store *store, GError **error);
/* Its commit is on the disk soon, like a single change. */
bool store_begin_soon(struct store *store, GError **error);
bool store_commit(struct store *store, GError **error);
void store_rollback(struct store *store);

/* How many commits there were. */
uint64_t store_commits(const struct store *store);
bool store_is_synced(const struct store *store);
/*
 * fn is told when all that has been committed is on the disk, from the main
 * loop or store_close(); error: the disk has failed.
 */
typedef void store_synced_fn(const GError *error, void *opaque);
void store_when_synced(struct store *store, store_synced_fn *fn, void *opaque);

/* False: the disk has failed, and each change is refused in these words until a new vmmd. */
bool store_is_sound(const struct store *store, GError **error);

typedef void store_domain_fn(const struct store_domain *row, void *opaque);

bool store_domains(struct store *store, store_domain_fn *fn, void *opaque, GError **error);
/* New, or new name and XML of the same uuid (its state and autostart stay as they are). */
bool store_put_domain(struct store *store, const struct store_domain *row, GError **error);
bool store_remove_domain(struct store *store, const uint8_t uuid[UUID_BYTES], GError **error);
bool store_set_autostart(struct store *store, const uint8_t uuid[UUID_BYTES], bool on,
			 GError **error);
bool store_set_state(struct store *store, const uint8_t uuid[UUID_BYTES], int state, int reason,
		     GError **error);
/*
 * Who changes definitions from now on, for their history (history.h); NULL:
 * the daemon itself.  who must last until the next call.
 */
void store_set_author(struct store *store, const char *who);
const char *store_author(const struct store *store);
/* What changes a definition until it is 0 again brings back revision number. */
void store_set_restored(struct store *store, unsigned number);
/*
 * fn is told the uuid of each domain and pool whose row is written from now on,
 * within the transaction, which may yet be rolled back.  NULL: nobody is.
 */
typedef void store_changed_fn(const uint8_t uuid[UUID_BYTES], void *opaque);
bool store_watch(struct store *store, store_changed_fn *fn, void *opaque, GError **error);
/* An id that no domain has had before. */
bool store_next_id(struct store *store, int *ret, GError **error);
/* Somebody has this id: a database that was made anew would give it out again. */
void store_note_id(struct store *store, int id);
/* Newest last, max at most; of struct store_event, the array is the caller's. */
GPtrArray *store_events(struct store *store, unsigned max, GError **error);
/*
 * One run as it is known now: new, or again, when it has ended.  id 0: the end
 * of whichever run of that domain has none.
 */
bool store_put_boot(struct store *store, const struct store_boot *boot, GError **error);
/* Of struct store_boot, likewise; id 0: all. */
GPtrArray *store_boots(struct store *store, int id, unsigned max, GError **error);
void store_event_free(void *event);
void store_boot_free(void *boot);
bool store_add_events(struct store *store, const struct store_event *events, size_t n,
		      GError **error);
