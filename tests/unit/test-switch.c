/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A switch among guests that are sockets with hand-made frames, and an uplink that takes notes. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_net.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/net/frame.h"
#include "libvmm/net/port.h"
#include "libvmm/net/switch.h"
#include "libvmm/util/cleanup.h"

#define GUESTS 3
#define GATEWAY 0xc0a87a01u	/* 192.168.122.1 */
#define NAMESERVER 0xc0a87afeu
#define FIXED 0xc0a87a32u	/* .50, of guest 0 */
#define MASK 0xffffff00u

static const uint8_t gateway_mac[6] = { 0x52, 0x54, 0, 0xff, 0xff, 1 };
static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

struct uplink {
	struct net_backend base;
	uint8_t frame[NET_FRAME_MAX], answer[2048];
	size_t len, answer_len;
	bool freed;
};

struct room {
	struct net_switch *sw;
	struct uplink up;
	int guests[GUESTS];
	struct switch_port *ports[GUESTS];
	uint8_t frame[NET_HDR_BYTES + NET_FRAME_MAX];	/* received last */
	size_t len;		/* with its header */
	unsigned gone, changes;
	uint32_t lease_s;	/* of the last DHCP answer */
};

static uint8_t *mac_of(unsigned guest)
{
	static uint8_t macs[GUESTS][6];

	memcpy(macs[guest], (uint8_t[]){ 0x52, 0x54, 0, 0, 0, (uint8_t)(guest + 1) }, 6);
	return macs[guest];
}

/* ---- the uplink ---- */

static int up_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct uplink *u = container_of(b, struct uplink, base);

	g_assert_cmpuint(n, ==, 1);
	memcpy(u->frame, iov->iov_base, iov->iov_len);
	u->len = iov->iov_len;
	return 0;
}

static ssize_t up_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct uplink *u = container_of(b, struct uplink, base);
	size_t len = u->answer_len;

	u->answer_len = 0;
	memcpy(iov->iov_base, u->answer, len);
	return len ? (ssize_t)len : -EAGAIN;
}

static void up_want(struct net_backend *b, unsigned queue, bool on)
{
}

static void up_free(struct net_backend *b)
{
	container_of(b, struct uplink, base)->freed = true;
}

static const struct net_ops up_ops = {
	.send = up_send, .recv = up_recv, .want_read = up_want, .want_write = up_want,
	.free = up_free,
};

/* ---- the room ---- */

static void on_gone(struct switch_port *port, void *opaque)
{
	((struct room *)opaque)->gone++;
}

static void on_leases(void *opaque)
{
	((struct room *)opaque)->changes++;
}

static struct dhcp *dhcp_make(void)
{
	static const struct dhcp_range ranges[] = { { GATEWAY + 1, GATEWAY + 30, 7200 } };
	struct dhcp_host host = { .has_mac = true, .name = "fixed", .ip = FIXED,
				   .lease_s = 600 };
	const struct dhcp_opts opts = {
		.server = GATEWAY, .mask = MASK, .router = true, .dns = true, .domain = "lan",
		.ranges = ranges, .n_ranges = 1, .hosts = &host, .n_hosts = 1,
	};

	memcpy(host.mac, mac_of(0), 6);
	return dhcp_new(&opts);
}

static void plug(struct room *r, unsigned guest)
{
	g_autofree char *key = g_strdup_printf("guest/%u", guest);
	g_autofree char *name = g_strdup_printf("Web%u", guest);
	struct switch_port_opts opts = { .key = key, .name = name };
	g_autoptr(GError) error = NULL;
	int ends[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), ==, 0);
	memcpy(opts.mac, mac_of(guest), 6);
	opts.fd = ends[1];
	r->guests[guest] = ends[0];
	r->ports[guest] = switch_port_add(r->sw, &opts, &error);
	g_assert_no_error(error);
}

static void room_open(struct room *r, const void *isolated)
{
	struct switch_opts opts = {
		.address = GATEWAY, .mask = MASK, .nameserver = NAMESERVER, .dhcp = dhcp_make(),
		.dns = true, .domain = "lan", .port_gone = on_gone, .leases_changed = on_leases,
		.opaque = r,
	};

	r->up.base = (struct net_backend){ .ops = &up_ops, .queues = 1 };
	if (!isolated)
		opts.uplink = &r->up.base;
	memcpy(opts.mac, gateway_mac, 6);
	r->sw = switch_new(&opts);
	dns_add(switch_dns(r->sw), "printer", GATEWAY + 99);
	for (unsigned i = 0; i < GUESTS; i++)
		plug(r, i);
}

