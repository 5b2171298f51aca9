/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Block jobs of running domains: what a client asks for, checked against the
 * chain as its images' headers tell it, and what follows from a job's end.
 *
 * The end of a commit of the head is two-phase, for after it the old head is
 * not a thing to start from: the worker holds the disk when old and new head
 * are the same, the definition is saved, the disk goes on.  A vmmd that is
 * killed in between leaves it held; the next one goes by what was saved.
 */
#pragma once

#include "libvmm/rpc/worker.h"
#include "vmmd/disk-live.h"
#include "vmmd/journal.h"

/* libvirt's numbers. */
enum disk_job_type { DISK_JOB_PULL = 1, DISK_JOB_COMMIT = 3, DISK_JOB_COMMIT_HEAD = 4 };
enum disk_job_status {
	DISK_JOB_COMPLETED, DISK_JOB_FAILED, DISK_JOB_CANCELLED, DISK_JOB_IS_READY,
};

/*
 * base, top: a path, "vda[2]", or NULL.  relative: the image whose backing file
 * becomes another names it as the chain did, by relative names only.
 */
struct disk_pull {
	const char *base;
	bool relative;
	uint64_t bytes_per_s;
};

void disk_job_pull(struct domain *dom, const char *disk, const struct disk_pull *pull,
		   disk_live_done *done, void *opaque);

/* deletes: what was committed goes when it is done, if nobody else needs it. */
struct disk_commit {
	const char *base, *top;
	bool shallow, active, relative, deletes;
	uint64_t bytes_per_s;
};

void disk_job_commit(struct domain *dom, const char *disk, const struct disk_commit *commit,
		     disk_live_done *done, void *opaque);
void disk_job_abort(struct domain *dom, const char *disk, bool pivot, disk_live_done *done,
		    void *opaque);

/* An event of the worker's. */
void disk_job_event(struct domain *dom, const worker_event_job *ev);
/* Of an adopted domain: lets go what an earlier vmmd had held. */
void disk_job_adopt(struct domain *dom);
/* Its machine has ended, and its jobs with it. */
void disk_job_gone(struct domain *dom);

#define JOB_DELETE_INTENT "block-delete"
journal_resume_fn job_delete_resume;
/* It is that of a job that may be under way. */
bool job_delete_waits(const struct domain *dom, const struct journal_entry *entry);

/* libvirt's type of a worker's kind. */
int disk_job_type(int kind);
