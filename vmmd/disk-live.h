/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The disks of a running domain: what changes them goes through its worker.
 */
#pragma once

#include "vmmd/domain.h"

/* dom lives during the call; error is NULL on success. */
typedef void disk_live_done(struct domain *dom, const GError *error, void *opaque);

struct disk_head {
	const char *target;	/* "vda" */
	const char *path;	/* absolute; see below */
};

/*
 * Gives disks of an active domain (running or paused) new heads, for a
 * disk-only snapshot.  The caller has made each file: qcow2, as large as the
 * disk, whose stored backing file is the disk's present head, with its format;
 * it is on the disk (fsync of file and folder) and nobody has it open.
 *
 * All or none.  done() without an error means:
 * - what the guest writes from now on goes to the new heads;
 * - the old heads hold what all disks had at one moment, flushed to the host's
 *   disk and closed properly; no one writes to them any more (the worker has
 *   them open for reading, with a reader's lock);
 * - dom->live and its XML, and what the worker tells a later vmmd, name the
 *   new heads.  dom->saved is the caller's affair: change it in the transaction
 *   that ends its intent.
 * With an error other than VMM_ERR_RPC nothing has changed, and the new files
 * may be removed.
 *
 * When the answer never comes (VMM_ERR_RPC: the worker has ended; or vmmd was
 * killed) it may have happened or not.  If the worker is alive at vmmd's next
 * start, dom->live says which.  If it is not, take it as done: put the new
 * heads into the saved definition.  They hold what the guest wrote last, or
 * they are empty and read as the old heads do.  Never remove them then.
 */
void disk_live_switch_heads(struct domain *dom, const struct disk_head *heads, unsigned n,
			    disk_live_done *done, void *opaque);

/* Its source is this file from now on. */
void disk_live_set_source(struct disk_def *d, const char *path, enum disk_format format);
/* The disk with this target, or with this path as its source; NULL. */
struct disk_def *disk_live_find(const domain_def *def, const char *disk);
