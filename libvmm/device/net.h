/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-net (virtio 1.2, 5.1) before a struct net_backend.  Card and backend
 * share one owner thread.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct guest_memory;
struct net_backend;
struct virtio_device;

struct net_opts {
	const char *name;	/* alias: "net0" */
	uint8_t mac[6];
	unsigned mtu;		/* told to the guest; 0: not told */
	unsigned queue_size;	/* 0: 256 */
	bool link_down;		/* <link state='down'/> */
};

/*
 * Takes the backend, even on failure; ctx is the backend's owner.  Freed by
 * its transport (virtio_mmio_new()).
 */
struct virtio_device *net_new(struct net_backend *backend, const struct net_opts *opts,
			      struct guest_memory *mem, GMainContext *ctx, GError **error);

/* The cable; the guest is told.  Owner's thread. */
void net_set_link(struct virtio_device *dev, bool up);

struct net_stats {		/* as the guest sees it: rx is to the guest */
	uint64_t rx_bytes, rx_packets, rx_errs, rx_drop;
	uint64_t tx_bytes, tx_packets, tx_errs, tx_drop;
};

void net_stats(struct virtio_device *dev, struct net_stats *ret);	/* any thread */
