/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses of the internet: text, prefixes, and what kind of place one is.  No system calls. */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define INET_TEXT_BYTES INET6_ADDRSTRLEN

/* An IPv4 address in the clothes of IPv6 (::ffff:a.b.c.d) is IPv4. */
struct inet_address {
	bool v6;
	uint8_t bytes[16];	/* as on the wire; IPv4: the first four */
};

union inet_sockaddr {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

bool inet_address_from_text(const char *text, struct inet_address *ret);
void inet_address_to_text(const struct inet_address *a, char ret[INET_TEXT_BYTES]);
/* false: neither IPv4 nor IPv6, or one that is only valid with an interface. */
bool inet_address_from_sockaddr(const struct sockaddr *sa, struct inet_address *ret);
socklen_t inet_address_to_sockaddr(const struct inet_address *a, uint16_t port,
				   union inet_sockaddr *ret);

/* Does a begin with the first `bits` bits of prefix? */
bool inet_address_within(const struct inet_address *a, const struct inet_address *prefix,
			 unsigned bits);
/*
 * What it is when not anybody's on the internet: "a loopback address"; NULL: public.
 * An IPv6 address that stands for an IPv4 one (NAT64, 6to4) is what that is.
 */
const char *inet_address_special(const struct inet_address *a);
/* The same when all of a prefix are that; NULL: some are not. */
const char *inet_prefix_special(const struct inet_address *prefix, unsigned bits);

static inline unsigned inet_address_bits(const struct inet_address *a)
{
	return a->v6 ? 128 : 32;
}
