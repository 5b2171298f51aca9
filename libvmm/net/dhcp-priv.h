/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between dhcp.c (leases) and dhcp-message.c. */
#pragma once

#include <string.h>

#include "libvmm/net/dhcp.h"

#define DHCP_CLIENT_ID_TEXT (3 * 255)

struct dhcp {
	uint32_t server, mask, reserved;
	bool router, dns;
	char *domain;
	GArray *ranges;			/* of struct dhcp_range */
	GArray *hosts;			/* of struct dhcp_host */
	GHashTable *by_ip;		/* the leases' owner; declined ones are only here */
	GHashTable *by_mac;
};

/* What this card may have: its fixed address, what it had, what it wants, any; 0: nothing. */
uint32_t dhcp_choose(struct dhcp *d, unsigned port, const uint8_t *mac, const char *name,
		     uint32_t wanted, int64_t now_s);
/* That address is now the card's, for the time of an offer if it was not bound. */
struct dhcp_lease *dhcp_take(struct dhcp *d, unsigned port, const uint8_t mac[MAC_BYTES],
			     uint32_t ip, int64_t now_s);
void dhcp_drop(struct dhcp *d, struct dhcp_lease *lease);
void dhcp_decline(struct dhcp *d, struct dhcp_lease *lease, int64_t now_s);
/* How long an address is given for. */
uint32_t dhcp_lease_s(const struct dhcp *d, uint32_t ip);
/* The name that the definition gives it; NULL. */
const char *dhcp_host_name(const struct dhcp *d, const uint8_t *mac);
/* One label of letters, digits and hyphens. */
bool dhcp_name_is_fit(const char *name);
