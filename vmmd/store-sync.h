/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bringing commits to the disk, for the store.  A commit has reached the WAL's
 * pages when it returns, which a kill of the daemon leaves whole and a power cut
 * does not.  A thread waits for the disk meanwhile, for all that were made until
 * it began: so many clients' changes cost one wait, and the main loop none.
 * Owner: the main thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmmd/store.h"

struct store_sync;

/*
 * database: its path; its WAL is there and stays until store_sync_free().
 * failed is told once, from the main loop or store_sync_free(): the disk did not
 * take what was committed.  The system has forgotten those pages then, and the
 * next wait would say that all is well.
 */
struct store_sync *store_sync_new(const char *database, void (*failed)(int err, void *opaque),
				  void *opaque, GError **error);
/* All is on the disk, or an error was logged; who waits is told. */
void store_sync_free(struct store_sync *s);
/* There was a commit, after which the WAL has so many pages; whole: it is on the disk. */
void store_sync_committed(struct store_sync *s, unsigned wal_pages, bool whole);
uint64_t store_sync_commits(const struct store_sync *s);
bool store_sync_is_done(const struct store_sync *s);
/* fn is called from the main loop when all that has been committed is on the disk. */
void store_sync_when(struct store_sync *s, store_synced_fn *fn, void *opaque);
