/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * User networking: libslirp on the owner's main loop.  The guest sees
 * 10.0.2.0/24 with the host at .2, a DNS relay at .3 and itself at .15 by
 * DHCP; nothing needs a privilege.
 */
#pragma once

#include "libvmm/net/net.h"

/* One port, expanded from <portForward>'s ranges (less their exclusions). */
struct slirp_forward {
	bool udp;
	const char *host_addr;	/* "127.0.0.1"; NULL: every IPv4 address */
	uint16_t host_port;
	const char *guest_addr;	/* NULL: the first DHCP address */
	uint16_t guest_port;
};

struct slirp_opts {
	GMainContext *owner;
	const char *hostname;	/* the guest's, by DHCP; may be NULL */
	const char *network;	/* "10.0.2.0"; NULL is that */
	unsigned prefix;	/* 24; 0 is that */
	uint32_t host, nameserver;	/* in the host's order; 0: the second and third address */
	bool restricted;	/* the guest sees only the host's own services and its forwards */
	bool ipv6;
	const char *network6;	/* "fec0::"; NULL is that */
	unsigned prefix6;	/* 64; 0 is that */
	unsigned mtu;		/* 0: 1500; up to 65521 */
	const struct slirp_forward *forwards;
	unsigned n_forwards;
};

struct net_backend *slirp_net_new(const struct slirp_opts *opts, GError **error);

/* Is it such a backend? */
bool slirp_net_is(const struct net_backend *b);

/* While it runs.  The address and port that is taken is named in the error. */
bool slirp_forward_add(struct net_backend *b, const struct slirp_forward *f, GError **error);
/* By protocol, host address and port. */
bool slirp_forward_remove(struct net_backend *b, const struct slirp_forward *f, GError **error);
