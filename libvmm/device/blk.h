/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-blk (virtio 1.2, 5.2) before a struct block.  The disk's thread owns
 * both: every queue, every request and the image.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct block;
struct guest_memory;
struct throttle;
struct virtio_device;

#define BLK_SERIAL_BYTES 20

/* <driver error_policy=, rerror_policy=>: what an I/O error does. */
enum blk_policy {
	BLK_POLICY_REPORT,	/* the guest sees it */
	/* the request waits for the machine to be resumed, and is tried again */
	BLK_POLICY_STOP,
	/* STOP when the host's disk (or the image's owner's share of it) is full, else REPORT */
	BLK_POLICY_ENOSPACE,
	BLK_POLICY_IGNORE,	/* the guest is told that all is well */
};

enum blk_zeroes {
	BLK_ZEROES_OFF,
	BLK_ZEROES_ON,		/* written zeroes are noted as such where the image can */
	BLK_ZEROES_UNMAP,	/* and their space is given back */
};

struct blk_opts {
	const char *name;		/* alias: "virtio-disk0" */
	const char *serial;		/* at most BLK_SERIAL_BYTES; may be NULL */
	unsigned n_queues;		/* 0: 1 */
	unsigned queue_size;		/* 0: 256 */
	bool read_only;
	bool no_cache;			/* writes are on the disk when done: no flush is offered */
	bool discard;			/* offer discard */
	uint32_t logical_block_bytes;	/* 0: 512 */
	uint32_t physical_block_bytes;	/* 0: the logical one */
	enum blk_zeroes detect_zeroes;
	enum blk_policy write_policy;
	enum blk_policy read_policy;
	/* An I/O error that was not hidden; on the disk's thread.  May be NULL. */
	void (*on_error)(void *opaque, int error, bool must_pause);
	/* Requests wait for space, and there is some now; on the disk's thread.  May be NULL. */
	void (*on_room)(void *opaque);
	void *opaque;
};

/*
 * Takes the block, even on failure: attaches it to ctx, closes it when the
 * device is freed.  Freed by its transport (virtio_mmio_new()).
 */
struct virtio_device *blk_new(struct block *block, const struct blk_opts *opts,
			      struct guest_memory *mem, GMainContext *ctx, GError **error);

/* Totals since the machine was built: a consistent enough picture for any thread. */
struct blk_stats {
	uint64_t rd_reqs, rd_bytes, rd_ns;
	uint64_t wr_reqs, wr_bytes, wr_ns;	/* write zeroes too */
	uint64_t fl_reqs, fl_ns;
	uint64_t discard_reqs, discard_bytes;
	uint64_t errs;
};

void blk_stats(struct virtio_device *dev, struct blk_stats *ret);

/* Owner.  Takes the throttle; NULL: no limits. */
void blk_set_throttle(struct virtio_device *dev, struct throttle *t);

/* The errno for which requests wait until the machine goes on; 0: none do.  Any thread. */
int blk_waiting_error(struct virtio_device *dev);

/*
 * Owner.  From hold to release (as often) no request reaches the block, and
 * nothing is in flight in it.  What the driver asks meanwhile waits in its ring.
 */
void blk_hold(struct virtio_device *dev);
void blk_release(struct virtio_device *dev);
struct block *blk_block(struct virtio_device *dev);	/* owner */
/* The block has another size: the driver is told.  Owner. */
void blk_resized(struct virtio_device *dev);
