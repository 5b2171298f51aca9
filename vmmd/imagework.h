/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Changes of images that more than one file takes part in, while no machine
 * runs on them: commit, flatten, rebase, move.
 *
 * Each is an intent in the journal before the first file is touched.  All go
 * forward: what a killed daemon has left half done is simply done again, for each
 * step finds out whether it was taken.
 */
#pragma once

#include "vmmd/daemon.h"
#include "vmmd/journal.h"

enum imagework_op {
	IMAGEWORK_COMMIT,		/* path's contents go into its backing image */
	IMAGEWORK_FLATTEN,		/* path stands alone */
	IMAGEWORK_REBASE,		/* path stands on other; what it reads as stays */
	IMAGEWORK_MOVE,			/* path becomes other; overlays and definitions follow */
	N_IMAGEWORKS,
};

struct imagework_opts {
	enum imagework_op op;
	const char *path, *other;
	const char *format;		/* of other, when it is a backing image */
};

#define IMAGEWORK_INTENT "image-work"

typedef void imagework_done(const GError *error, void *opaque);

/* done is called once, perhaps before it returns. */
void imagework_start(struct daemon *daemon, const struct imagework_opts *opts,
		     imagework_done *done, void *opaque);
bool imagework_resume(struct daemon *daemon, const struct journal_entry *entry, GError **error);
