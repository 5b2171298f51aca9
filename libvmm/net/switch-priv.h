/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between switch.c (ports, frames from one to the other) and switch-gateway.c. */
#pragma once

#include "libvmm/net/frame.h"
#include "libvmm/net/offload.h"
#include "libvmm/net/switch.h"
#include "libvmm/util/cleanup.h"

#define SWITCH_BATCH 32
#define FRAME_ROOM (NET_HDR_BYTES + NET_FRAME_MAX)
#define LEARN_SETS 256u
#define LEARN_WAYS 4u

struct learned {
	uint8_t mac[MAC_BYTES];
	struct switch_port *port;	/* NULL: free */
	int64_t seen_us;
};

struct switch_port {
	struct net_switch *sw;
	char *key, *name;
	unsigned number;
	uint8_t mac[MAC_BYTES];
	int fd;
	GSource *source;
	gpointer tag;
	unsigned offload;		/* what its guest takes; 0 until it says */
	bool dead;			/* goes when the batch is over */
	struct iovec pending[SWITCH_BATCH];	/* of this batch; into sw->frames */
	unsigned n_pending;
	GQueue queue;			/* of GBytes: what its socket had no room for */
	size_t queued_bytes;
	uint64_t dropped;
};

struct net_switch {
	struct switch_opts o;
	char *domain;
	struct dns *dns;
	GPtrArray *ports;
	unsigned last_number;
	struct learned table[LEARN_SETS][LEARN_WAYS];
	int64_t now_us;			/* of this batch */
	uint8_t frames[SWITCH_BATCH][FRAME_ROOM];
	uint8_t scratch[FRAME_ROOM];	/* segments */
	uint8_t made[FRAME_ROOM];	/* the gateway's own, and the uplink's */
};

static inline uint8_t *frame_of(uint8_t *data)
{
	return data + NET_HDR_BYTES;
}

/*
 * data: a frame with its header, in sw->frames (from != NULL) or not.  To all
 * that its destination means, but not back.
 */
void switch_forward(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len);
/* Sends what forwarding has left pending. */
void switch_flush(struct net_switch *s);

/* A guest's frame for the gateway, or for all. */
void gateway_input(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len);
void gateway_init(struct net_switch *s);
