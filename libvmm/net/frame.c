/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Checksums, and headers around a payload. */
#include "config.h"
#include "libvmm/net/frame.h"

uint64_t csum_add(uint64_t sum, const uint8_t *data, size_t bytes)
{
	size_t i = 0;

	for (; i + 1 < bytes; i += 2) {
		uint16_t word;

		memcpy(&word, data + i, 2);
		sum += word;
	}
	if (i < bytes)
		sum += GUINT16_TO_LE(data[i]);
	return sum;
}

uint16_t csum_end(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

void csum_put(uint8_t *at, uint64_t sum)
{
	uint16_t value = csum_end(sum);

	memcpy(at, &value, 2);
}

void csum_replace32(uint8_t *at, uint32_t from, uint32_t to)
{
	uint32_t sum = (uint16_t)~get16(at);

	sum += (uint16_t)~(from >> 16) + (uint16_t)~(from & 0xffff);
	sum += (to >> 16) + (to & 0xffff);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put16(at, (uint16_t)~sum);
}

uint64_t csum_pseudo4(const uint8_t *ip4, unsigned proto, size_t l4_bytes)
{
	uint8_t rest[4] = { 0, (uint8_t)proto };

	put16(rest + 2, (unsigned)l4_bytes);
	return csum_add(csum_add(0, ip4 + IP4_SRC, 8), rest, sizeof(rest));
}

bool frame_ip4(uint8_t *frame, size_t bytes, struct frame_ip4 *ret)
{
	uint8_t *ip = frame + ETH_BYTES;
	size_t head, total;

	if (bytes < ETH_BYTES + IP4_BYTES || get16(frame + ETH_TYPE) != ETH_IP4 || ip[0] >> 4 != 4)
		return false;
	head = (ip[0] & 15u) * 4;
	total = get16(ip + IP4_TOTAL);
	if (head < IP4_BYTES || total < head || total > bytes - ETH_BYTES)
		return false;
	*ret = (struct frame_ip4){
		.ip = ip, .l4 = ip + head, .l4_bytes = total - head, .proto = ip[IP4_PROTO],
		.fragment = get16(ip + IP4_FRAGMENT) & 0x3fff,
	};
	return true;
}

size_t frame_udp(uint8_t *frame, const struct frame_udp *u, size_t payload_bytes)
{
	uint8_t *ip = frame + ETH_BYTES, *udp = ip + IP4_BYTES;
	size_t udp_bytes = UDP_BYTES + payload_bytes;

	memcpy(frame + ETH_DST, u->to_mac, 6);
	memcpy(frame + ETH_SRC, u->from_mac, 6);
	put16(frame + ETH_TYPE, ETH_IP4);
	memset(ip, 0, IP4_BYTES + UDP_BYTES);
	ip[0] = 0x45;
	put16(ip + IP4_TOTAL, (unsigned)(IP4_BYTES + udp_bytes));
	ip[IP4_TTL] = 64;
	ip[IP4_PROTO] = PROTO_UDP;
	put32(ip + IP4_SRC, u->from_ip);
	put32(ip + IP4_DST, u->to_ip);
	csum_put(ip + IP4_CSUM, csum_add(0, ip, IP4_BYTES));
	put16(udp + L4_SPORT, u->from_port);
	put16(udp + L4_DPORT, u->to_port);
	put16(udp + UDP_LENGTH, (unsigned)udp_bytes);
	csum_put(udp + UDP_CSUM,
		 csum_add(csum_pseudo4(ip, PROTO_UDP, udp_bytes), udp, udp_bytes));
	if (!get16(udp + UDP_CSUM))
		put16(udp + UDP_CSUM, 0xffff);
	return ETH_BYTES + IP4_BYTES + udp_bytes;
}
