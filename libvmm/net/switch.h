/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A learning switch with a gateway, for the guests of one network.
 *
 * Ports are the other ends of port.h's cables.  Frames are read in batches and
 * handed to the sockets of their receivers with the virtio header that they
 * came with, so checksums and large segments between guests cost nothing; what
 * a receiver does not understand is worked out here (offload.h).  Queues are
 * bounded; what does not fit is dropped, as on a wire.
 *
 * Guests are not trusted.  Each port has a card whose address is its own: a
 * frame of another port that claims it is dropped, nor can the gateway's be
 * claimed.  Further addresses are learned, in a table of fixed size.
 *
 * The gateway answers ARP, echo, DHCP and DNS, and hands the rest to its
 * uplink if there is one.  Owner: the thread of the context.
 */
#pragma once

#include "libvmm/net/dhcp.h"
#include "libvmm/net/dns.h"
#include "libvmm/net/net.h"

#define SWITCH_PORTS_MAX 256u

struct net_switch;
struct switch_port;

struct switch_opts {
	GMainContext *owner;
	uint8_t mac[MAC_BYTES];		/* the gateway's */
	uint32_t address, mask;		/* the gateway's; 0: it has none and answers nothing */
	struct net_backend *uplink;	/* taken; NULL: guests are among themselves */
	uint32_t nameserver;		/* the uplink's, which guests need not see */
	struct dhcp *dhcp;		/* taken; NULL */
	bool dns;
	const char *domain;
	bool local_only;
	/* A port's other end has closed, or its card has an address now; may be NULL. */
	void (*port_gone)(struct switch_port *port, void *opaque);
	void (*leases_changed)(void *opaque);
	void *opaque;
};

struct net_switch *switch_new(const struct switch_opts *opts);
void switch_free(struct net_switch *s);

struct dhcp *switch_dhcp(struct net_switch *s);		/* NULL */
struct dns *switch_dns(struct net_switch *s);		/* NULL */
struct net_backend *switch_uplink(struct net_switch *s);	/* NULL */

struct switch_port_opts {
	const char *key;		/* unique: whose card it is */
	const char *name;		/* the guest's, which is a name of DNS too if it is fit */
	uint8_t mac[MAC_BYTES];
	int fd;				/* taken, also on failure */
};

/* In place of one that has the key. */
struct switch_port *switch_port_add(struct net_switch *s, const struct switch_port_opts *opts,
				    GError **error);
void switch_port_remove(struct switch_port *port);
struct switch_port *switch_port_find(struct net_switch *s, const char *key);
const char *switch_port_key(const struct switch_port *port);
const uint8_t *switch_port_mac(const struct switch_port *port);
/* Of DHCP; not 0. */
unsigned switch_port_number(const struct switch_port *port);
GPtrArray *switch_ports(struct net_switch *s);	/* the switch's own */
