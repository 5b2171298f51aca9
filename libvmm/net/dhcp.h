/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A DHCP server (RFC 2131, 2132) for one network of guests: fixed addresses
 * by card or name, others from ranges, leases that come back.  It sees and
 * makes DHCP messages only; its owner brings them in frames.
 *
 * Everything it reads is a guest's.  What one port can hold of the pool is
 * bounded (DHCP_PORT_LEASES), so a guest that invents cards starves itself.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvmm/util/mac.h"

#define DHCP_LEASE_S 3600		/* where none is given */
#define DHCP_PORT_LEASES 16u
#define DHCP_REPLY_BYTES 1024
#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

struct dhcp_range {
	uint32_t start, end;
	uint32_t lease_s;		/* 0: DHCP_LEASE_S */
};

struct dhcp_host {
	bool has_mac;
	uint8_t mac[MAC_BYTES];
	const char *name;		/* may be NULL if has_mac */
	uint32_t ip;
	uint32_t lease_s;		/* 0: DHCP_LEASE_S */
};

struct dhcp_opts {			/* copied */
	uint32_t server, mask;
	uint32_t reserved;		/* never given out; 0: none */
	bool router, dns;		/* the server is these too */
	const char *domain;		/* NULL: none */
	const struct dhcp_range *ranges;
	unsigned n_ranges;
	const struct dhcp_host *hosts;
	unsigned n_hosts;
};

struct dhcp_lease {
	uint8_t mac[MAC_BYTES];
	uint32_t ip;
	bool bound;			/* else only offered, or declined */
	int64_t expires_s;		/* real time */
	char *name;			/* NULL: the client told none */
	char *client_id;		/* "01:52:54:..."; NULL */
	unsigned port;			/* whose switch port it came from; 0: not known */
};

struct dhcp;

struct dhcp *dhcp_new(const struct dhcp_opts *opts);
void dhcp_free(struct dhcp *d);
/* New fixed addresses; leases that contradict them end when they are renewed. */
void dhcp_set_hosts(struct dhcp *d, const struct dhcp_host *hosts, unsigned n);

struct dhcp_reply {
	uint8_t data[DHCP_REPLY_BYTES];
	size_t bytes;			/* 0: nothing is answered */
	uint32_t to;			/* UINT32_MAX: broadcast */
	bool changed;			/* of the leases */
};

void dhcp_handle(struct dhcp *d, unsigned port, const uint8_t *msg, size_t bytes, int64_t now_s,
		 struct dhcp_reply *ret);

/* The address that this card has, or will get if it asks; 0: none is left. */
uint32_t dhcp_address(struct dhcp *d, unsigned port, const uint8_t mac[MAC_BYTES], int64_t now_s);
/* Bound and not expired; NULL. */
const struct dhcp_lease *dhcp_by_mac(struct dhcp *d, const uint8_t mac[MAC_BYTES], int64_t now_s);
const struct dhcp_lease *dhcp_by_ip(struct dhcp *d, uint32_t ip, int64_t now_s);
const struct dhcp_lease *dhcp_by_name(struct dhcp *d, const char *name, int64_t now_s);
/* The bound ones, of const struct dhcp_lease; the array is the caller's. */
GPtrArray *dhcp_leases(struct dhcp *d, int64_t now_s);

/* A line for each bound lease, and reading that back: lines that are no such are left out. */
char *dhcp_format(struct dhcp *d, int64_t now_s);
void dhcp_restore(struct dhcp *d, const char *text, int64_t now_s);
