/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums and segments, for those who leave them to the card. */
#include "config.h"
#include "libvmm/net/offload.h"

#include <linux/virtio_net.h>

#include "libvmm/net/frame.h"

#define TCP_BYTES 20
#define IP6_BYTES 40
#define TCP_FIN_PSH 0x09
#define TCP_CWR 0x80

enum { TCP_SEQ = 4, TCP_OFFSET = 12, TCP_FLAGS = 13 };
enum { IP6_LENGTH = 4, IP6_NEXT = 6, IP6_SRC = 8 };

struct tcp {			/* where the headers of a TCP packet lie; offsets from the frame */
	size_t ip, tcp, payload;
	bool v6;
};

static struct virtio_net_hdr_v1 header_of(const uint8_t *data)
{
	struct virtio_net_hdr_v1 h;

	memcpy(&h, data, NET_HDR_BYTES);
	return h;
}

static unsigned gso_of(const struct virtio_net_hdr_v1 *h)
{
	return h->gso_type & ~(unsigned)VIRTIO_NET_HDR_GSO_ECN;
}

static bool tcp_find(const uint8_t *f, size_t n, struct tcp *ret)
{
	size_t ip = ETH_BYTES;
	unsigned type;

	if (n < ETH_BYTES + 4)
		return false;
	if (get16(f + ETH_TYPE) == ETH_VLAN)
		ip += 4;
	type = get16(f + ip - 2);
	*ret = (struct tcp){ .ip = ip, .v6 = type == ETH_IP6 };
	if (type == ETH_IP4 && n >= ip + IP4_BYTES && f[ip + IP4_PROTO] == PROTO_TCP &&
	    f[ip] >> 4 == 4 && (f[ip] & 15u) >= 5)
		ret->tcp = ip + (f[ip] & 15u) * 4;
	else if (type == ETH_IP6 && n >= ip + IP6_BYTES && f[ip + IP6_NEXT] == PROTO_TCP)
		ret->tcp = ip + IP6_BYTES;
	if (!ret->tcp || n < ret->tcp + TCP_BYTES || f[ret->tcp + TCP_OFFSET] >> 4 < 5)
		return false;
	ret->payload = ret->tcp + (f[ret->tcp + TCP_OFFSET] >> 4) * 4u;
	return ret->payload <= n;
}

bool offload_check(uint8_t *data, size_t len)
{
	struct virtio_net_hdr_v1 h = header_of(data);
	size_t frame = len - NET_HDR_BYTES;
	unsigned gso = gso_of(&h);
	struct tcp t;

	h.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.num_buffers = 0;
	if (!h.flags)
		h.csum_start = h.csum_offset = 0;
	else if ((size_t)GUINT16_FROM_LE(h.csum_start) + GUINT16_FROM_LE(h.csum_offset) + 2 > frame)
		return false;
	if (gso == VIRTIO_NET_HDR_GSO_NONE) {
		h.gso_type = 0;
		h.gso_size = h.hdr_len = 0;
	} else {
		if ((gso != VIRTIO_NET_HDR_GSO_TCPV4 && gso != VIRTIO_NET_HDR_GSO_TCPV6) ||
		    !h.flags || !h.gso_size || !tcp_find(data + NET_HDR_BYTES, frame, &t) ||
		    t.v6 != (gso == VIRTIO_NET_HDR_GSO_TCPV6) ||
		    GUINT16_FROM_LE(h.csum_start) != t.tcp ||
		    GUINT16_FROM_LE(h.csum_offset) != TCP_CSUM)
			return false;
		h.hdr_len = GUINT16_TO_LE(t.payload);
	}
	memcpy(data, &h, NET_HDR_BYTES);
	return true;
}

