/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-blk, shared by the device (blk.c) and its requests (blk-request.c). */
#pragma once

#include <linux/virtio_blk.h>

#include "libvmm/block/block.h"
#include "libvmm/device/blk.h"
#include "libvmm/device/throttle.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"

#define SECTOR_BITS 9
#define SECTOR_BYTES (1u << SECTOR_BITS)
#define SEG_MAX 126	/* with header and status 128 */
#define RANGES_MAX 16
#define DISCARD_SECTORS_MAX (UINT32_MAX >> SECTOR_BITS)
#define ZERO_SECTORS_MAX (32u << (20 - SECTOR_BITS))	/* not too many: may be real writes */

struct blk_slot {
	struct block_req req;
	struct blk *blk;
	struct blk_slot *next_waiting;
	uint16_t queue;
	uint8_t *status;		/* in guest memory */
	uint32_t written;		/* what the used element will say */
	uint64_t stat_bytes;
	int64_t start_ns;
	unsigned range, n_ranges;	/* discard, write zeroes */
	struct virtio_blk_discard_write_zeroes ranges[RANGES_MAX];
	struct virtqueue_chain chain;
	struct iovec iov[SEG_MAX + 2];
};

struct blk_queue {
	struct blk_slot *slots;		/* untouched, and so not there, until used */
	uint16_t *free;			/* a stack of slot numbers: the last used is the warmest */
	unsigned n_free;
	bool stalled;			/* stopped for want of a slot */
	bool notify;			/* something was pushed in this turn */
};

struct blk_line {
	struct blk_slot *first, *last;
	bool asked;				/* the first has; and then: */
	int64_t begin_us;
};

struct blk_waits {
	struct throttle *throttle;		/* NULL: no limits */
	struct blk_line lines[N_THROTTLE_LINES];
	GSource *timer;
};

struct blk {
	struct virtio_device vdev;
	struct block *block;
	char serial[BLK_SERIAL_BYTES];
	bool read_only;
	bool no_cache;
	bool writeback;			/* the driver's wce; meaningless without CONFIG_WCE */
	bool draining;
	bool engine_kick;		/* something was submitted outside of blk_kick() */
	unsigned holds;
	bool retry;			/* what waits is to be tried again when held no more */
	enum blk_zeroes detect_zeroes;
	enum blk_policy read_policy, write_policy;
	void (*on_error)(void *opaque, int error, bool must_pause);
	void (*on_room)(void *opaque);
	void *opaque;
	struct blk_slot *waiting;	/* failed, to be tried again; newest first */
	_Atomic int waiting_error;	/* why; 0: none waits */
	GSource *room;			/* looks for space now and then, while they wait for it */
	uint64_t room_wanted;
	struct blk_waits waits;
	GSource *settle;
	unsigned queue_size;
	unsigned n_queues;
	struct blk_queue *queues;
	struct blk_stats stats;		/* written by the owner with atomic stores */
};

static inline struct blk *blk_of(struct virtio_device *dev)
{
	return container_of(dev, struct blk, vdev);
}

/* It waits until the machine goes on. */
void blk_slot_wait(struct blk *blk, struct blk_slot *s, int error);

/* A free slot for a chain of this queue: the caller has seen n_free; and back, unused. */
struct blk_slot *blk_slot_get(struct blk *blk, unsigned queue);
void blk_slot_put(struct blk *blk, struct blk_slot *s);
/* Carry out, or refuse, the request whose chain is in the slot. */
void blk_slot_begin(struct blk *blk, struct blk_slot *s);
/* Take in the chain for blk_slot_submit() at the next start; false: it asks for nothing. */
bool blk_slot_hold(struct blk *blk, struct blk_slot *s);
/* Hand it to the engine (again). */
void blk_slot_submit(struct blk *blk, struct blk_slot *s);

/* blk-throttle.c.  True: it will be submitted when the disk's limits let it. */
bool blk_throttle_queue(struct blk *blk, struct blk_slot *s);
void blk_throttle_go_on(struct blk *blk);	/* after a hold or a stop */
void blk_throttle_reset(struct blk *blk);	/* whoever waits is forgotten */
void blk_throttle_done(struct blk *blk);
