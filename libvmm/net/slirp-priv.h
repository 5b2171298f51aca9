/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What slirp.c (loop, backend) and slirp-forward.c (ports) share. */
#pragma once

#include <libslirp.h>

#include "libvmm/net/slirp.h"
#include "libvmm/util/cleanup.h"

struct poll_slot {
	GPollFD poll;
	bool added;		/* to the source */
};

struct slirp_net {
	struct net_backend base;
	Slirp *slirp;
	GSource *source;
	GPtrArray *polls;	/* of struct poll_slot, in libslirp's order */
	unsigned n_polls;	/* in use this time */
	int64_t deadline_us;	/* libslirp wants to be called then; -1: never */
	GQueue frames;		/* of GBytes, to the guest */
	size_t queued_bytes;
	bool want_read;
	uint64_t dropped;
	uint8_t frame[NET_FRAME_MAX];	/* from the guest */
};

static inline struct slirp_net *slirp_of(struct net_backend *b)
{
	return container_of(b, struct slirp_net, base);
}
