/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A job's loop (job.c) and what it does to the chain (job-chain.c). */
#pragma once

#include "libvmm/block/job.h"
#include "libvmm/block/request-priv.h"

enum job_phase { JOB_FIND, JOB_READ, JOB_WRITE, JOB_FLUSH, JOB_READY, JOB_OVER };

struct block_job {
	struct block_job_opts opts;
	struct block *b;
	/* The layers: copied is [from, base), what is above `from` stays (NULL: it is the head). */
	struct layer *above, *from, *base;
	struct block *source, *target;	/* the disk itself or lodgers */
	struct file *base_file;		/* of base, for reading, while it is open for writing */
	char *backing;			/* what above is to call base; NULL: its path */

	enum job_phase phase;
	uint8_t *todo;			/* a bit for each GRANULE of the disk */
	uint64_t n_granules, n_todo;
	uint64_t next;			/* granule to look at first */
	uint64_t pos, end;		/* what was taken off todo and is being copied */
	uint64_t bytes;			/* of it, in flight */
	uint64_t limit;			/* the bytes of the disk that it is about */
	bool busy;			/* a request is */
	bool was_ready;
	bool written;			/* pull: the guest wrote to [pos, pos + bytes) meanwhile */
	int result;
	struct block_req req;
	struct iovec iov;
	uint8_t *buf;
	GSource *step;
	int64_t rest_until_us;		/* for the speed's sake */
};

#define GRANULE (UINT64_C(1) << 16)
#define CHUNK (UINT64_C(1) << 20)

enum job_part { PART_SKIP, PART_COPY, PART_ZERO };

/* What is to be done for a prefix of [off, off + *bytes), by the layers that are copied. */
int job_part(const struct block_job *job, uint64_t off, uint64_t *bytes, enum job_part *ret);
/* Finds the layers, opens what is to be written. */
bool job_chain_begin(struct block_job *job, GError **error);
/* The disk is drained and all is copied and flushed. */
bool job_chain_finish(struct block_job *job, GError **error);
void job_chain_pivot(struct block_job *job);
/* Base is read-only again; the lodgers leave. */
void job_chain_end(struct block_job *job);