static void room_close(struct room *r, const void *isolated)
{
	switch_free(r->sw);
	for (unsigned i = 0; i < GUESTS; i++)
		close(r->guests[i]);
	g_assert_true(r->up.freed == !isolated);
}

static void work(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

/* data: with its header. */
static void say(struct room *r, unsigned guest, const void *data, size_t len)
{
	g_assert_cmpint(send(r->guests[guest], data, len, 0), ==, (ssize_t)len);
	work();
}

static bool hears(struct room *r, unsigned guest)
{
	ssize_t n = recv(r->guests[guest], r->frame, sizeof(r->frame), 0);

	r->len = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void note(struct room *r, unsigned guest, uint32_t offload)
{
	say(r, guest, &offload, sizeof(offload));
}

/* A frame of nothing in particular. */
static void say_plain(struct room *r, unsigned guest, const uint8_t *from, const uint8_t *to)
{
	uint8_t data[NET_HDR_BYTES + 60] = { 0 };

	memcpy(data + NET_HDR_BYTES, to, 6);
	memcpy(data + NET_HDR_BYTES + 6, from, 6);
	put16(data + NET_HDR_BYTES + ETH_TYPE, 0x88b5);
	say(r, guest, data, sizeof(data));
}

/* ---- frames from one to another ---- */

static void a_frame_goes_to_whom_it_is_for(struct room *r, const void *arg)
{
	say_plain(r, 0, mac_of(0), mac_of(1));
	g_assert_true(hears(r, 1));
	g_assert_cmpuint(r->len, ==, NET_HDR_BYTES + 60);
	g_assert_false(hears(r, 2));
	g_assert_false(hears(r, 0));
	say_plain(r, 0, mac_of(0), everybody);
	g_assert_true(hears(r, 1) && hears(r, 2));
	g_assert_false(hears(r, 0));
}

static void a_card_behind_a_guest_is_learned(struct room *r, const void *arg)
{
	static const uint8_t nested[6] = { 2, 0, 0, 0, 0, 9 };

	say_plain(r, 0, mac_of(0), nested);
	g_assert_true(hears(r, 1) && hears(r, 2));	/* not known: to all */
	say_plain(r, 2, nested, mac_of(0));
	g_assert_true(hears(r, 0));
	say_plain(r, 0, mac_of(0), nested);
	g_assert_true(hears(r, 2));
	g_assert_false(hears(r, 1));
}

static void nobody_speaks_as_another(struct room *r, const void *arg)
{
	static const uint8_t multicast[6] = { 1, 0, 0, 0, 0, 9 };

	say_plain(r, 2, mac_of(1), mac_of(0));
	say_plain(r, 2, gateway_mac, mac_of(0));
	say_plain(r, 2, multicast, mac_of(0));
	g_assert_false(hears(r, 0));
	say_plain(r, 0, mac_of(0), mac_of(1));
	g_assert_true(hears(r, 1));
	g_assert_false(hears(r, 2));
}

static void a_table_that_a_guest_fills_leaks_no_other_guest_s_frames(struct room *r,
								      const void *arg)
{
	uint8_t invented[6] = { 2 };

	for (unsigned i = 0; i < 5000; i++) {
		put32(invented + 2, i);
		say_plain(r, 2, invented, gateway_mac);
	}
	say_plain(r, 0, mac_of(0), mac_of(1));
	g_assert_true(hears(r, 1));
	g_assert_false(hears(r, 2));
}

static void a_card_has_one_port(struct room *r, const void *arg)
{
	struct switch_port_opts opts = { .key = "other/net0", .name = "twin" };
	g_autoptr(GError) error = NULL;
	int ends[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), ==, 0);
	memcpy(opts.mac, mac_of(1), 6);
	opts.fd = ends[1];
	g_assert_null(switch_port_add(r->sw, &opts, &error));
	g_assert_nonnull(strstr(error->message, "52:54:00:00:00:02"));
	close(ends[0]);
}

static void a_port_ends_with_its_cable(struct room *r, const void *arg)
{
	close(r->guests[1]);
	work();
	g_assert_cmpuint(r->gone, ==, 1);
	g_assert_cmpuint(switch_ports(r->sw)->len, ==, GUESTS - 1);
	plug(r, 1);
	say_plain(r, 0, mac_of(0), mac_of(1));
	g_assert_true(hears(r, 1));
}

static void what_a_slow_guest_leaves_is_bounded_and_stays_in_order(struct room *r, const void *arg)
{
	uint8_t data[NET_HDR_BYTES + 60] = { 0 };
	unsigned got = 0, last = 0;

	memcpy(data + NET_HDR_BYTES, mac_of(1), 6);
	memcpy(data + NET_HDR_BYTES + 6, mac_of(0), 6);
	for (unsigned i = 1; i <= 5000; i++) {
		put32(data + NET_HDR_BYTES + 20, i);
		say(r, 0, data, sizeof(data));
	}
	for (; hears(r, 1); got++, work()) {
		g_assert_cmpuint(get32(r->frame + NET_HDR_BYTES + 20), >, last);
		last = get32(r->frame + NET_HDR_BYTES + 20);
	}
	g_assert_cmpuint(got, >, 100);
	g_assert_cmpuint(got, <, 5000);
}

/* ---- offloads ---- */

/* A TCP segment of n bytes over IPv4, its checksum left to the card. */
static size_t tcp_make(uint8_t *data, size_t n, unsigned gso)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16,
		.gso_type = gso ? VIRTIO_NET_HDR_GSO_TCPV4 : 0, .gso_size = (uint16_t)gso,
		.hdr_len = gso ? 54 : 0,
	};
	uint8_t *f = data + NET_HDR_BYTES, *ip = f + ETH_BYTES, *tcp = ip + IP4_BYTES;

	memset(data, 0, NET_HDR_BYTES + 54 + n);
	memcpy(data, &h, sizeof(h));
	memcpy(f, mac_of(1), 6);
	memcpy(f + 6, mac_of(0), 6);
	put16(f + ETH_TYPE, ETH_IP4);
	ip[0] = 0x45;
	ip[IP4_TTL] = 64;
	ip[IP4_PROTO] = PROTO_TCP;
	put16(ip + IP4_TOTAL, (unsigned)(40 + n));
	put32(ip + IP4_SRC, GATEWAY + 2);
	put32(ip + IP4_DST, GATEWAY + 3);
	csum_put(ip + IP4_CSUM, csum_add(0, ip, IP4_BYTES));
	put32(tcp + 4, 1000);
	tcp[12] = 0x50;
	tcp[13] = 0x19;		/* ACK PSH FIN */
	for (size_t i = 0; i < n; i++)
		tcp[20 + i] = (uint8_t)(i * 7);
	/* the driver's part: the pseudo header, not complemented */
	csum_put(tcp + TCP_CSUM, csum_pseudo4(ip, PROTO_TCP, 20 + n));
	put16(tcp + TCP_CSUM, (uint16_t)~get16(tcp + TCP_CSUM));
	return NET_HDR_BYTES + 54 + n;
}

