/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One request that concerns a block job: disk-job.c begins jobs, disk-job-end.c
 * ends them, disk-job-delete.c removes what they leave.
 */
#pragma once

#include "vmmd/disk-job.h"
#include "vmmd/link.h"

/* Those of block/job.h and machine.h; worker.x says so. */
enum { KIND_PULL, KIND_COMMIT, KIND_COMMIT_HEAD };
enum { EVENT_READY, EVENT_DONE, EVENT_FAILED };
enum { CONTROL_ABORT, CONTROL_SPEED, CONTROL_HOLD, CONTROL_PIVOT, CONTROL_UNHOLD };

struct job {
	struct domain *dom;
	char *target, *head;
	GPtrArray *chain;	/* of the head, which is the first */
	disk_live_done *done;
	void *opaque;
	int kind;
	unsigned top, bottom;	/* of a commit: indices into the chain */
	char *way;		/* how the image above is to call the base; NULL: by its path */
	/* of a pivot */
	char *base;
	enum disk_format base_format;
};

/* NULL: done() has been called. */
struct job *job_begin(struct domain *dom, const char *disk, disk_live_done *done, void *opaque);
/* Calls done(). */
void job_end(struct job *j, const GError *error);
/* A link_done that ends it. */
void job_on_answer(const void *ret, const GError *error, void *opaque);

const char *job_image_at(const struct job *j, unsigned i);
/* "vda[1]", or a path; -1 and *error when it is not in the chain. */
int job_image_find(const struct job *j, const char *name, GError **error);
/* Of the image at `at`, by the word of the one above it. */
enum disk_format job_format_at(const struct job *j, unsigned at);
/* The header of an image that the worker writes names a file that it never had: false. */
bool job_stranger(const struct job *j, const char *path, GError **error);
/*
 * Images that are about to be superfluous do not stand in the way of what they
 * stood on.  Before the worker is told: a vmmd that is killed in between leaves
 * none of them in the graph.
 */
void job_images_forget(const struct job *j, unsigned first, unsigned end);
/* Is an image in the chain of a disk of this definition (but this one, by target)?  The error. */
bool job_def_needs(const domain_def *def, const char *image, const char *but, GError **error);
/* What the commit of [top, bottom) leaves is to go: written down, if nobody else needs it. */
bool job_delete_begin(const struct job *j, GError **error);
/* In the transaction that makes the base of a commit of the head the saved definition's. */
bool job_delete_note_saved(struct domain *dom, const char *target, GError **error);
/* There is no job any more: what was committed goes.  target NULL: of all disks. */
void job_delete_settle(struct domain *dom, const char *target);
/* A job is over: what it wrote is right, and the chain is what the headers say now. */
void job_graph_follow(struct domain *dom, const char *target);
