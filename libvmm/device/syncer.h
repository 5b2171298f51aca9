/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * fsync for devices with files: it may take seconds, so threads do it, on
 * descriptors of their own, while the device's queue goes on.
 *
 * All is called by the device's owner; only the jobs, under the lock, are the
 * threads' as well.  They lie in a fixed table.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SYNCER_JOBS 64

enum sync_what { SYNC_FILE, SYNC_DATA, SYNC_FS };

struct sync_job {
	int fd;				/* taken */
	enum sync_what what;
	uint16_t head;			/* of the chain that waits for it, in that queue */
	unsigned queue;
	uint64_t id;			/* the request's */
	int result;			/* 0 or -errno */
};

struct syncer;

/* ready: something can be taken; it is called in ctx.  name: a constant, the threads'. */
struct syncer *syncer_new(const char *name, GMainContext *ctx, void (*ready)(void *opaque),
			  void *opaque);
/* The threads end what they have begun; nothing is ready any more.  NULL: does nothing. */
void syncer_stop(struct syncer *s);
/* Stopped, and its owner calls no more. */
void syncer_free(struct syncer *s);

/* False: the table is full, or there is no thread: it is done already, job->result says how. */
bool syncer_add(struct syncer *s, struct sync_job *job);
/* One that is done. */
bool syncer_take(struct syncer *s, struct sync_job *ret);
/* One that is done or not, and nobody waits for any more: that with this id, or any. */
bool syncer_forget(struct syncer *s, const uint64_t *id, struct sync_job *ret);
void syncer_forget_all(struct syncer *s);
