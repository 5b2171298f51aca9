/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by image-copy.c (the chunks' way) and image-copy-work.c (what threads do with them). */
#pragma once

#include "libvmm/block/image-priv.h"

enum slot_state { SLOT_READING, SLOT_WORKING, SLOT_READY, SLOT_WRITING, SLOT_DONE };

struct slot {
	struct copy *copy;
	enum slot_state state;
	struct block_req req;
	struct iovec iov;
	uint8_t *buf;
	uint64_t off, bytes, pos;	/* of the target's disk; what has been written of it */
	int result;			/* of the work */
	bool zeroes;			/* all of it, and buf is not used */
	GArray *extents;		/* struct extent: not read yet, a thread does */
	uint8_t *packed;		/* a cluster of this at the place of each in buf */
	uint32_t *packed_bytes;		/* by cluster; 0: not smaller, write it plainly */
};

struct copy {
	const struct image_copy *o;
	struct slot slots[IMAGE_REQUESTS_MAX];
	struct slot *used[IMAGE_REQUESTS_MAX], *idle[IMAGE_REQUESTS_MAX];
	unsigned n, n_idle;		/* used: in the order of offsets */
	unsigned n_slots, n_reading;
	uint64_t pos, end;		/* slots were given out up to pos */
	uint32_t cluster;		/* compressing: of the target */
	uint32_t chunk;			/* a multiple of it */
	GThreadPool *pool;
	GMutex lock;
	GCond worked;
	int result;
	bool reading_failed;
};

/* Of the pool: a slot that is WORKING becomes READY. */
void copy_work(void *slot, void *copy);
