/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest that sends anything: frames of its own making, and DHCP and DNS with a sound wrapping. */
#include "config.h"
#include "fuzz.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/net/frame.h"
#include "libvmm/net/switch.h"

#define GATEWAY 0xc0a87a01u
#define GUESTS 2

static const uint8_t gateway_mac[6] = { 0x52, 0x54, 0, 0xff, 0xff, 1 };

static int up_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	g_assert_cmpuint(iov->iov_len, <=, NET_FRAME_MAX);
	return 0;
}

static ssize_t up_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	return -EAGAIN;
}

static void up_want(struct net_backend *b, unsigned queue, bool on)
{
}

static void up_free(struct net_backend *b)
{
}

static const struct net_ops up_ops = {
	.send = up_send, .recv = up_recv, .want_read = up_want, .want_write = up_want,
	.free = up_free,
};

static struct net_switch *switch_make(struct net_backend *up, bool isolated)
{
	static const struct dhcp_range ranges[] = { { GATEWAY + 1, GATEWAY + 30, 0 } };
	const struct dhcp_opts dhcp = {
		.server = GATEWAY, .mask = 0xffffff00, .router = true, .dns = true, .domain = "lan",
		.ranges = ranges, .n_ranges = 1,
	};
	struct switch_opts opts = {
		.address = GATEWAY, .mask = 0xffffff00, .nameserver = GATEWAY + 200,
		.dhcp = dhcp_new(&dhcp), .dns = true, .domain = "lan",
		.uplink = isolated ? NULL : up,
	};
	struct net_switch *sw;

	memcpy(opts.mac, gateway_mac, 6);
	sw = switch_new(&opts);
	dns_add_txt(switch_dns(sw), "a", "a text");
	dns_add_srv(switch_dns(sw), "_a._tcp", "b.lan", 1, 2, 3);
	return sw;
}

/* The rest of a frame as it comes, or inside UDP that is right. */
static size_t frame_make(struct fuzz_input *in, unsigned kind, unsigned guest, uint8_t *data)
{
	const uint8_t from[6] = { 0x52, 0x54, 0, 0, 0, (uint8_t)(guest + 1) };
	size_t n = (size_t)fuzz_take(in, 2) % 1500;
	uint8_t *f = data + NET_HDR_BYTES;
	const struct frame_udp to = {
		.to_mac = gateway_mac, .from_mac = from, .to_ip = GATEWAY, .from_ip = GATEWAY + 3,
		.to_port = kind == 1 ? 67 : 53, .from_port = 68,
	};
	bool wrapped = kind == 1 || kind == 2;

	n = MIN(n, in->left);
	memset(data, 0, NET_HDR_BYTES);
	memcpy(wrapped ? f + FRAME_UDP_BYTES : data, in->data, n);
	in->data += n;
	in->left -= n;
	if (!wrapped)
		return n;
	if (kind == 1 && n > 240) {
		memcpy(f + FRAME_UDP_BYTES, "\1\1\6", 3);
		memset(f + FRAME_UDP_BYTES + 24, 0, 4);
		memcpy(f + FRAME_UDP_BYTES + 28, from, 6);
		put32(f + FRAME_UDP_BYTES + 236, 0x63825363);
	}
	return NET_HDR_BYTES + frame_udp(f, &to, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct net_backend up = { .ops = &up_ops, .queues = 1 };
	struct net_switch *s = switch_make(&up, fuzz_take(&in, 1) & 1);
	static uint8_t frame[NET_HDR_BYTES + NET_FRAME_MAX];
	int ends[GUESTS][2];

	fuzz_quiet();
	for (unsigned i = 0; i < GUESTS; i++) {
		char key[] = { 'a', (char)('0' + i), 0 };
		struct switch_port_opts opts = { .key = key, .name = key };

		g_assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends[i]) == 0);
		memcpy(opts.mac, "\x52\x54\0\0\0", 5);
		opts.mac[5] = (uint8_t)(i + 1);
		opts.fd = ends[i][1];
		g_assert_nonnull(switch_port_add(s, &opts, NULL));
	}
	while (in.left) {
		unsigned what = (unsigned)fuzz_take(&in, 1), guest = what & 1;
		size_t n = frame_make(&in, what >> 1 & 3, guest, frame);

		if (n && send(ends[guest][0], frame, n, MSG_NOSIGNAL) < 0)
			break;
		while (g_main_context_iteration(NULL, FALSE))
			;
		while (recv(ends[!guest][0], frame, sizeof(frame), 0) > 0)
			;
		while (recv(ends[guest][0], frame, sizeof(frame), 0) > 0)
			;
	}
	switch_free(s);
	for (unsigned i = 0; i < GUESTS; i++)
		close(ends[i][0]);
	return 0;
}