static void tcp_is_right(struct room *r)
{
	struct frame_ip4 p;
	uint8_t *f = r->frame + NET_HDR_BYTES;

	for (unsigned i = 0; i < NET_HDR_BYTES; i++)
		g_assert_cmpuint(r->frame[i], ==, 0);
	g_assert_true(frame_ip4(f, r->len - NET_HDR_BYTES, &p));
	g_assert_cmpuint(csum_end(csum_add(0, p.ip, IP4_BYTES)), ==, 0);
	g_assert_cmpuint(csum_end(csum_add(csum_pseudo4(p.ip, PROTO_TCP, p.l4_bytes), p.l4,
					   p.l4_bytes)), ==, 0);
}

static void a_checksum_is_left_to_those_who_take_it(struct room *r, const void *arg)
{
	g_autofree uint8_t *data = g_malloc(4096);
	size_t len = tcp_make(data, 100, 0);

	note(r, 1, NET_OFFLOAD_CSUM);
	say(r, 0, data, len);
	g_assert_true(hears(r, 1));
	g_assert_cmpmem(r->frame, r->len, data, len);
	note(r, 1, 0);
	say(r, 0, data, len);
	g_assert_true(hears(r, 1));
	tcp_is_right(r);
}

static void a_large_segment_stays_whole_or_is_cut_right(struct room *r, const void *arg)
{
	g_autofree uint8_t *data = g_malloc(70000);
	size_t len = tcp_make(data, 60000, 1448), seen = 0;
	unsigned n = 0;

	note(r, 1, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
	say(r, 0, data, len);
	g_assert_true(hears(r, 1));
	g_assert_cmpuint(r->len, ==, len);
	note(r, 1, NET_OFFLOAD_CSUM);
	say(r, 0, data, len);
	for (; hears(r, 1); n++, work()) {
		const uint8_t *tcp = r->frame + NET_HDR_BYTES + 34;
		size_t part = r->len - NET_HDR_BYTES - 54;

		tcp_is_right(r);
		g_assert_cmpuint(get32(tcp + 4), ==, 1000 + seen);
		g_assert_cmpmem(tcp + 20, part, data + NET_HDR_BYTES + 54 + seen, part);
		seen += part;
		g_assert_cmpuint(tcp[13], ==, seen == 60000 ? 0x19 : 0x10);
	}
	g_assert_cmpuint(seen, ==, 60000);
	g_assert_cmpuint(n, ==, (60000 + 1447) / 1448);
}

static void headers_that_lie_are_dropped(struct room *r, const void *arg)
{
	g_autofree uint8_t *data = g_malloc(4096);
	size_t len = tcp_make(data, 100, 0);
	struct virtio_net_hdr_v1 *h = (void *)data;

	h->csum_start = 65000;
	say(r, 0, data, len);
	tcp_make(data, 100, 50);
	h->gso_type = VIRTIO_NET_HDR_GSO_UDP;
	say(r, 0, data, len);
	tcp_make(data, 100, 50);
	data[NET_HDR_BYTES + ETH_BYTES + IP4_PROTO] = PROTO_UDP;
	say(r, 0, data, len);
	say(r, 0, data, NET_HDR_BYTES + 3);
	g_assert_false(hears(r, 1));
}

/* ---- DHCP ---- */

enum { DISCOVER = 1, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM };

struct dhcp_talk {
	unsigned type;
	uint32_t requested, ciaddr, server;
	const uint8_t *chaddr;		/* NULL: the guest's */
	const char *name;
};

static void dhcp_say(struct room *r, unsigned guest, struct dhcp_talk t)
{
	uint8_t data[NET_HDR_BYTES + 600] = { 0 }, *f = data + NET_HDR_BYTES;
	uint8_t *m = f + FRAME_UDP_BYTES, *o = m + 240;
	const struct frame_udp to = {
		.to_mac = everybody, .from_mac = mac_of(guest), .to_ip = UINT32_MAX,
		.from_ip = t.ciaddr, .to_port = 67, .from_port = 68,
	};

	m[0] = 1, m[1] = 1, m[2] = 6;
	put32(m + 4, 0xabcd0000 + guest);
	put32(m + 12, t.ciaddr);
	memcpy(m + 28, t.chaddr ?: mac_of(guest), 6);
	put32(m + 236, 0x63825363);
	*o++ = 53, *o++ = 1, *o++ = (uint8_t)t.type;
	if (t.requested)
		*o++ = 50, *o++ = 4, put32(o, t.requested), o += 4;
	if (t.server)
		*o++ = 54, *o++ = 4, put32(o, t.server), o += 4;
	if (t.name) {
		*o++ = 12, *o++ = (uint8_t)strlen(t.name);
		memcpy(o, t.name, strlen(t.name));
		o += strlen(t.name);
	}
	*o++ = 255;
	say(r, guest, data, NET_HDR_BYTES + frame_udp(f, &to, (size_t)(o - m)));
}

/* The answer's type, 0: none; *ret_ip is what it gives. */
static unsigned dhcp_hear(struct room *r, unsigned guest, uint32_t *ret_ip)
{
	while (hears(r, guest)) {
		const uint8_t *f = r->frame + NET_HDR_BYTES, *m = f + FRAME_UDP_BYTES;

		if (get16(f + ETH_TYPE) != ETH_IP4 || get16(f + 34 + L4_SPORT) != 67 ||
		    get32(m + 4) != 0xabcd0000 + guest)
			continue;	/* others' broadcasts */
		*ret_ip = get32(m + 16);
		for (const uint8_t *o = m + 240; *o != 255; o += 2 + o[1])
			if (*o == 51)
				r->lease_s = get32(o + 2);
		for (const uint8_t *o = m + 240; *o != 255; o += 2 + o[1])
			if (*o == 53)
				return o[2];
	}
	return 0;
}

static uint32_t lease_get(struct room *r, unsigned guest, const char *name)
{
	uint32_t ip = 0;

	dhcp_say(r, guest, (struct dhcp_talk){ DISCOVER, .name = name });
	g_assert_cmpuint(dhcp_hear(r, guest, &ip), ==, OFFER);
	dhcp_say(r, guest, (struct dhcp_talk){ REQUEST, ip, .server = GATEWAY, .name = name });
	g_assert_cmpuint(dhcp_hear(r, guest, &ip), ==, ACK);
	return ip;
}

static void guests_get_addresses_their_own_first(struct room *r, const void *arg)
{
	uint32_t one;

	g_assert_cmpuint(lease_get(r, 0, NULL), ==, FIXED);
	g_assert_cmpuint(r->lease_s, ==, 600);
	one = lease_get(r, 1, "db");
	g_assert_cmpuint(r->lease_s, ==, 7200);
	g_assert_cmpuint(one, ==, GATEWAY + 1);
	g_assert_cmpuint(lease_get(r, 2, NULL), ==, GATEWAY + 2);
	g_assert_cmpuint(lease_get(r, 1, "db"), ==, one);
	g_assert_cmpuint(r->changes, ==, 4);
}

static void wrong_addresses_are_refused_and_released_ones_come_back(struct room *r, const void *arg)
{
	uint32_t ip = lease_get(r, 1, NULL), other;

	dhcp_say(r, 1, (struct dhcp_talk){ REQUEST, 0x0a000005 });
	g_assert_cmpuint(dhcp_hear(r, 1, &other), ==, NAK);
	dhcp_say(r, 2, (struct dhcp_talk){ REQUEST, ip });
	g_assert_cmpuint(dhcp_hear(r, 2, &other), ==, NAK);
	dhcp_say(r, 1, (struct dhcp_talk){ RELEASE, .ciaddr = ip });
	g_assert_cmpuint(lease_get(r, 2, NULL), ==, ip);
	dhcp_say(r, 2, (struct dhcp_talk){ DECLINE, ip });
	g_assert_cmpuint(lease_get(r, 2, NULL), !=, ip);
	dhcp_say(r, 2, (struct dhcp_talk){ INFORM, .ciaddr = ip });
	g_assert_cmpuint(dhcp_hear(r, 2, &other), ==, ACK);
	g_assert_cmpuint(other, ==, 0);
}

static void nobody_asks_for_another_s_card(struct room *r, const void *arg)
{
	uint32_t ip = lease_get(r, 1, NULL);

	dhcp_say(r, 2, (struct dhcp_talk){ RELEASE, .ciaddr = ip, .chaddr = mac_of(1) });
	g_assert_nonnull(dhcp_by_mac(switch_dhcp(r->sw), mac_of(1),
				     g_get_real_time() / G_USEC_PER_SEC));
}

static void a_port_that_invents_cards_starves_itself(struct room *r, const void *arg)
{
	struct dhcp *d = switch_dhcp(r->sw);
	int64_t now = g_get_real_time() / G_USEC_PER_SEC;
	uint8_t mac[6] = { 2 };
	unsigned got = 0;

	for (unsigned i = 0; i < 100; i++) {
		mac[5] = (uint8_t)i;
		got += dhcp_address(d, 7, mac, now) != 0;
	}
	g_assert_cmpuint(got, ==, DHCP_PORT_LEASES);
	g_assert_cmpuint(lease_get(r, 2, NULL), !=, 0);
}

static void leases_outlive_the_process(struct room *r, const void *arg)
{
	int64_t now = g_get_real_time() / G_USEC_PER_SEC;
	uint32_t ip = lease_get(r, 2, "third");
	g_autofree char *text = dhcp_format(switch_dhcp(r->sw), now);
	g_autofree char *torn = g_strdup_printf("%s9999999999 52:54", text);
	struct dhcp *again = dhcp_make();

	dhcp_restore(again, torn, now);
	g_assert_cmpuint(dhcp_by_mac(again, mac_of(2), now)->ip, ==, ip);
	g_assert_cmpstr(dhcp_by_ip(again, ip, now)->name, ==, "third");
	g_assert_null(dhcp_by_ip(again, ip, now + 7201));
	dhcp_free(again);
}

/* ---- the gateway ---- */

static void the_gateway_answers_arp_and_echo(struct room *r, const void *arg)
{
	uint8_t data[NET_HDR_BYTES + 60] = { 0 }, *f = data + NET_HDR_BYTES, *a = f + ETH_BYTES;

	memcpy(f, everybody, 6);
	memcpy(f + 6, mac_of(1), 6);
	put16(f + ETH_TYPE, ETH_ARP);
	memcpy(a, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(a + 8, mac_of(1), 6);
	put32(a + 14, GATEWAY + 3);
	put32(a + 24, GATEWAY);
	say(r, 1, data, sizeof(data));
	g_assert_true(hears(r, 1));
	g_assert_cmpmem(r->frame + NET_HDR_BYTES + ETH_BYTES + 8, 6, gateway_mac, 6);
	memset(f, 0, 60);
	memcpy(f, gateway_mac, 6);
	memcpy(f + 6, mac_of(1), 6);
	put16(f + ETH_TYPE, ETH_IP4);
	a[0] = 0x45;
	a[IP4_PROTO] = PROTO_ICMP;
	put16(a + IP4_TOTAL, 28);
	put32(a + IP4_SRC, GATEWAY + 3);
	put32(a + IP4_DST, GATEWAY);
	a[20] = 8;
	say(r, 1, data, sizeof(data));
	g_assert_true(hears(r, 1));
	g_assert_cmpuint(r->frame[NET_HDR_BYTES + 34], ==, 0);
	g_assert_cmpuint(get32(r->frame + NET_HDR_BYTES + ETH_BYTES + IP4_DST), ==, GATEWAY + 3);
}

static void dns_say(struct room *r, unsigned guest, const char *name, unsigned type)
{
	uint8_t data[NET_HDR_BYTES + 600] = { 0 }, *f = data + NET_HDR_BYTES;
	uint8_t *m = f + FRAME_UDP_BYTES, *at = m + 12;
	g_auto(GStrv) labels = g_strsplit(name, ".", -1);
	const struct frame_udp to = {
		.to_mac = gateway_mac, .from_mac = mac_of(guest), .to_ip = GATEWAY,
		.from_ip = GATEWAY + 3, .to_port = 53, .from_port = 4444,
	};

	put16(m, 0x1234);
	put16(m + 2, 0x100);
	put16(m + 4, 1);
	for (char **l = labels; *l; l++) {
		*at++ = (uint8_t)strlen(*l);
		memcpy(at, *l, strlen(*l));
		at += strlen(*l);
	}
	at++;
	put16(at, type);
	put16(at + 2, 1);
	say(r, guest, data, NET_HDR_BYTES + frame_udp(f, &to, (size_t)(at + 4 - m)));
}

/* The rcode, -1: no answer; *ret_ip: the A record, 0: there is none. */
static int dns_hear(struct room *r, unsigned guest, uint32_t *ret_ip)
{
	const uint8_t *m = r->frame + NET_HDR_BYTES + FRAME_UDP_BYTES;

	*ret_ip = 0;
	do {		/* others' broadcasts come as well */
		if (!hears(r, guest))
			return -1;
	} while (get16(r->frame + NET_HDR_BYTES + 34 + L4_SPORT) != 53);
	g_assert_cmpuint(get16(m), ==, 0x1234);
	if (get16(m + 6))
		*ret_ip = get32(r->frame + r->len - 4);
	return m[3] & 15;
}

static void names_of_the_network_are_known(struct room *r, const void *arg)
{
	uint32_t ip, db = lease_get(r, 1, "db");

	dns_say(r, 2, "printer", 1);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(ip, ==, GATEWAY + 99);
	while (hears(r, 2))
		;
	dns_say(r, 2, "WEB1.lan", 1);		/* the domain's name, and its suffix */
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(ip, ==, db);
	dns_say(r, 2, "db", 1);			/* what the guest calls itself */
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(ip, ==, db);
	dns_say(r, 2, "db", 28);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(ip, ==, 0);
	dns_say(r, 2, "nobody", 1);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 3);
	dns_say(r, 2, "2.122.168.192.in-addr.arpa", 12);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpmem(r->frame + r->len - 10, 10, "\4web1\3lan\0", 10);
	dns_say(r, 2, "77.122.168.192.in-addr.arpa", 12);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 3);
}

