/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on the chain of a disk that is in use.  All of it is the owner's.
 *
 * pull		what lies between the head and `base` (all, when NULL) is copied
 *		into the head; then the head's backing file is `base`, or none.
 * commit	what lies above `base` up to `top` is copied into `base`; then the
 *		image above `top` has `base` behind it.
 * commit of the head: the same with top = the head, while the guest writes.
 *		When both agree it is ready, and stays so, until it is aborted, or
 *		the disk is held, converged and pivoted: then `base` is the head.
 *
 * Killed at any moment, each image of the chain that its definition or another
 * image names is whole and shows what it showed: data is on the disk before
 * the one header is written that makes others superfluous.  An aborted commit
 * leaves in `base` what the images above it hide.
 */
#pragma once

#include "libvmm/block/block.h"

enum block_job_kind {
	BLOCK_JOB_PULL,
	BLOCK_JOB_COMMIT,
	BLOCK_JOB_COMMIT_HEAD,
};

enum block_job_event {
	BLOCK_JOB_READY,	/* of a commit of the head */
	/* the last of a job: block_job_free() it, not from within the call */
	BLOCK_JOB_DONE,
	BLOCK_JOB_FAILED,
};

struct block_job_opts {
	enum block_job_kind kind;
	const char *base;	/* path of an image of the chain; NULL: pull all */
	const char *top;	/* of a commit that is not the head's */
	const char *backing;	/* how the image above calls base then; NULL: by its path */
	int base_fd;		/* commit: of base, for reading and writing; taken */
	int above_fd;		/* likewise of the image above top unless that is the head */
	uint64_t bytes_per_s;	/* 0: no limit */
	void (*event)(void *opaque, enum block_job_event event, const GError *error);
	void *opaque;
};

struct block_job_info {
	uint64_t done_bytes, total_bytes, bytes_per_s;
	const char *base;	/* its path; NULL: none */
	bool ready;
};

struct block_job;

/* The disk is drained.  Descriptors are taken also on failure. */
struct block_job *block_job_start(struct block *b, GMainContext *ctx,
				  const struct block_job_opts *opts, GError **error);
/* A job that is not done is aborted: when this returns it never was, but for the data copied. */
void block_job_free(struct block_job *job);
void block_job_info(const struct block_job *job, struct block_job_info *ret);
void block_job_set_speed(struct block_job *job, uint64_t bytes_per_s);
/* Held and ready: copies what is left; head and base are the same then, both on the disk. */
bool block_job_converge(struct block_job *job, GError **error);
/* After it: base is the head.  Frees the job. */
void block_job_pivot(struct block_job *job);
