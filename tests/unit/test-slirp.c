/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* User networking, before a guest that is just large enough to shake hands. */
#include "config.h"
#include "libvmm/net/slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <net/ethernet.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
static const uint8_t gateway_mac[6] = { 0x52, 0x55, 10, 0, 2, 2 };

struct guest {
	GMainContext *ctx;
	struct net_backend *b;
	uint8_t pad[2];		/* so that what is behind an Ethernet header is aligned */
	uint8_t frame[2048];	/* received last */
	size_t len;
};

static void on_readable(void *card, unsigned queue)
{
	/* The stories take frames themselves. */
}

static const struct net_calls calls = { .readable = on_readable };

static void guest_start(struct guest *g, struct slirp_opts opts)
{
	g_autoptr(GError) error = NULL;

	opts.owner = g->ctx;
	g->b = slirp_net_new(&opts, &error);
	g_assert_no_error(error);
	net_plug(g->b, &calls, g);
}

static void guest_open(struct guest *g, const void *arg)
{
	g->ctx = g_main_context_new();
	guest_start(g, (struct slirp_opts){ .hostname = "web1" });
}

static void guest_close(struct guest *g, const void *arg)
{
	net_backend_free(g->b);
	g_main_context_unref(g->ctx);
}

static void send_frame(struct guest *g, const void *frame, size_t len)
{
	struct iovec v = { (void *)frame, len };

	g_assert_cmpint(g->b->ops->send(g->b, 0, &v, 1), ==, 0);
}

/* The next frame of this kind within a minute; IPv4 ones by protocol, ARP is 0. */
static bool receive(struct guest *g, uint8_t protocol)
{
	int64_t end = g_get_monotonic_time() + 60 * G_USEC_PER_SEC;

	while (g_get_monotonic_time() < end) {
		struct iovec v = { g->frame, sizeof(g->frame) };
		ssize_t n = g->b->ops->recv(g->b, 0, &v, 1);
		const struct ethhdr *eth = (void *)g->frame;

		if (n < 0) {
			if (!g_main_context_iteration(g->ctx, FALSE))
				g_usleep(1000);
			continue;
		}
		g->len = (size_t)n;
		if (protocol == 0 && ntohs(eth->h_proto) == ETHERTYPE_ARP)
			return true;
		if (ntohs(eth->h_proto) == ETHERTYPE_IP &&
		    ((struct iphdr *)(g->frame + 14))->protocol == protocol && protocol)
			return true;
	}
	return false;
}

