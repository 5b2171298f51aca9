/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data I/O on host files: io_uring, or the same calls made at once where that
 * is not to be had.  Belongs to the disk's owner thread; allocates nothing
 * after ring_new().
 */
#pragma once

#include "libvmm/block/file.h"

enum ring_code { RING_READ, RING_WRITE, RING_SYNC };

struct ring_op {
	struct ring_op *next;
	enum ring_code code;
	struct file *file;
	uint64_t off;
	const struct iovec *iov;	/* stays until done() */
	unsigned n_iov;
	uint64_t bytes;			/* their sum */
	int result;			/* 0 or -errno */
	void (*done)(struct ring_op *op);
};

struct ring;

/* Never fails: without io_uring it is the synchronous kind. */
struct ring *ring_new(unsigned entries, bool no_uring);
void ring_free(struct ring *r);

/* To be polled for reading; -1 for the synchronous kind. */
int ring_fd(const struct ring *r);
void ring_add(struct ring *r, struct ring_op *op);
/* Hands what was added to the kernel. */
void ring_flush(struct ring *r);
/* Calls done() of what has ended; with wait, for at least one if any is in flight. Their number. */
unsigned ring_reap(struct ring *r, bool wait);
