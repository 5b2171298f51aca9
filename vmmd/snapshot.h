/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Snapshots of a whole machine: its definition, its disks and, if it runs, its
 * memory, in a tree whose every node can be gone back to or deleted.
 *
 * Making and reverting are written down before the first file is made, and are
 * one transaction when the last one is; what a killed daemon has begun, the
 * next one undoes or completes.  Deleting is one transaction
 * of its own; merging the files of what was deleted comes after it, and may be
 * put off.
 *
 * done runs exactly once, perhaps before the call returns.
 */
#pragma once

#include "libvmm/domain/snapshot.h"
#include "vmmd/domain.h"
#include "vmmd/journal.h"

/* libvirt's numbers. */
enum snapshot_create_flags {
	SNAPSHOT_CREATE_REDEFINE = 1, SNAPSHOT_CREATE_CURRENT = 2, SNAPSHOT_CREATE_NO_METADATA = 4,
	SNAPSHOT_CREATE_HALT = 8, SNAPSHOT_CREATE_DISK_ONLY = 0x10,
	SNAPSHOT_CREATE_REUSE_EXT = 0x20, SNAPSHOT_CREATE_QUIESCE = 0x40,
	SNAPSHOT_CREATE_ATOMIC = 0x80, SNAPSHOT_CREATE_LIVE = 0x100,
	SNAPSHOT_CREATE_VALIDATE = 0x200,
};
enum snapshot_revert_flags {
	SNAPSHOT_REVERT_RUNNING = 1, SNAPSHOT_REVERT_PAUSED = 2, SNAPSHOT_REVERT_FORCE = 4,
	SNAPSHOT_REVERT_RESET_NVRAM = 8,
};
enum snapshot_delete_flags {
	SNAPSHOT_DELETE_CHILDREN = 1, SNAPSHOT_DELETE_METADATA_ONLY = 2,
	SNAPSHOT_DELETE_CHILDREN_ONLY = 4,
};

/* name: of the snapshot; valid during the call. */
typedef void snapshot_done(struct domain *dom, const char *name, const GError *error, void *opaque);

/* def is taken. */
void snapshot_create(struct domain *dom, snapshot_def *def, unsigned flags, snapshot_done *done,
		     void *opaque);
/* What a client was shown of a snapshot becomes one again, or has a new description. */
bool snapshot_redefine(struct domain *dom, const snapshot_def *def, bool current, GError **error);
void snapshot_revert(struct domain *dom, const char *name, unsigned flags, snapshot_done *done,
		     void *opaque);
void snapshot_delete(struct domain *dom, const char *name, unsigned flags, snapshot_done *done,
		     void *opaque);
char *snapshot_xml(struct domain *dom, const char *name, GError **error);

/* Of the journal's kinds of the same names. */
journal_resume_fn snapshot_create_resume, snapshot_revert_resume, snapshot_merge_resume,
	snapshot_untag_resume;
/* Removes the files that a killed daemon had no time to. */
void snapshot_sweep_all(struct daemon *daemon);