unsigned offload_needs(const uint8_t *data)
{
	struct virtio_net_hdr_v1 h = header_of(data);
	unsigned needs = h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM ? NET_OFFLOAD_CSUM : 0;

	if (gso_of(&h) == VIRTIO_NET_HDR_GSO_TCPV4)
		needs |= NET_OFFLOAD_TSO4;
	if (gso_of(&h) == VIRTIO_NET_HDR_GSO_TCPV6)
		needs |= NET_OFFLOAD_TSO6;
	if (h.gso_type & VIRTIO_NET_HDR_GSO_ECN)
		needs |= NET_OFFLOAD_ECN;
	return needs;
}

static uint64_t pseudo(const uint8_t *f, const struct tcp *t, size_t l4_bytes)
{
	uint8_t rest[8] = { 0 };

	if (!t->v6)
		return csum_pseudo4(f + t->ip, PROTO_TCP, l4_bytes);
	put32(rest, (uint32_t)l4_bytes);
	rest[7] = PROTO_TCP;
	return csum_add(csum_add(0, f + t->ip + IP6_SRC, 32), rest, sizeof(rest));
}

static void tcp_checksum(uint8_t *f, size_t n, const struct tcp *t)
{
	put16(f + t->tcp + TCP_CSUM, 0);
	csum_put(f + t->tcp + TCP_CSUM,
		 csum_add(pseudo(f, t, n - t->tcp), f + t->tcp, n - t->tcp));
}

void offload_checksum(uint8_t *data, size_t len)
{
	struct virtio_net_hdr_v1 h = header_of(data);
	uint8_t *f = data + NET_HDR_BYTES;
	size_t n = len - NET_HDR_BYTES, start = GUINT16_FROM_LE(h.csum_start);
	size_t at = start + GUINT16_FROM_LE(h.csum_offset);
	struct tcp t;

	if (!(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	/* What a driver leaves in a large segment's field differs among systems. */
	if (h.gso_type && tcp_find(f, n, &t)) {
		tcp_checksum(f, n, &t);
	} else if (start <= n && at + 2 <= n) {
		csum_put(f + at, csum_add(0, f + start, n - start));
		if (!get16(f + at))
			put16(f + at, 0xffff);	/* 0 means "none" to UDP, and is the same sum */
	}
	memset(data, 0, NET_HDR_BYTES);
}

static void segment_headers(uint8_t *f, const struct tcp *t, size_t n, unsigned index, size_t off,
			    bool last)
{
	uint8_t *ip = f + t->ip, *tcp = f + t->tcp;

	if (t->v6) {
		put16(ip + IP6_LENGTH, (unsigned)(n - t->tcp));
	} else {
		put16(ip + IP4_TOTAL, (unsigned)(n - t->ip));
		put16(ip + IP4_ID, get16(ip + IP4_ID) + index);
		put16(ip + IP4_CSUM, 0);
		csum_put(ip + IP4_CSUM, csum_add(0, ip, t->tcp - t->ip));
	}
	put32(tcp + TCP_SEQ, get32(tcp + TCP_SEQ) + (uint32_t)off);
	if (!last)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_FIN_PSH;
	if (index)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
	tcp_checksum(f, n, t);
}

void offload_segment(const uint8_t *data, size_t len, uint8_t *scratch, offload_emit *emit,
		     void *opaque)
{
	struct virtio_net_hdr_v1 h = header_of(data);
	const uint8_t *f = data + NET_HDR_BYTES;
	size_t n = len - NET_HDR_BYTES, size = GUINT16_FROM_LE(h.gso_size), off = 0;
	struct tcp t;

	if (!size || !tcp_find(f, n, &t))
		return;
	for (unsigned index = 0; t.payload + off < n; index++, off += size) {
		size_t part = MIN(size, n - t.payload - off);
		uint8_t *out = scratch + NET_HDR_BYTES;

		memset(scratch, 0, NET_HDR_BYTES);
		memcpy(out, f, t.payload);
		memcpy(out + t.payload, f + t.payload + off, part);
		segment_headers(out, &t, t.payload + part, index, off,
				t.payload + off + part == n);
		emit(opaque, scratch, NET_HDR_BYTES + t.payload + part);
	}
}