/* The records at the end of an answer, each behind its 12 bytes. */
static void services_and_texts_are_known(struct room *r, const void *arg)
{
	static const char srv[] = "\0\1\0\2\1\205\7printer\3lan";
	const uint8_t *m = r->frame + NET_HDR_BYTES + FRAME_UDP_BYTES;
	uint32_t ip;

	dns_add_txt(switch_dns(r->sw), "About", "one");
	dns_add_txt(switch_dns(r->sw), "about", "two");
	dns_add_srv(switch_dns(r->sw), "_ldap._tcp.lan", "printer.lan", 389, 1, 2);
	dns_say(r, 2, "about.lan", DNS_TXT);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(get16(m + 6), ==, 2);
	g_assert_cmpmem(r->frame + r->len - 20, 4, "\3one", 4);
	g_assert_cmpmem(r->frame + r->len - 4, 4, "\3two", 4);
	dns_say(r, 2, "_LDAP._tcp.lan", DNS_SRV);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(get16(m + 6), ==, 1);
	g_assert_cmpmem(r->frame + r->len - sizeof(srv), sizeof(srv), srv, sizeof(srv));
	dns_say(r, 2, "about", 1);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 0);
	g_assert_cmpuint(get16(m + 6), ==, 0);
}

static void names_of_the_world_are_asked_for_outside(struct room *r, const void *arg)
{
	struct frame_ip4 p;
	uint32_t ip;

	dns_say(r, 2, "www.example.org", 1);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, -1);
	g_assert_true(frame_ip4(r->up.frame, r->up.len, &p));
	g_assert_cmpuint(get32(p.ip + IP4_DST), ==, NAMESERVER);
	g_assert_cmpuint(csum_end(csum_add(0, p.ip, IP4_BYTES)), ==, 0);
	g_assert_cmpuint(csum_end(csum_add(csum_pseudo4(p.ip, PROTO_UDP, p.l4_bytes), p.l4,
					   p.l4_bytes)), ==, 0);
	/* and what comes back is the gateway's again */
	memcpy(r->up.answer, r->up.frame, r->up.len);
	memcpy(r->up.answer, mac_of(2), 6);
	g_assert_true(frame_ip4(r->up.answer, r->up.len, &p));
	put32(p.ip + IP4_SRC, NAMESERVER);
	put32(p.ip + IP4_DST, GATEWAY + 3);
	put16(p.l4, 53);
	r->up.answer_len = r->up.len;
	r->up.base.calls->readable(r->up.base.card, 0);
	g_assert_true(hears(r, 2));
	g_assert_cmpuint(get32(r->frame + NET_HDR_BYTES + ETH_BYTES + IP4_SRC), ==, GATEWAY);
	g_assert_cmpmem(r->frame + NET_HDR_BYTES + 6, 6, gateway_mac, 6);
}

