/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <network>, read and written: what guests may share, in libvirt's dialect.
 *
 * IPv4 addresses are numbers in the host's order.  After network_def_parse()
 * everything is in range: addresses lie in the network, none is given twice.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/domain/domain.h"
#include "libvmm/util/mac.h"
#include "libvmm/util/uuid.h"

#define NETWORK_XML_MAX_BYTES (1024u * 1024)
#define NETWORK_NAME_MAX_BYTES 200u
#define NETWORK_RANGES_MAX 16u
#define NETWORK_HOSTS_MAX 1024u		/* of DHCP, and again of DNS */
#define NETWORK_ALIASES_MAX 16u		/* names of one DNS host */
#define NETWORK_ADDRESSES_MAX 65536u	/* in one range */
#define NETWORK_DNS_NAME_MAX 253u
#define NETWORK_RECORDS_MAX 256u	/* <txt> and <srv> */
#define NETWORK_TXT_MAX 255u
#define NETWORK_LEASE_MIN_S 120u	/* libvirt's */
#define NETWORK_LEASE_MAX_S (30u * 86400)

enum network_parse_flags {
	NETWORK_PARSE_VALIDATE = 1,	/* also against schemas/network.rng */
};

enum network_forward {
	NETWORK_ISOLATED,		/* no <forward>: guests see each other */
	NETWORK_NAT,			/* and the world, through this host's sockets */
	NETWORK_BRIDGE,			/* taps on a bridge of the host */
	N_NETWORK_FORWARDS,
};

struct network_range {
	uint32_t start, end;
	uint32_t lease_s;		/* 0: as usual */
};

struct network_host {			/* of DHCP */
	bool has_mac;
	uint8_t mac[MAC_BYTES];
	char *name;			/* NULL only if has_mac */
	uint32_t ip;
	uint32_t lease_s;		/* 0: as usual */
};

struct network_name {			/* of DNS */
	uint32_t ip;
	GPtrArray *names;		/* of char *; at least one */
};

struct network_record {			/* of DNS */
	char *name;			/* <srv>: of the service, without '_' */
	char *value;			/* <txt>; NULL: it is a <srv> */
	bool udp;			/* <srv>, from here on */
	char *domain;			/* NULL: the network's */
	char *target;			/* NULL: there is no such service */
	unsigned port, priority, weight;
};

struct network_def {
	char *name;
	uint8_t uuid[UUID_BYTES];
	char *title, *description, *metadata;	/* may be NULL */
	enum network_forward forward;
	char *bridge;			/* BRIDGE: the host's; else kept, no such device is made */
	uint8_t mac[MAC_BYTES];		/* of the gateway */
	char *domain;			/* of the guests' names; NULL */
	bool local_only;		/* its names are never asked for outside */

	uint32_t address;		/* the gateway's; 0: no <ip> */
	unsigned prefix;
	bool dhcp;
	GArray *ranges;			/* of struct network_range */
	GPtrArray *hosts;		/* of struct network_host */
	bool dns_off;
	GPtrArray *names;		/* of struct network_name */
	GPtrArray *records;		/* of struct network_record */
};
typedef struct network_def network_def;

network_def *network_def_new(const char *name);	/* isolated, a random uuid and address */
network_def *network_def_parse(const char *xml, unsigned flags, GError **error);
/* connections: of an active one's guests; -1: not told. */
char *network_def_format(const network_def *def, int connections);
network_def *network_def_copy(const network_def *def);
void network_def_free(network_def *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(network_def, network_def_free)

uint32_t network_mask(const network_def *def);
/* "192.168.122.1" */
char *network_ip_text(uint32_t ip);
bool network_ip_from_text(const char *text, uint32_t *ret);

/* What NETWORK_UPDATE does to lists of hosts; numbers of the wire. */
enum network_update {
	NETWORK_UPDATE_MODIFY = 1,
	NETWORK_UPDATE_DELETE = 2,
	NETWORK_UPDATE_ADD_LAST = 3,
	NETWORK_UPDATE_ADD_FIRST = 4,
};
enum network_section {
	NETWORK_SECTION_DHCP_HOST = 4,
	NETWORK_SECTION_DNS_HOST = 10,
};
/* xml: the one <host>.  After a failure the definition is good for being freed only. */
bool network_def_update(network_def *def, unsigned command, unsigned section, const char *xml,
			GError **error);
