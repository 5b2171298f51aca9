/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The gateway: what the network itself answers, and the way out.
 *
 * The uplink (libslirp) is somebody of its own: it has another address on the
 * wire, answers ARP, and does its DNS at an address that guests need not know.
 * So what leads to the gateway's port 53 and is no guest's name goes there with
 * its destination changed, and what comes from there gets the gateway's address
 * again; nothing is remembered for that.
 */
#include "config.h"
#include "libvmm/net/switch-priv.h"

#include <errno.h>

enum { ARP_OP = 6, ARP_SHA = 8, ARP_SPA = 14, ARP_THA = 18, ARP_TPA = 24, ARP_BYTES = 28 };
enum { ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { ICMP_ECHO_REPLY = 0, ICMP_ECHO = 8, ICMP_CSUM = 2, ICMP_BYTES = 8 };

#define UPLINK_TURN 64

static const uint8_t broadcast[MAC_BYTES] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static int64_t now_s(void)
{
	return g_get_real_time() / G_USEC_PER_SEC;
}

/* s->made holds a frame: out with it. */
static void made_send(struct net_switch *s, size_t frame_bytes)
{
	memset(s->made, 0, NET_HDR_BYTES);
	switch_forward(s, NULL, s->made, NET_HDR_BYTES + frame_bytes);
}

/* ---- ARP, echo ---- */

static void arp_answer(struct net_switch *s, const uint8_t *frame)
{
	const uint8_t *arp = frame + ETH_BYTES;
	uint8_t *out = frame_of(s->made);

	memcpy(out, frame, ETH_BYTES + ARP_BYTES);
	memcpy(out + ETH_DST, frame + ETH_SRC, 6);
	memcpy(out + ETH_SRC, s->o.mac, 6);
	put16(out + ETH_BYTES + ARP_OP, ARP_REPLY);
	memcpy(out + ETH_BYTES + ARP_SHA, s->o.mac, 6);
	memcpy(out + ETH_BYTES + ARP_SPA, arp + ARP_TPA, 4);
	memcpy(out + ETH_BYTES + ARP_THA, arp + ARP_SHA, 10);
	made_send(s, ETH_BYTES + ARP_BYTES);
}

static void echo_answer(struct net_switch *s, const uint8_t *frame, const struct frame_ip4 *p)
{
	size_t bytes = (size_t)(p->l4 - frame) + p->l4_bytes;
	uint8_t *out = frame_of(s->made), *ip = out + ETH_BYTES, *icmp = out + (p->l4 - frame);

	memcpy(out, frame, bytes);
	memcpy(out + ETH_DST, frame + ETH_SRC, 6);
	memcpy(out + ETH_SRC, s->o.mac, 6);
	memcpy(ip + IP4_DST, p->ip + IP4_SRC, 4);
	memcpy(ip + IP4_SRC, p->ip + IP4_DST, 4);
	icmp[0] = ICMP_ECHO_REPLY;
	put16(icmp + ICMP_CSUM, 0);
	csum_put(icmp + ICMP_CSUM, csum_add(0, icmp, p->l4_bytes));
	made_send(s, bytes);
}

/* ---- UDP services ---- */

static void udp_send(struct net_switch *s, const struct frame_udp *to, const uint8_t *payload,
		     size_t bytes)
{
	uint8_t *out = frame_of(s->made);

	memcpy(out + FRAME_UDP_BYTES, payload, bytes);
	made_send(s, frame_udp(out, to, bytes));
}

static void dhcp_input(struct net_switch *s, struct switch_port *from, const uint8_t *frame,
		       const uint8_t *msg, size_t bytes)
{
	struct dhcp_reply reply;
	struct frame_udp to = {
		.to_mac = frame + ETH_SRC, .from_mac = s->o.mac,
		.from_ip = s->o.address,
		.from_port = DHCP_SERVER_PORT, .to_port = DHCP_CLIENT_PORT,
	};

	/* One card asks for itself: nobody gives up another's lease. */
	if (!s->o.dhcp || bytes < 34 || memcmp(msg + 28, frame + ETH_SRC, MAC_BYTES) != 0)
		return;
	dhcp_handle(s->o.dhcp, from->number, msg, bytes, now_s(), &reply);
	if (reply.changed && s->o.leases_changed)
		s->o.leases_changed(s->o.opaque);
	if (!reply.bytes)
		return;
	to.to_ip = reply.to;
	if (reply.to == UINT32_MAX)
		to.to_mac = broadcast;
	udp_send(s, &to, reply.data, reply.bytes);
}

static bool dns_answered(struct net_switch *s, const uint8_t *frame, const struct frame_ip4 *p)
{
	uint8_t reply[DNS_REPLY_BYTES];
	size_t bytes = 0;
	struct frame_udp to = {
		.to_mac = frame + ETH_SRC, .from_mac = s->o.mac,
		.from_ip = s->o.address, .to_ip = get32(p->ip + IP4_SRC),
		.from_port = DNS_PORT, .to_port = get16(p->l4 + L4_SPORT),
	};
	enum dns_verdict v = dns_handle(s->dns, p->l4 + UDP_BYTES, p->l4_bytes - UDP_BYTES, reply,
					&bytes);

	if (v == DNS_ANSWER)
		udp_send(s, &to, reply, bytes);
	return v != DNS_FORWARD;
}

/* ---- the uplink ---- */

static void address_change(const struct frame_ip4 *p, unsigned at, uint32_t to)
{
	uint32_t from = get32(p->ip + at);
	uint8_t *csum = p->l4 + (p->proto == PROTO_TCP ? TCP_CSUM : UDP_CSUM);

	put32(p->ip + at, to);
	csum_replace32(p->ip + IP4_CSUM, from, to);
	if (p->proto == PROTO_TCP || get16(csum))
		csum_replace32(csum, from, to);
}

static bool has_ports(const struct frame_ip4 *p)
{
	return !p->fragment && ((p->proto == PROTO_UDP && p->l4_bytes >= UDP_BYTES) ||
				(p->proto == PROTO_TCP && p->l4_bytes >= 20));
}

static void uplink_send(struct net_switch *s, uint8_t *data, size_t len)
{
	struct iovec v = { frame_of(data), len - NET_HDR_BYTES };

	if (s->o.uplink)
		s->o.uplink->ops->send(s->o.uplink, 0, &v, 1);
}

/* It speaks as itself: on the wire it is the gateway.  False: guests need not see that. */
static bool uplink_disguise(struct net_switch *s, uint8_t *frame, size_t bytes)
{
	struct frame_ip4 p;

	if (bytes < ETH_BYTES)
		return false;
	memcpy(frame + ETH_SRC, s->o.mac, MAC_BYTES);
	if (get16(frame + ETH_TYPE) == ETH_ARP) {
		uint8_t *arp = frame + ETH_BYTES;

		if (bytes < ETH_BYTES + ARP_BYTES || get16(arp + ARP_OP) != ARP_REQUEST)
			return false;
		memcpy(arp + ARP_SHA, s->o.mac, MAC_BYTES);
	} else if (frame_ip4(frame, bytes, &p) && has_ports(&p) &&
		   get16(p.l4 + L4_SPORT) == DNS_PORT &&
		   get32(p.ip + IP4_SRC) == s->o.nameserver) {
		address_change(&p, IP4_SRC, s->o.address);
	}
	return true;
}

static void uplink_readable(void *card, unsigned queue)
{
	struct net_switch *s = card;
	struct iovec v = { frame_of(s->made), NET_FRAME_MAX };

	s->now_us = g_get_monotonic_time();
	for (unsigned i = 0; i < UPLINK_TURN; i++) {
		ssize_t n = s->o.uplink->ops->recv(s->o.uplink, 0, &v, 1);

		if (n < 0)
			break;
		if ((size_t)n <= NET_FRAME_MAX && uplink_disguise(s, v.iov_base, (size_t)n))
			made_send(s, (size_t)n);
	}
	switch_flush(s);
}

static void uplink_writable(void *card, unsigned queue)
{
	/* It takes all at once. */
}

static const struct net_calls uplink_calls = { uplink_readable, uplink_writable };

/* ---- what comes from guests ---- */

static void ip4_input(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len)
{
	uint8_t *frame = frame_of(data);
	struct frame_ip4 p;
	bool here, dns;

	offload_checksum(data, len);
	if (!frame_ip4(frame, len - NET_HDR_BYTES, &p))
		return;
	if (p.proto == PROTO_UDP && has_ports(&p) && get16(p.l4 + L4_DPORT) == DHCP_SERVER_PORT) {
		dhcp_input(s, from, frame, p.l4 + UDP_BYTES, p.l4_bytes - UDP_BYTES);
		return;
	}
	if (frame[ETH_DST] & 1)
		return;
	here = get32(p.ip + IP4_DST) == s->o.address;
	if (here && p.proto == PROTO_ICMP && !p.fragment && p.l4_bytes >= ICMP_BYTES &&
	    p.l4[0] == ICMP_ECHO) {
		echo_answer(s, frame, &p);
		return;
	}
	dns = here && has_ports(&p) && get16(p.l4 + L4_DPORT) == DNS_PORT && s->dns;
	if (dns && p.proto == PROTO_UDP && dns_answered(s, frame, &p))
		return;
	if (dns && s->o.uplink)
		address_change(&p, IP4_DST, s->o.nameserver);
	uplink_send(s, data, len);
}

static void arp_input(struct net_switch *s, uint8_t *data, size_t len)
{
	const uint8_t *frame = frame_of(data), *arp = frame + ETH_BYTES;

	if (len < NET_HDR_BYTES + ETH_BYTES + ARP_BYTES ||
	    get32(arp) != (1u << 16 | ETH_IP4) || get16(arp + 4) != 0x0604)
		return;
	if (get16(arp + ARP_OP) == ARP_REQUEST && get32(arp + ARP_TPA) == s->o.address)
		arp_answer(s, frame);
	/* The uplink learns from it whose address that is; its own answer is left out. */
	if (get32(arp + ARP_TPA) == s->o.address || get16(arp + ARP_OP) == ARP_REPLY)
		uplink_send(s, data, len);
}

void gateway_input(struct net_switch *s, struct switch_port *from, uint8_t *data, size_t len)
{
	unsigned type = get16(frame_of(data) + ETH_TYPE);

	if (!s->o.address)
		return;
	if (type == ETH_ARP)
		arp_input(s, data, len);
	else if (type == ETH_IP4)
		ip4_input(s, from, data, len);
}

/* ---- names ---- */

/* The definition's names come before (dns.h); then guests', then what guests say. */
static uint32_t name_resolve(const char *name, void *opaque)
{
	struct net_switch *s = opaque;
	const struct dhcp_lease *l = NULL;

	for (unsigned i = 0; s->o.dhcp && i < s->ports->len; i++) {
		const struct switch_port *p = s->ports->pdata[i];

		if (g_str_equal(p->name, name))
			l = dhcp_by_mac(s->o.dhcp, p->mac, now_s());
		if (l)
			return l->ip;
	}
	l = s->o.dhcp ? dhcp_by_name(s->o.dhcp, name, now_s()) : NULL;
	return l ? l->ip : 0;
}

static const char *name_reverse(uint32_t ip, void *opaque)
{
	struct net_switch *s = opaque;
	const struct dhcp_lease *l = s->o.dhcp ? dhcp_by_ip(s->o.dhcp, ip, now_s()) : NULL;
	const struct switch_port *p;

	for (unsigned i = 0; l && i < s->ports->len; i++) {
		p = s->ports->pdata[i];
		if (!memcmp(p->mac, l->mac, MAC_BYTES))
			return p->name;
	}
	return l ? l->name : NULL;
}

void gateway_init(struct net_switch *s)
{
	const struct dns_opts dns = {
		.network = s->o.address & s->o.mask, .mask = s->o.mask,
		.domain = s->domain, .local_only = s->o.local_only,
		.forward = s->o.uplink != NULL,
		.resolve = name_resolve, .reverse = name_reverse, .opaque = s,
	};

	if (s->o.dns && s->o.address)
		s->dns = dns_new(&dns);
	if (!s->o.uplink)
		return;
	net_plug(s->o.uplink, &uplink_calls, s);
	s->o.uplink->ops->want_read(s->o.uplink, 0, true);
}
