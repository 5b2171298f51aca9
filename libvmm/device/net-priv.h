/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What net.c (life, configuration, control queue) and net-queue.c (frames) share. */
#pragma once

#include <linux/virtio_net.h>
#include <stdatomic.h>

#include "libvmm/device/net.h"
#include "libvmm/device/virtio.h"
#include "libvmm/net/net.h"
#include "libvmm/util/cleanup.h"

static_assert(sizeof(struct virtio_net_hdr_v1) == NET_HDR_BYTES, "virtio 1.2, 5.1.6");

#define NET_CHAIN_IOV 256	/* pieces of one chain; Linux uses 20 at most */
#define NET_RX_CHAINS 64	/* buffers that make up one frame */
#define NET_RX_HINT_MIN 2048	/* an ordinary frame */
#define NET_RX_IOV (NET_CHAIN_IOV + NET_RX_CHAINS)

struct net {
	struct virtio_device vdev;
	struct net_backend *backend;
	unsigned pairs;		/* in use; the driver's choice */
	bool link;
	unsigned offload;	/* enum net_offload that the backend was told */
	unsigned rx_hint;	/* bytes of the last frame: how much room to offer next time */

	struct iovec iov[NET_RX_IOV];		/* of chains */
	struct iovec frame_iov[NET_RX_IOV + 1];	/* what the backend fills */
	struct virtqueue_chain chains[NET_RX_CHAINS];
	uint8_t *spill;		/* the end of a frame that is larger than rx_hint said */

	_Atomic uint64_t rx_bytes, rx_packets, rx_errs, rx_drop;
	_Atomic uint64_t tx_bytes, tx_packets, tx_errs, tx_drop;
};

static inline struct net *net_of(struct virtio_device *dev)
{
	return container_of(dev, struct net, vdev);
}

/* Frames to the guest until there are no more, no buffers, or it is others' turn. */
void net_rx(struct net *net, unsigned pair);
/* Throw away what came while nobody listened. */
void net_rx_discard(struct net *net, unsigned pair);
void net_tx(struct net *net, unsigned pair);
