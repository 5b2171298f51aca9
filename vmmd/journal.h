/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Intents: what is about to be done to files, written down before the first
 * of them is touched, so that a daemon that died is followed by one that
 * resumes or undoes it.
 *
 *	journal_begin()			on the disk when it returns
 *	... files are made ...		journal_step() where the way back changes
 *	store_begin(); the final change of the tables; journal_end(); store_commit();
 *	... what is no longer needed goes ...
 *
 * What lies after the commit belongs to an intent of its own, or into the same
 * one with a step that says so and an end of its own.  At the daemon's start
 * each row that is left goes to its kind's handler, which must bear being
 * killed at any place, and called again.
 */
#pragma once

#include "vmmd/daemon.h"
#include "vmmd/store.h"

struct journal_entry {
	int64_t id;
	char *kind;			/* "snapshot-create" */
	uint8_t uuid[UUID_BYTES];	/* of the domain or pool that it is about */
	int step;
	char *body;			/* text in the kind's own format */
	int64_t created_s;
};

bool journal_begin(struct store *store, const char *kind, const uint8_t uuid[UUID_BYTES],
		   const char *body, int64_t *ret_id, GError **error);
/* body NULL: as it was. */
bool journal_step(struct store *store, int64_t id, int step, const char *body, GError **error);
bool journal_end(struct store *store, int64_t id, GError **error);

/* All that are left, oldest first; of struct journal_entry, the array is the caller's. */
GPtrArray *journal_list(struct store *store, GError **error);

/*
 * entry is gone when it returns: work that takes time keeps what it needs.
 * The handler ends the intent; one that can't says why in *error, and the row
 * stays for the next start and for the doctor.
 */
typedef bool journal_resume_fn(struct daemon *daemon, const struct journal_entry *entry,
			       GError **error);

struct journal_kind {
	const char *name;
	journal_resume_fn *resume;
};

/* Ends with a name of NULL. */
void journal_resume_all(struct daemon *daemon, const struct journal_kind *kinds);
