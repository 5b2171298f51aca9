/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Addresses of the internet. */
#include "config.h"
#include "libvmm/util/inet.h"

#include <arpa/inet.h>
#include <string.h>

#include "libvmm/util/cleanup.h"

#define V4_MAPPED "\0\0\0\0\0\0\0\0\0\0\xff\xff"

static void unmap(struct inet_address *a)
{
	if (!a->v6 || memcmp(a->bytes, V4_MAPPED, 12))
		return;
	a->v6 = false;
	memmove(a->bytes, a->bytes + 12, 4);
	memset(a->bytes + 4, 0, 12);
}

bool inet_address_from_text(const char *text, struct inet_address *ret)
{
	struct inet_address a = { 0 };

	if (inet_pton(AF_INET, text, a.bytes) != 1) {
		a.v6 = true;
		if (inet_pton(AF_INET6, text, a.bytes) != 1)
			return false;
	}
	unmap(&a);
	*ret = a;
	return true;
}

void inet_address_to_text(const struct inet_address *a, char ret[INET_TEXT_BYTES])
{
	inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->bytes, ret, INET_TEXT_BYTES);
}

bool inet_address_from_sockaddr(const struct sockaddr *sa, struct inet_address *ret)
{
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;
	struct inet_address a = { .v6 = sa->sa_family == AF_INET6 };

	if (sa->sa_family == AF_INET)
		memcpy(a.bytes, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else if (a.v6 && !v6->sin6_scope_id)
		memcpy(a.bytes, &v6->sin6_addr, 16);
	else
		return false;
	unmap(&a);
	*ret = a;
	return true;
}

socklen_t inet_address_to_sockaddr(const struct inet_address *a, uint16_t port,
				   union inet_sockaddr *ret)
{
	*ret = (union inet_sockaddr){ 0 };
	if (!a->v6) {
		ret->v4 = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
		memcpy(&ret->v4.sin_addr, a->bytes, 4);
		return sizeof(ret->v4);
	}
	ret->v6 = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons(port) };
	memcpy(&ret->v6.sin6_addr, a->bytes, 16);
	return sizeof(ret->v6);
}

bool inet_address_within(const struct inet_address *a, const struct inet_address *prefix,
			 unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return a->v6 == prefix->v6 && !memcmp(a->bytes, prefix->bytes, whole) &&
	       (!rest || !((a->bytes[whole] ^ prefix->bytes[whole]) >> (8 - rest)));
}

/* ---- special places ---- */

/* IANA's registries of special purpose addresses; the first that matches. */
static const struct special {
	struct inet_address prefix;
	unsigned bits;
	const char *what;
	unsigned v4_at;		/* IPv6: an IPv4 address is there, and tells; 0: none */
} specials[] = {
	{ { false, { 0 } }, 8, "an address of this very network", 0 },
	{ { false, { 10 } }, 8, "a private address", 0 },
	{ { false, { 100, 64 } }, 10, "an address behind a provider's NAT", 0 },
	{ { false, { 127 } }, 8, "a loopback address", 0 },
	{ { false, { 169, 254 } }, 16, "a link-local address", 0 },
	{ { false, { 172, 16 } }, 12, "a private address", 0 },
	{ { false, { 192, 0, 0 } }, 24, "an address for protocols", 0 },
	{ { false, { 192, 168 } }, 16, "a private address", 0 },
	{ { false, { 198, 18 } }, 15, "a benchmark's address", 0 },
	{ { false, { 224 } }, 4, "a multicast address", 0 },
	{ { false, { 240 } }, 4, "a reserved address", 0 },
	{ { true, { [15] = 1 } }, 128, "a loopback address", 0 },
	{ { true, { 0 } }, 96, "an address of this very network", 0 },
	{ { true, { 0, 0x64, 0xff, 0x9b } }, 96, NULL, 12 },
	{ { true, { 0, 0x64, 0xff, 0x9b, 0, 1 } }, 48, "a private address", 0 },
	{ { true, { 0 } }, 8, "a reserved address", 0 },
	{ { true, { 0x01 } }, 8, "a reserved address", 0 },
	{ { true, { 0x20, 0x01, 0, 0 } }, 32, "a tunnel's address", 0 },
	{ { true, { 0x20, 0x02 } }, 16, NULL, 2 },
	{ { true, { 0xfc } }, 7, "a private address", 0 },
	{ { true, { 0xfe, 0x80 } }, 10, "a link-local address", 0 },
	{ { true, { 0xfe, 0xc0 } }, 10, "a private address", 0 },
	{ { true, { 0xff } }, 8, "a multicast address", 0 },
};

const char *inet_prefix_special(const struct inet_address *prefix, unsigned bits)
{
	for (unsigned i = 0; i < ARRAY_SIZE(specials); i++) {
		const struct special *s = &specials[i];
		struct inet_address v4 = { 0 };

		if (bits < s->bits || !inet_address_within(prefix, &s->prefix, s->bits))
			continue;
		if (!s->v4_at)
			return s->what;
		memcpy(v4.bytes, prefix->bytes + s->v4_at, 4);
		return inet_prefix_special(&v4, MIN(bits - s->v4_at * 8, 32));
	}
	return NULL;
}

const char *inet_address_special(const struct inet_address *a)
{
	return inet_prefix_special(a, inet_address_bits(a));
}
