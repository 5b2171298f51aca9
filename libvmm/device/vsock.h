/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-vsock (virtio 1.2, 5.10): stream sockets between the guest and Unix
 * sockets of the host.
 *
 * To the guest: who connects to the listening socket says "CONNECT PORT\n" and
 * is answered "OK PORT\n" (the host's end) when the guest has accepted; it is
 * hung up when the guest refuses.  From the guest: a door is asked for a socket
 * that leads to whoever listens on the host's port.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#define VSOCK_CONNS_MAX 2048		/* at once, both directions */
#define VSOCK_CID_HOST 2
#define VSOCK_CID_FIRST 3		/* of guests */
#define VSOCK_CID_LAST 0xfffffffeu

struct guest_memory;
struct virtio_device;

/* Over the door's SOCK_SEQPACKET socket; an answer with error 0 comes with a stream socket. */
struct vsock_ask {
	uint32_t port;
	uint32_t token;
};

struct vsock_answer {
	uint32_t token;
	int32_t error;			/* errno */
};

struct vsock_opts {
	const char *name;		/* alias: "vsock0" */
	uint32_t cid;
	int listen_fd;			/* a listening Unix stream socket; -1: none */
	int door_fd;			/* -1: nobody listens on the host */
};

/* Takes both descriptors, also on failure; ctx is the owner. */
struct virtio_device *vsock_new(const struct vsock_opts *opts, struct guest_memory *mem,
				GMainContext *ctx, GError **error);
/* Connections that there are now.  Any thread. */
unsigned vsock_conns(struct virtio_device *dev);
