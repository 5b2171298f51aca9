/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What vsock.c (life, descriptors), vsock-conn.c (connections) and
 * vsock-packet.c (queues) share.
 *
 * All of it belongs to the device's owner.  Nothing is allocated after
 * vsock_new(): connections are slots of an array, and what the host does not
 * read yet waits in the slot's part of one mapping, whose pages are there only
 * while they are used.  A guest can't make more than that wait, for it is told
 * no more credit.
 *
 * A connection is in at most one queue, by its link: of the free ones, or of
 * those that have something for the guest.  The latter go round: each turn one
 * sends at most a batch of buffers.  What has no connection (an RST for a packet
 * that nobody knows) waits in a ring; while that is full nothing is taken from
 * the guest (5.10.6.4.1: no endless promises).
 */
#pragma once

#include <linux/virtio_vsock.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "libvmm/device/virtio.h"
#include "libvmm/device/vsock.h"
#include "libvmm/util/cleanup.h"

static_assert(sizeof(struct virtio_vsock_hdr) == 44, "virtio 1.2, 5.10.6");

#define VSOCK_RX 0			/* queues: to the guest, from the guest, events */
#define VSOCK_TX 1
#define VSOCK_EVENT 2

#define VSOCK_HDR_BYTES sizeof(struct virtio_vsock_hdr)
#define VSOCK_LARGE 256			/* slots with much room; the others have little */
#define VSOCK_LARGE_BYTES (256u << 10)
#define VSOCK_SMALL_BYTES (32u << 10)
#define VSOCK_BUCKETS 1024		/* of the hash over ports */
#define VSOCK_RESETS 256		/* a power of two */
#define VSOCK_CHAIN_IOV 256		/* pieces of one chain; Linux uses 20 at most */
#define VSOCK_IOV (VSOCK_CHAIN_IOV + 64)
#define VSOCK_BATCH 16			/* buffers of the guest that one read fills */
#define VSOCK_SHUT_BOTH (VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

enum vsock_state {
	VSOCK_FREE,
	VSOCK_HANDSHAKE,		/* a client that has not said yet where to */
	VSOCK_REQUESTED,		/* the guest is asked */
	VSOCK_ASKED,			/* the door is asked, or is to be */
	VSOCK_OPEN,
	VSOCK_LINGER,			/* the guest is through, the host has still to read */
	VSOCK_DEAD,			/* but for an RST that is owed */
};

enum vsock_owed {			/* packets for the guest, in the order of their going */
	VSOCK_OWED_RST = 1 << 0,
	VSOCK_OWED_REQUEST = 1 << 1,
	VSOCK_OWED_RESPONSE = 1 << 2,
	VSOCK_OWED_CREDIT = 1 << 3,
	VSOCK_OWED_CREDIT_REQUEST = 1 << 4,
};

struct vsock_conn {
	GList link;			/* data: the connection */
	GQueue *in;			/* where the link is; NULL: nowhere */
	struct vsock_conn *next_hash;
	uint32_t index, life;		/* slot, and how often it was used: its token */
	enum vsock_state state;
	int fd;				/* -1: none, or no more */
	uint32_t guest_port, host_port;
	bool hashed;

	unsigned owed;
	bool unasked;			/* ASKED: the door's socket was full */
	bool readable, writable;	/* until EAGAIN says other */
	bool eof, hup;			/* of the host's end */
	bool starved;			/* the guest has no room for what there is */
	uint8_t guest_shut;		/* VIRTIO_VSOCK_SHUTDOWN_ bits that the guest has sent */
	uint8_t host_shut, told_shut;	/* ours, and those that the guest knows */
	int64_t deadline_us;		/* monotonic; 0: none */

	/* 5.10.6.3, all modulo 2^32 */
	uint32_t peer_alloc, peer_fwd, sent;
	uint32_t got, forwarded, told;

	uint8_t *buf;			/* a ring of `room` bytes: what the host has not taken */
	uint32_t room, at, len;
	bool touched;
};

struct vsock_reset {			/* an RST without a connection */
	uint64_t src_cid, dst_cid;
	uint32_t src_port, dst_port;
	uint16_t type;
};

