/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ethernet frames byte by byte: a frame lies where it lies, so nothing in it
 * is aligned.  A frame in the switch has NET_HDR_BYTES before it; offsets here
 * count from the Ethernet header.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETH_BYTES 14
#define IP4_BYTES 20
#define UDP_BYTES 8
#define FRAME_UDP_BYTES (ETH_BYTES + IP4_BYTES + UDP_BYTES)	/* before the payload */

enum { ETH_DST = 0, ETH_SRC = 6, ETH_TYPE = 12 };
enum { ETH_IP4 = 0x0800, ETH_ARP = 0x0806, ETH_VLAN = 0x8100, ETH_IP6 = 0x86dd };
enum {
	IP4_TOTAL = 2, IP4_ID = 4, IP4_FRAGMENT = 6, IP4_TTL = 8, IP4_PROTO = 9, IP4_CSUM = 10,
	IP4_SRC = 12, IP4_DST = 16,
};
enum { PROTO_ICMP = 1, PROTO_TCP = 6, PROTO_UDP = 17 };
enum { L4_SPORT = 0, L4_DPORT = 2, UDP_LENGTH = 4, UDP_CSUM = 6, TCP_CSUM = 16 };

static inline uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* RFC 1071: the sum of 16-bit words as they lie, not folded yet. */
uint64_t csum_add(uint64_t sum, const uint8_t *data, size_t bytes);
/* Folded and complemented, as it lies in a header. */
uint16_t csum_end(uint64_t sum);
void csum_put(uint8_t *at, uint64_t sum);
/* RFC 1624: the checksum at `at` when 4 bytes that it covers change. */
void csum_replace32(uint8_t *at, uint32_t from, uint32_t to);
/* Of TCP or UDP over IPv4: the pseudo header's part. */
uint64_t csum_pseudo4(const uint8_t *ip4, unsigned proto, size_t l4_bytes);

struct frame_ip4 {		/* an IPv4 packet in a frame, as far as it is sound */
	uint8_t *ip, *l4;
	size_t l4_bytes;	/* by the packet's own length */
	unsigned proto;
	bool fragment;		/* not the whole packet: l4 may be in the middle of it */
};

bool frame_ip4(uint8_t *frame, size_t bytes, struct frame_ip4 *ret);

struct frame_udp {
	const uint8_t *to_mac, *from_mac;
	uint32_t to_ip, from_ip;
	unsigned to_port, from_port;
};

/* Headers before a payload that lies at frame + FRAME_UDP_BYTES; the frame's length. */
size_t frame_udp(uint8_t *frame, const struct frame_udp *u, size_t payload_bytes);