static void an_isolated_network_knows_nobody_outside(struct room *r, const void *arg)
{
	uint32_t ip;

	dns_say(r, 2, "www.example.org", 1);
	g_assert_cmpint(dns_hear(r, 2, &ip), ==, 5);
	g_assert_cmpuint(lease_get(r, 0, NULL), ==, FIXED);
}

#define STORY(name) \
	g_test_add("/switch/" #name, struct room, NULL, room_open, name, room_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(a_frame_goes_to_whom_it_is_for);
	STORY(a_card_behind_a_guest_is_learned);
	STORY(nobody_speaks_as_another);
	STORY(a_table_that_a_guest_fills_leaks_no_other_guest_s_frames);
	STORY(a_card_has_one_port);
	STORY(a_port_ends_with_its_cable);
	STORY(what_a_slow_guest_leaves_is_bounded_and_stays_in_order);
	STORY(a_checksum_is_left_to_those_who_take_it);
	STORY(a_large_segment_stays_whole_or_is_cut_right);
	STORY(headers_that_lie_are_dropped);
	STORY(guests_get_addresses_their_own_first);
	STORY(wrong_addresses_are_refused_and_released_ones_come_back);
	STORY(nobody_asks_for_another_s_card);
	STORY(a_port_that_invents_cards_starves_itself);
	STORY(leases_outlive_the_process);
	STORY(the_gateway_answers_arp_and_echo);
	STORY(names_of_the_network_are_known);
	STORY(services_and_texts_are_known);
	STORY(names_of_the_world_are_asked_for_outside);
	g_test_add("/switch/an_isolated_network_knows_nobody_outside", struct room, "isolated",
		   room_open, an_isolated_network_knows_nobody_outside, room_close);
	return g_test_run();
}
