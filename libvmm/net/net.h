/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a network card plugs into.  A backend lives on one GMainContext; all
 * calls in both directions are made on that thread.
 *
 * Frames are pulled: the backend says "readable", the card calls recv() with
 * the guest's own buffers until -EAGAIN.  A card with no buffers does not ask,
 * so frames wait (and are dropped, and counted) where they always were: in the
 * tap's queue, or in slirp's bounded one.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#define NET_QUEUES_MAX 8	/* pairs */
/* struct virtio_net_hdr_v1, before each frame if the backend has vnet_hdr */
#define NET_HDR_BYTES 12
#define NET_FRAME_MAX (65535 + 14 + 4)

/* what the guest takes in received frames; TUNSETOFFLOAD's meaning */
enum net_offload {
	NET_OFFLOAD_CSUM = 1,
	NET_OFFLOAD_TSO4 = 2,
	NET_OFFLOAD_TSO6 = 4,
	NET_OFFLOAD_ECN = 8,
	NET_OFFLOAD_UFO = 16,
};

struct net_backend;

struct net_ops {
	/*
	 * One frame.  0, -EAGAIN (ask by want_write, then try again), or
	 * another -errno: it is lost.
	 */
	int (*send)(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n);
	/* One frame into iov: its bytes (more than iov holds: it was cut), or -EAGAIN. */
	ssize_t (*recv)(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n);
	/* Whether readable() and writable() are to be called, level-triggered. */
	void (*want_read)(struct net_backend *b, unsigned queue, bool on);
	void (*want_write)(struct net_backend *b, unsigned queue, bool on);
	/* enum net_offload; only a subset of the backend's own. */
	int (*set_offload)(struct net_backend *b, unsigned offload);
	int (*set_queues)(struct net_backend *b, unsigned pairs);
	/* Frames dropped for want of a reader. */
	uint64_t (*dropped)(struct net_backend *b);
	void (*free)(struct net_backend *b);
};

/* Filled by the backend's maker, then constant; calls is set by net_plug(). */
struct net_backend {
	const struct net_ops *ops;
	GMainContext *owner;
	bool vnet_hdr;		/* frames have NET_HDR_BYTES before them, both ways */
	unsigned offload;	/* what it can do */
	unsigned queues;	/* pairs */
	const struct net_calls *calls;
	void *card;
};

struct net_calls {		/* the card's end */
	void (*readable)(void *card, unsigned queue);
	void (*writable)(void *card, unsigned queue);
};

static inline void net_plug(struct net_backend *b, const struct net_calls *calls, void *card)
{
	b->calls = calls;
	b->card = card;
}

static inline void net_backend_free(struct net_backend *b)
{
	if (b)
		b->ops->free(b);
}

typedef struct net_backend net_backend;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(net_backend, net_backend_free)
