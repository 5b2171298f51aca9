/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A tap interface, with vnet headers and one queue per descriptor.  Opening
 * needs CAP_NET_ADMIN and is what vmmd does for its workers; the worker makes
 * a backend of the descriptors.
 */
#pragma once

#include <net/if.h>

#include "libvmm/net/net.h"

struct tap_opts {
	const char *ifname;	/* "vnet7"; with %d ("vnet%d") the kernel picks; NULL is "vnet%d" */
	unsigned queues;	/* pairs, 1 to NET_QUEUES_MAX */
	const char *bridge;	/* joined, if not NULL */
	unsigned mtu;		/* 0: the bridge's, or the kernel's default */
	bool keep_down;		/* do not set it up: its owner does */
};

/* fds gets opts->queues descriptors, ret_ifname the name.  On failure nothing is left behind. */
bool tap_open(const struct tap_opts *opts, int *fds, char ret_ifname[IFNAMSIZ], GError **error);

/* A backend of n descriptors of one tap (with IFF_VNET_HDR); takes them on success. */
struct net_backend *tap_net_new(const int *fds, unsigned n, GMainContext *owner, GError **error);
