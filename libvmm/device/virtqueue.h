/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device's side of a split virtqueue (virtio 1.2, 2.7).
 *
 * Owned by the device's thread, all of it.  Knows guest memory and nothing of
 * devices or transports.  A queue that the driver made nonsense of answers
 * -EBADMSG to each virtqueue_pop() until it is reset.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "libvmm/util/state.h"

struct guest_memory;
struct virtqueue;

#define VIRTQUEUE_SIZE_MAX 1024		/* of any queue of any device */

/* Where the driver put the three parts: the transport's queue registers. */
struct virtqueue_layout {
	uint16_t size;
	uint64_t desc_gpa;
	uint64_t avail_gpa;
	uint64_t used_gpa;
};

/*
 * One request of the driver: `out` is what the device reads, `in` what it may
 * write; both point into guest memory and into `iov`, the caller's storage.
 */
struct virtqueue_chain {
	struct iovec *iov;		/* set by the caller, with n_iov places */
	unsigned n_iov;

	struct iovec *out;
	struct iovec *in;
	unsigned n_out;
	unsigned n_in;
	size_t out_bytes;
	size_t in_bytes;
	uint16_t head;			/* what virtqueue_push() wants back */
};

struct virtqueue *virtqueue_new(const struct guest_memory *mem, unsigned size_max);
void virtqueue_free(struct virtqueue *vq);

/*
 * Translates and checks the layout; 0, or -EINVAL when size, alignment or
 * address is wrong.  event_idx, indirect: these features were negotiated.
 */
int virtqueue_enable(struct virtqueue *vq, const struct virtqueue_layout *layout, bool event_idx,
		     bool indirect);
void virtqueue_reset(struct virtqueue *vq);
bool virtqueue_is_enabled(const struct virtqueue *vq);
unsigned virtqueue_size(const struct virtqueue *vq);	/* 0 when not enabled */

/*
 * The next chain: 1 and *chain, 0 when there is none, -EBADMSG for a chain
 * that loops, leaves guest RAM, has an illegal descriptor, more than
 * chain->n_iov pieces or 2^32 bytes.
 */
int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain);
/* Give back the `n` chains popped last, unseen. */
void virtqueue_unpop(struct virtqueue *vq, unsigned n);
/* Chains waiting, as far as the driver's index can be believed. */
unsigned virtqueue_waiting(struct virtqueue *vq);

/* Return a chain with `written` bytes of its `in` filled; in any order. */
void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written);
/* Several at once for the driver: fill() each, then publish() all of them (mergeable buffers). */
void virtqueue_fill(struct virtqueue *vq, unsigned nth, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *vq, unsigned n);

/* Whether the driver wants to hear of what was pushed since the last call. */
bool virtqueue_wants_interrupt(struct virtqueue *vq);

/*
 * Ask the driver not to kick while we drain the queue; then to kick again.
 * kicks_on() is true when chains came in between: drain once more.
 */
void virtqueue_kicks_off(struct virtqueue *vq);
bool virtqueue_kicks_on(struct virtqueue *vq);

/* Both positions; they count chains modulo 2^16. */
void virtqueue_positions(const struct virtqueue *vq, uint16_t *ret_avail, uint16_t *ret_used);

/* Where we are, and which chains we hold.  Load: into an enabled queue; a bad `in` says no. */
void virtqueue_save(const struct virtqueue *vq, struct state_out *out);
void virtqueue_load(struct virtqueue *vq, struct state_in *in);
/* The first head from `from` on that was popped and not pushed; -1: none. */
int virtqueue_held(const struct virtqueue *vq, unsigned from);
/* A held chain once more, as virtqueue_pop() gives it: 1 or -EBADMSG. */
int virtqueue_repop(struct virtqueue *vq, uint16_t head, struct virtqueue_chain *chain);

/* Copy out of `out`, into `in`; the result is the bytes there were, at most len. */
size_t chain_read(const struct virtqueue_chain *chain, size_t off, void *buf, size_t len);
size_t chain_write(const struct virtqueue_chain *chain, size_t off, const void *buf, size_t len);
/* Of one half, the pieces of at most `bytes` bytes from off on: how many.  ret has room for n. */
unsigned chain_pieces(const struct iovec *iov, unsigned n, size_t off, size_t bytes,
		      struct iovec *ret);
/* Shorten a chain in place, by at most what it has: headers and trailers that were dealt with. */
void chain_skip_out(struct virtqueue_chain *chain, size_t bytes);
void chain_skip_in(struct virtqueue_chain *chain, size_t bytes);
void chain_trim_in(struct virtqueue_chain *chain, size_t bytes);