struct vsock {
	struct virtio_device vdev;
	uint32_t cid;
	int listen_fd, door_fd, epoll_fd;
	GSource *source, *timer;
	void *poll_tag;
	bool accept_waits;		/* for descriptors */
	bool event_owed;		/* 5.10.6.7: the transport was reset */
	bool tx_waits;			/* for room among the resets */
	int64_t stopped_us;
	unsigned n_deadlines;
	_Atomic unsigned n_conns;
	uint32_t next_port;

	struct vsock_conn *conns;	/* VSOCK_CONNS_MAX */
	uint8_t *buffers;		/* of all of them: one mapping */
	struct vsock_conn *buckets[VSOCK_BUCKETS];
	GQueue large, small;		/* free slots */
	GQueue ready;			/* those that have something for the guest */
	struct vsock_reset resets[VSOCK_RESETS];
	unsigned reset_at, n_resets;

	struct iovec iov[VSOCK_IOV], payload[VSOCK_IOV];
	struct virtqueue_chain chains[VSOCK_BATCH];
};

static inline struct vsock *vsock_of(struct virtio_device *dev)
{
	return container_of(dev, struct vsock, vdev);
}

/* --- vsock.c --- */

/* Deadlines are looked at once a second, while there are any. */
void vsock_tick_soon(struct vsock *v);
void vsock_ask_door(struct vsock *v, struct vsock_conn *c);
bool vsock_watch(struct vsock *v, struct vsock_conn *c);

/* --- vsock-conn.c: the table, and ends --- */

bool vsock_conns_init(struct vsock *v, GError **error);
void vsock_conns_done(struct vsock *v);
/* All of them, without a word to the guest. */
void vsock_conns_drop(struct vsock *v);
void vsock_conns_tick(struct vsock *v, int64_t now_us);

/* NULL: there are too many. */
struct vsock_conn *vsock_conn_new(struct vsock *v, enum vsock_state state, int fd);
void vsock_conn_free(struct vsock *v, struct vsock_conn *c);
uint32_t vsock_conn_token(const struct vsock_conn *c);
struct vsock_conn *vsock_conn_by_token(struct vsock *v, uint32_t token);
struct vsock_conn *vsock_conn_find(struct vsock *v, uint32_t guest_port, uint32_t host_port);
void vsock_conn_name(struct vsock *v, struct vsock_conn *c, uint32_t guest_port,
		     uint32_t host_port);
void vsock_conn_deadline(struct vsock *v, struct vsock_conn *c, unsigned ms);
/* It goes among the ready ones if it has something for the guest. */
void vsock_conn_kick(struct vsock *v, struct vsock_conn *c);
/* What waits for the host is forgotten; the pages go back. */
void vsock_conn_empty(struct vsock_conn *c);
/* Bytes that it may send now. */
uint32_t vsock_conn_credit(const struct vsock_conn *c);
/* It had its turn: behind the others, if there is more. */
void vsock_conn_requeue(struct vsock *v, struct vsock_conn *c);
/* The guest has told what room it has. */
void vsock_conn_credited(struct vsock *v, struct vsock_conn *c);
/* The host's end, at once, and an RST for the guest. */
void vsock_conn_abort(struct vsock *v, struct vsock_conn *c);
/* The host will send nothing more; or (error) is gone. */
void vsock_conn_eof(struct vsock *v, struct vsock_conn *c, bool error);

/* The guest's. */
void vsock_conn_reset(struct vsock *v, struct vsock_conn *c);
void vsock_conn_shutdown(struct vsock *v, struct vsock_conn *c, uint32_t flags);

/* --- vsock-host.c: the end on the host --- */

/* Its descriptor has news: EPOLL bits. */
void vsock_conn_event(struct vsock *v, struct vsock_conn *c, uint32_t events);
/* The guest's RESPONSE, and RW. */
void vsock_conn_accepted(struct vsock *v, struct vsock_conn *c);
void vsock_conn_data(struct vsock *v, struct vsock_conn *c, const struct virtqueue_chain *payload);
/* The door's answer: takes fd; -1: nobody listens. */
void vsock_conn_answered(struct vsock *v, struct vsock_conn *c, int fd);

/* --- vsock-packet.c --- */

void vsock_tx(struct vsock *v);		/* packets of the guest, some of them */
void vsock_rx(struct vsock *v);		/* what there is for the guest, some of it */
void vsock_reset_later(struct vsock *v, const struct vsock_reset *reset);