static uint32_t sum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (size_t i = 0; i < len; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t sum_end(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

/* Ethernet and IPv4 around a payload, whose checksum is at sum_at (0: it has none). */
static void send_ip(struct guest *g, uint8_t protocol, const char *from, const char *to,
		    const void *payload, size_t len, size_t sum_at)
{
	_Alignas(4) uint8_t room[2 + 1500] = { 0 };
	uint8_t *f = room + 2;
	struct ethhdr *eth = (void *)f;
	struct iphdr *ip = (void *)(f + 14);
	uint32_t sum = 0;
	uint16_t check;

	memcpy(eth->h_dest, gateway_mac, 6);
	memcpy(eth->h_source, guest_mac, 6);
	eth->h_proto = htons(ETHERTYPE_IP);
	*ip = (struct iphdr){ .version = 4, .ihl = 5, .ttl = 64, .protocol = protocol,
			      .tot_len = htons((uint16_t)(20 + len)), .saddr = inet_addr(from),
			      .daddr = inet_addr(to) };
	ip->check = sum_end(sum_add(0, ip, 20));
	memcpy(f + 34, payload, len);
	if (protocol == IPPROTO_TCP)
		sum = sum_add(protocol + (uint32_t)len, &ip->saddr, 8);
	check = sum_end(sum_add(sum, f + 34, len));
	if (sum_at)
		memcpy(f + 34 + sum_at, &check, 2);
	send_frame(g, f, 34 + len);
}

/* "Who is 10.0.2.2?" also tells libslirp who we are. */
static void arp(struct guest *g)
{
	uint8_t f[42] = { 0 };
	struct ether_arp *a = (void *)(f + 14);
	in_addr_t us = inet_addr("10.0.2.15"), gw = inet_addr("10.0.2.2");

	memset(f, 0xff, 6);
	memcpy(f + 6, guest_mac, 6);
	f[12] = 0x08;
	f[13] = 0x06;
	a->ea_hdr = (struct arphdr){ htons(ARPHRD_ETHER), htons(ETHERTYPE_IP), 6, 4,
				     htons(ARPOP_REQUEST) };
	memcpy(a->arp_sha, guest_mac, 6);
	memcpy(a->arp_spa, &us, 4);
	memcpy(a->arp_tpa, &gw, 4);
	send_frame(g, f, sizeof(f));
	g_assert_true(receive(g, 0));
}

static void the_gateway_answers_arp(struct guest *g, const void *arg)
{
	const struct ether_arp *a = (void *)(g->frame + 14);

	arp(g);
	g_assert_cmpuint(ntohs(a->ea_hdr.ar_op), ==, ARPOP_REPLY);
	g_assert_cmpmem(a->arp_sha, 6, gateway_mac, 6);
}

static const uint8_t *dhcp_option(const struct guest *g, uint8_t code)
{
	const uint8_t *o = g->frame + 14 + 20 + 8 + 240;

	while (o + 1 < g->frame + g->len && *o != 255) {
		if (*o == code)
			return o;
		o += *o ? 2 + o[1] : 1;
	}
	return NULL;
}

static void dhcp_discover(struct guest *g)
{
	uint8_t p[8 + 244] = { 0 };
	struct udphdr udp = { .source = htons(68), .dest = htons(67), .len = htons(sizeof(p)) };

	memcpy(p, &udp, sizeof(udp));
	memcpy(p + 8, "\1\1\6\0\x12\x34\x56\x78", 8);
	memcpy(p + 8 + 28, guest_mac, 6);
	memcpy(p + 8 + 236, "\x63\x82\x53\x63\x35\1\1\xff", 8);
	send_ip(g, IPPROTO_UDP, "0.0.0.0", "255.255.255.255", p, sizeof(p), 0);
	g_assert_true(receive(g, IPPROTO_UDP));
}

static void dhcp_offers_the_usual_addresses(struct guest *g, const void *arg)
{
	in_addr_t us = inet_addr("10.0.2.15"), gw = inet_addr("10.0.2.2"),
		  dns = inet_addr("10.0.2.3");

	dhcp_discover(g);
	g_assert_cmpmem(g->frame + 14 + 20 + 8 + 16, 4, &us, 4);
	g_assert_cmpmem(dhcp_option(g, 53), 3, "\x35\1\2", 3);
	g_assert_cmpmem(dhcp_option(g, 3) + 2, 4, &gw, 4);
	g_assert_cmpmem(dhcp_option(g, 6) + 2, 4, &dns, 4);
	g_assert_cmpmem(dhcp_option(g, 12) + 2, 4, "web1", 4);
}

static void another_network_moves_all_of_them(struct guest *g, const void *arg)
{
	in_addr_t us = inet_addr("192.168.7.15");

	net_backend_free(g->b);
	guest_start(g, (struct slirp_opts){ .network = "192.168.7.0", .prefix = 24 });
	dhcp_discover(g);
	g_assert_cmpmem(g->frame + 14 + 20 + 8 + 16, 4, &us, 4);
}

static void the_gateway_answers_a_ping(struct guest *g, const void *arg)
{
	const struct icmphdr *reply = (void *)(g->frame + 34);
	struct icmphdr echo = { .type = ICMP_ECHO, .un.echo = { htons(7), htons(1) } };

	arp(g);
	send_ip(g, IPPROTO_ICMP, "10.0.2.15", "10.0.2.2", &echo, sizeof(echo), 2);
	g_assert_true(receive(g, IPPROTO_ICMP));
	g_assert_cmpuint(reply->type, ==, ICMP_ECHOREPLY);
	g_assert_cmpuint(ntohs(reply->un.echo.id), ==, 7);
}

static int listener(int type, uint16_t *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;

	/* As another guest's forward has it: who asks for the same shall not share the port. */
	if (type == SOCK_DGRAM)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	g_assert_cmpint(bind(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	if (type == SOCK_STREAM)
		g_assert_cmpint(listen(fd, 1), ==, 0);
	g_assert_cmpint(getsockname(fd, (struct sockaddr *)&a, &len), ==, 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

/* A port that was free a moment ago. */
static uint16_t free_port(int type)
{
	uint16_t port;

	close(listener(type, &port));
	return port;
}

static void syn(struct guest *g, uint16_t port)
{
	struct tcphdr tcp = { .source = htons(1234), .dest = htons(port), .seq = htonl(100),
			      .doff = 5, .syn = 1, .window = htons(8192) };

	arp(g);
	send_ip(g, IPPROTO_TCP, "10.0.2.15", "10.0.2.2", &tcp, sizeof(tcp), 16);
	g_assert_true(receive(g, IPPROTO_TCP));
}

static void the_guest_reaches_a_server_of_the_host(struct guest *g, const void *arg)
{
	const struct tcphdr *tcp = (void *)(g->frame + 34);
	uint16_t port;
	auto_close int fd = listener(SOCK_STREAM, &port);

	syn(g, port);
	g_assert_true(tcp->syn && tcp->ack);
	g_assert_cmpuint(ntohl(tcp->ack_seq), ==, 101);
	close(accept(fd, NULL, NULL));
}

static void a_restricted_guest_does_not(struct guest *g, const void *arg)
{
	struct tcphdr tcp = { .source = htons(1234), .doff = 5, .syn = 1, .window = htons(8192) };
	uint16_t port;
	auto_close int fd = listener(SOCK_STREAM, &port);

	net_backend_free(g->b);
	guest_start(g, (struct slirp_opts){ .restricted = true });
	arp(g);
	tcp.dest = htons(port);
	send_ip(g, IPPROTO_TCP, "10.0.2.15", "10.0.2.2", &tcp, sizeof(tcp), 16);
	for (int i = 0; i < 100; i++)
		g_main_context_iteration(g->ctx, FALSE);
	g_assert_cmpint(accept(fd, NULL, NULL), ==, -1);
	g_assert_cmpint(errno, ==, EAGAIN);
}

static int dial(int type, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	g_assert_cmpint(connect(fd, (struct sockaddr *)&a, sizeof(a)), ==, 0);
	return fd;
}

static void a_tcp_forward_knocks_at_the_guest(struct guest *g, const void *arg)
{
	struct slirp_forward f = { .host_addr = "127.0.0.1", .host_port = free_port(SOCK_STREAM),
				   .guest_port = 22 };
	const struct tcphdr *tcp = (void *)(g->frame + 34);
	auto_close int fd = -1;

	arp(g);
	g_assert_true(slirp_forward_add(g->b, &f, NULL));
	fd = dial(SOCK_STREAM, f.host_port);
	g_assert_true(receive(g, IPPROTO_TCP));
	g_assert_true(tcp->syn && !tcp->ack);
	g_assert_cmpuint(ntohs(tcp->dest), ==, 22);
}

/* libslirp asks for its address and waits; here the loop never sleeps as long as it wants to. */
static void a_forward_finds_a_guest_that_has_said_nothing_yet(struct guest *g, const void *arg)
{
	struct slirp_forward f = { .host_addr = "127.0.0.1", .host_port = free_port(SOCK_STREAM),
				   .guest_port = 22 };
	struct ether_arp *a = (void *)(g->frame + 14);
	auto_close int fd = -1;

	g_assert_true(slirp_forward_add(g->b, &f, NULL));
	fd = dial(SOCK_STREAM, f.host_port);
	g_assert_true(receive(g, 0));
	g_assert_cmpuint(ntohs(a->ea_hdr.ar_op), ==, ARPOP_REQUEST);
	a->ea_hdr.ar_op = htons(ARPOP_REPLY);
	memcpy(a->arp_tha, a->arp_sha, 6);
	memcpy(a->arp_sha, guest_mac, 6);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t gateway = a->arp_spa[i];

		a->arp_spa[i] = a->arp_tpa[i];
		a->arp_tpa[i] = gateway;
	}
	memcpy(g->frame, gateway_mac, 6);
	memcpy(g->frame + 6, guest_mac, 6);
	send_frame(g, g->frame, 42);
	g_assert_true(receive(g, IPPROTO_TCP));
}

static void a_udp_forward_brings_the_datagram(struct guest *g, const void *arg)
{
	struct slirp_forward f = { .udp = true, .host_addr = "127.0.0.1",
				   .host_port = free_port(SOCK_DGRAM), .guest_port = 53 };
	auto_close int fd = -1;

	arp(g);
	g_assert_true(slirp_forward_add(g->b, &f, NULL));
	fd = dial(SOCK_DGRAM, f.host_port);
	g_assert_cmpint(send(fd, "query", 5, 0), ==, 5);
	g_assert_true(receive(g, IPPROTO_UDP));
	g_assert_cmpmem(g->frame + 42, 5, "query", 5);
}

static void a_port_that_is_taken_is_named(struct guest *g, const void *arg)
{
	for (int i = 0; i < 2; i++) {
		int type = i ? SOCK_DGRAM : SOCK_STREAM;
		uint16_t port;
		auto_close G_GNUC_UNUSED int fd = listener(type, &port);
		struct slirp_forward f = { .udp = i, .host_addr = "127.0.0.1", .host_port = port,
					   .guest_port = 22 };
		struct slirp_opts opts = { .owner = g->ctx, .forwards = &f, .n_forwards = 1 };
		g_autoptr(GError) error = NULL;
		g_autofree char *name = g_strdup_printf("127.0.0.1:%u", port);

		g_assert_null(slirp_net_new(&opts, &error));
		g_assert_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED);
		g_assert_nonnull(strstr(error->message, name));
	}
}

static void nonsense_is_refused(struct guest *g, const void *arg)
{
	struct slirp_opts bad[] = {
		{ .network = "ten" }, { .prefix = 30 }, { .mtu = 20 }, { .mtu = 100000 },
		{ .ipv6 = true, .network6 = "x" },
	};
	struct slirp_forward f = { .host_addr = "localhost", .host_port = 1, .guest_port = 1 };
	g_autoptr(GError) error = NULL;

	for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_null(slirp_net_new(&bad[i], &error));
		g_assert_nonnull(error);
		g_clear_error(&error);
	}
	g_assert_false(slirp_forward_add(g->b, &f, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG);
}

static void a_guest_that_never_reads_loses_frames_not_our_memory(struct guest *g, const void *arg)
{
	struct icmphdr echo = { .type = ICMP_ECHO };

	arp(g);
	for (int i = 0; i < 3000; i++)
		send_ip(g, IPPROTO_ICMP, "10.0.2.15", "10.0.2.2", &echo, sizeof(echo), 2);
	g_assert_cmpuint(g->b->ops->dropped(g->b), >=, 3000 - 1024);
}

static void an_idle_guest_wakes_nobody(struct guest *g, const void *arg)
{
	gint priority, timeout_ms;

	while (g_main_context_iteration(g->ctx, FALSE))
		;
	g_assert_true(g_main_context_acquire(g->ctx));
	g_main_context_prepare(g->ctx, &priority);
	g_main_context_query(g->ctx, priority, &timeout_ms, NULL, 0);
	g_main_context_release(g->ctx);
	g_assert_cmpint(timeout_ms, ==, -1);
}

#define STORY(name) g_test_add("/slirp/" #name, struct guest, NULL, guest_open, name, guest_close)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(the_gateway_answers_arp);
	STORY(dhcp_offers_the_usual_addresses);
	STORY(another_network_moves_all_of_them);
	STORY(the_gateway_answers_a_ping);
	STORY(the_guest_reaches_a_server_of_the_host);
	STORY(a_restricted_guest_does_not);
	STORY(a_tcp_forward_knocks_at_the_guest);
	STORY(a_forward_finds_a_guest_that_has_said_nothing_yet);
	STORY(a_udp_forward_brings_the_datagram);
	STORY(a_port_that_is_taken_is_named);
	STORY(nonsense_is_refused);
	STORY(a_guest_that_never_reads_loses_frames_not_our_memory);
	STORY(an_idle_guest_wakes_nobody);
	return g_test_run();
}
