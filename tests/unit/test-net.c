/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-net as its driver sees it, before a backend whose wire is a socketpair. */
#include "config.h"
#include "libvmm/device/net.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/device/virtio.h"
#include "libvmm/net/net.h"
#include "libvmm/util/cleanup.h"
#include "virtio-driver.h"

#define F(x) (UINT64_C(1) << VIRTIO_NET_F_##x)
#define RX 0
#define TX 1
#define CTRL 2

/* --- the wire --- */

struct wire {
	struct net_backend base;
	int fd;
	int far;		/* the test's end */
	GSource *source;
	void *tag;
	GIOCondition want;
	unsigned offload;
	unsigned pairs;
};

struct wire_source {
	GSource base;
	struct wire *wire;
};

static int wire_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	return writev(container_of(b, struct wire, base)->fd, iov, (int)n) < 0 ? -errno : 0;
}

static ssize_t wire_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	ssize_t r = readv(container_of(b, struct wire, base)->fd, iov, (int)n);

	return r > 0 ? r : -EAGAIN;
}

static void wire_want(struct net_backend *b, GIOCondition what, bool on)
{
	struct wire *w = container_of(b, struct wire, base);

	w->want = on ? w->want | what : w->want & ~what;
	g_source_modify_unix_fd(w->source, w->tag, w->want);
}

static void wire_want_read(struct net_backend *b, unsigned queue, bool on)
{
	if (queue == 0)
		wire_want(b, G_IO_IN, on);
}

static void wire_want_write(struct net_backend *b, unsigned queue, bool on)
{
	if (queue == 0)
		wire_want(b, G_IO_OUT, on);
}

static int wire_set_offload(struct net_backend *b, unsigned offload)
{
	container_of(b, struct wire, base)->offload = offload;
	return 0;
}

static int wire_set_queues(struct net_backend *b, unsigned pairs)
{
	container_of(b, struct wire, base)->pairs = pairs;
	return 0;
}

static uint64_t wire_dropped(struct net_backend *b)
{
	return 0;
}

static void wire_free(struct net_backend *b)
{
	struct wire *w = container_of(b, struct wire, base);

	g_source_destroy(w->source);
	g_source_unref(w->source);
	close(w->fd);
	close(w->far);
	g_free(w);
}

static const struct net_ops wire_ops = {
	wire_send, wire_recv, wire_want_read, wire_want_write,
	wire_set_offload, wire_set_queues, wire_dropped, wire_free,
};

static gboolean wire_dispatch(GSource *source, GSourceFunc fn, void *arg)
{
	struct wire *w = container_of(source, struct wire_source, base)->wire;
	GIOCondition c = g_source_query_unix_fd(source, w->tag);

	if (c & G_IO_IN)
		w->base.calls->readable(w->base.card, 0);
	if (c & G_IO_OUT)
		w->base.calls->writable(w->base.card, 0);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs wire_funcs = { .dispatch = wire_dispatch };

static struct wire *wire_new(bool vnet_hdr, unsigned queues)
{
	struct wire *w = g_new0(struct wire, 1);
	int fds[2];

	g_assert_cmpint(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
			==, 0);
	w->base = (struct net_backend){ .ops = &wire_ops, .vnet_hdr = vnet_hdr, .queues = queues,
					.offload = vnet_hdr ? 7 : 0 };
	w->fd = fds[0];
	w->far = fds[1];
	w->source = g_source_new(&wire_funcs, sizeof(struct wire_source));
	container_of(w->source, struct wire_source, base)->wire = w;
	w->tag = g_source_add_unix_fd(w->source, w->fd, 0);
	g_source_attach(w->source, NULL);
	return w;
}

/* --- the guest --- */

struct guest {
	struct driver *d;
	struct wire *w;
	struct virtio_device *dev;
};

static void guest_new(struct guest *g, bool vnet_hdr, unsigned queues)
{
	struct net_opts opts = { .name = "net0", .mac = { 0x52, 0x54, 0, 1, 2, 3 }, .mtu = 9000 };

	g->d = driver_new(4);
	g->w = wire_new(vnet_hdr, queues);
	g->dev = net_new(&g->w->base, &opts, g->d->mem, NULL, NULL);
	driver_attach(g->d, g->dev);
}

static void guest_open(struct guest *g, const void *arg)
{
	guest_new(g, true, 1);
}

static void guest_open_plain(struct guest *g, const void *arg)
{
	guest_new(g, false, 1);
}

static void guest_open_multi(struct guest *g, const void *arg)
{
	guest_new(g, true, 2);
}

static void guest_close(struct guest *g, const void *arg)
{
	driver_free(g->d);
}

static void settle(void)
{
	for (int i = 0; i < 2000 && g_main_context_iteration(NULL, FALSE); i++)
		;
	g_assert_false(g_main_context_iteration(NULL, FALSE));
}

static uint64_t give(struct guest *g, uint32_t len)
{
	struct driver_buf buf = { driver_alloc(g->d, len), len, true };

	driver_add(g->d, RX, &buf, 1);
	driver_kick(g->d, RX);
	return buf.gpa;
}

static void arrive(struct guest *g, const void *frame, size_t len)
{
	g_assert_cmpint(send(g->w->far, frame, len, 0), ==, len);
	settle();
}

static void transmit(struct guest *g, const struct virtio_net_hdr_v1 *hdr, const char *frame,
		     uint32_t len)
{
	struct driver_buf bufs[] = {
		{ driver_alloc(g->d, sizeof(*hdr)), sizeof(*hdr), false },
		{ driver_alloc(g->d, len), len, false },
	};

	memcpy(driver_ptr(g->d, bufs[0].gpa), hdr, sizeof(*hdr));
	memcpy(driver_ptr(g->d, bufs[1].gpa), frame, len);
	driver_add(g->d, TX, bufs, 2);
	driver_kick(g->d, TX);
	settle();
}

/* The acknowledgement of a control command, 0 is good. */
static int control(struct guest *g, unsigned queue, uint8_t class, uint8_t cmd, const void *data,
		   uint32_t len)
{
	struct driver_buf bufs[] = {
		{ driver_alloc(g->d, 2), 2, false },
		{ driver_alloc(g->d, len), len, false },
		{ driver_alloc(g->d, 1), 1, true },
	};

	memcpy(driver_ptr(g->d, bufs[0].gpa), (uint8_t[]){ class, cmd }, 2);
	memcpy(driver_ptr(g->d, bufs[1].gpa), data, len);
	*(uint8_t *)driver_ptr(g->d, bufs[2].gpa) = 0xee;
	driver_add(g->d, queue, bufs, 3);
	driver_kick(g->d, queue);
	g_assert_true(driver_wait(g->d, queue, NULL, NULL));
	return *(uint8_t *)driver_ptr(g->d, bufs[2].gpa);
}

static void the_configuration_tells_mac_link_and_mtu(struct guest *g, const void *arg)
{
	struct virtio_net_config c = { 0 };

	driver_config(g->d, 0, &c, 12);
	g_assert_cmpmem(c.mac, 6, "\x52\x54\0\1\2\3", 6);
	g_assert_cmpuint(c.status, ==, VIRTIO_NET_S_LINK_UP);
	g_assert_cmpuint(c.max_virtqueue_pairs, ==, 1);
	g_assert_cmpuint(c.mtu, ==, 9000);
}

static void offloads_are_the_backends(struct guest *g, const void *arg)
{
	g_assert_cmphex(g->dev->offered & (F(CSUM) | F(HOST_TSO4) | F(GUEST_TSO6)), ==,
			F(CSUM) | F(HOST_TSO4) | F(GUEST_TSO6));
	g_assert_cmphex(g->dev->offered & (F(HOST_UFO) | F(MQ)), ==, 0);
	g_assert_true(driver_init(g->d, F(GUEST_CSUM) | F(GUEST_TSO4), 16));
	g_assert_cmphex(g->w->offload, ==, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
}

static void a_backend_without_headers_has_no_offloads(struct guest *g, const void *arg)
{
	g_assert_cmphex(g->dev->offered & (F(CSUM) | F(GUEST_CSUM) | F(HOST_TSO4)), ==, 0);
}

static void a_frame_goes_out_with_its_header(struct guest *g, const void *arg)
{
	struct virtio_net_hdr_v1 hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_offset = 6 };
	uint8_t got[64];

	g_assert_true(driver_init(g->d, F(CSUM), 16));
	transmit(g, &hdr, "0123456789abcdef", 16);
	g_assert_true(driver_used(g->d, TX, NULL, NULL));
	g_assert_cmpint(recv(g->w->far, got, sizeof(got), 0), ==, 28);
	g_assert_cmpmem(got, 12, &hdr, 12);
	g_assert_cmpmem(got + 12, 16, "0123456789abcdef", 16);
}

static void a_plain_backend_gets_no_header(struct guest *g, const void *arg)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint8_t got[64];

	g_assert_true(driver_init(g->d, 0, 16));
	transmit(g, &hdr, "0123456789abcdef", 16);
	g_assert_cmpint(recv(g->w->far, got, sizeof(got), 0), ==, 16);
}

static void a_runt_is_an_error_and_comes_back(struct guest *g, const void *arg)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	struct net_stats stats;

	g_assert_true(driver_init(g->d, 0, 16));
	transmit(g, &hdr, "short", 5);
	g_assert_true(driver_used(g->d, TX, NULL, NULL));
	net_stats(g->dev, &stats);
	g_assert_cmpuint(stats.tx_errs, ==, 1);
	g_assert_cmpuint(stats.tx_packets, ==, 0);
}

static void a_frame_comes_in_with_one_buffer_counted(struct guest *g, const void *arg)
{
	uint8_t frame[12 + 60] = { [12] = 0xff };
	struct virtio_net_hdr_v1 *hdr;
	uint64_t gpa;
	uint32_t len;

	frame[0] = VIRTIO_NET_HDR_F_DATA_VALID;
	g_assert_true(driver_init(g->d, F(MRG_RXBUF) | F(GUEST_CSUM), 16));
	gpa = give(g, 2048);
	arrive(g, frame, sizeof(frame));
	g_assert_true(driver_used(g->d, RX, NULL, &len));
	g_assert_cmpuint(len, ==, sizeof(frame));
	hdr = driver_ptr(g->d, gpa);
	g_assert_cmpuint(hdr->num_buffers, ==, 1);
	g_assert_cmpuint(hdr->flags, ==, VIRTIO_NET_HDR_F_DATA_VALID);
	g_assert_cmphex(*(uint8_t *)(hdr + 1), ==, 0xff);
}

static void flags_that_were_not_negotiated_are_cleared(struct guest *g, const void *arg)
{
	uint8_t frame[12 + 60] = { VIRTIO_NET_HDR_F_DATA_VALID, 1 };
	struct virtio_net_hdr_v1 *hdr;
	uint64_t gpa;

	g_assert_true(driver_init(g->d, 0, 16));
	gpa = give(g, 2048);
	arrive(g, frame, sizeof(frame));
	hdr = driver_ptr(g->d, gpa);
	g_assert_cmpuint(hdr->flags, ==, 0);
	g_assert_cmpuint(hdr->gso_type, ==, 0);
	g_assert_cmpuint(hdr->num_buffers, ==, 1);
}

static void a_plain_frame_gets_an_empty_header(struct guest *g, const void *arg)
{
	uint64_t gpa;
	uint32_t len;

	g_assert_true(driver_init(g->d, F(MRG_RXBUF), 16));
	gpa = give(g, 2048);
	memset(driver_ptr(g->d, gpa), 0xee, 12);
	arrive(g, "0123456789abcdef", 16);
	g_assert_true(driver_used(g->d, RX, NULL, &len));
	g_assert_cmpuint(len, ==, 28);
	g_assert_cmpmem(driver_ptr(g->d, gpa), 12, "\0\0\0\0\0\0\0\0\0\0\1\0", 12);
	g_assert_cmpmem(driver_ptr(g->d, gpa + 12), 16, "0123456789abcdef", 16);
}

/* Twice: the first finds the spill, the second knows how much room to offer. */
static void a_large_frame_is_spread_over_buffers(struct guest *g, const void *arg)
{
	g_autofree uint8_t *frame = g_malloc(10000);

	for (unsigned i = 0; i < 10000; i++)
		frame[i] = (uint8_t)(i % 251);
	memset(frame, 0, 12);
	g_assert_true(driver_init(g->d, F(MRG_RXBUF) | F(GUEST_CSUM) | F(GUEST_TSO4), 16));
	for (unsigned round = 0; round < 2; round++) {
		uint64_t gpa[8];
		uint32_t len, total = 0;

		for (unsigned i = 0; i < 8; i++)
			gpa[i] = give(g, 1500);
		arrive(g, frame, 10000);
		for (unsigned i = 0; i < 7; i++) {
			g_assert_true(driver_used(g->d, RX, NULL, &len));
			g_assert_cmpmem(driver_ptr(g->d, gpa[i] + (i ? 0 : 12)), len - (i ? 0 : 12),
					frame + total + (i ? 0 : 12), len - (i ? 0 : 12));
			total += len;
		}
		g_assert_cmpuint(total, ==, 10000);
		g_assert_cmpuint(
			((struct virtio_net_hdr_v1 *)driver_ptr(g->d, gpa[0]))->num_buffers, ==, 7);
		g_assert_false(driver_used(g->d, RX, NULL, NULL));
		driver_reset(g->d);
		g_assert_true(driver_init(g->d, F(MRG_RXBUF) | F(GUEST_CSUM) | F(GUEST_TSO4), 16));
	}
}

static void a_small_frame_after_a_large_one_takes_one_buffer(struct guest *g, const void *arg)
{
	g_autofree uint8_t *frame = g_malloc0(6000);
	uint32_t len;

	g_assert_true(driver_init(g->d, F(MRG_RXBUF), 16));
	for (unsigned i = 0; i < 8; i++)
		give(g, 1500);
	arrive(g, frame, 6000);
	for (unsigned i = 0; i < 4; i++)
		g_assert_true(driver_used(g->d, RX, NULL, NULL));
	for (unsigned i = 0; i < 4; i++) {
		arrive(g, frame, 100);
		g_assert_true(driver_used(g->d, RX, NULL, &len));
		g_assert_cmpuint(len, ==, 100);
		g_assert_false(driver_used(g->d, RX, NULL, NULL));
	}
}

static void frames_wait_for_buffers(struct guest *g, const void *arg)
{
	uint8_t frame[72] = { 0 };

	g_assert_true(driver_init(g->d, F(MRG_RXBUF), 16));
	arrive(g, frame, sizeof(frame));
	arrive(g, frame, sizeof(frame));
	give(g, 2048);
	give(g, 2048);
	settle();
	g_assert_true(driver_used(g->d, RX, NULL, NULL));
	g_assert_true(driver_used(g->d, RX, NULL, NULL));
}

static void a_frame_too_large_for_one_buffer_is_dropped(struct guest *g, const void *arg)
{
	uint8_t frame[3000] = { 0 };
	struct net_stats stats;

	g_assert_true(driver_init(g->d, 0, 16));
	give(g, 1526);
	arrive(g, frame, sizeof(frame));
	g_assert_false(driver_used(g->d, RX, NULL, NULL));
	arrive(g, frame, 1000);
	g_assert_true(driver_used(g->d, RX, NULL, NULL));
	net_stats(g->dev, &stats);
	g_assert_cmpuint(stats.rx_drop, ==, 1);
	g_assert_cmpuint(stats.rx_packets, ==, 1);
	g_assert_cmpuint(stats.rx_bytes, ==, 988);
}

static void a_receive_buffer_without_room_for_a_header_breaks_the_device(struct guest *g,
									  const void *arg)
{
	uint8_t frame[72] = { 0 };

	g_assert_true(driver_init(g->d, F(MRG_RXBUF), 16));
	give(g, 4);
	arrive(g, frame, sizeof(frame));
	g_assert_true(virtio_is_broken(g->dev));
	g_assert_true(driver_init(g->d, F(MRG_RXBUF), 16));
	give(g, 2048);
	arrive(g, frame, sizeof(frame));
	g_assert_true(driver_used(g->d, RX, NULL, NULL));
}

static void a_full_wire_makes_the_guest_wait(struct guest *g, const void *arg)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	g_autofree char *frame = g_strnfill(60000, 'x');
	unsigned sent = 0, got = 0;
	ssize_t n;

	g_assert_true(driver_init(g->d, 0, 16));
	do {
		transmit(g, &hdr, frame, 60000);
		sent++;
	} while (driver_used(g->d, TX, NULL, NULL));
	do {
		settle();
		n = recv(g->w->far, frame, 60000, 0);
		got += n > 0;
	} while (n > 0);
	g_assert_cmpuint(got, ==, sent);
	g_assert_true(driver_used(g->d, TX, NULL, NULL));
}

static void pulling_the_cable_is_told_and_stops_traffic(struct guest *g, const void *arg)
{
	struct virtio_net_hdr_v1 hdr = { 0 };
	uint8_t frame[72] = { 0 };
	struct net_stats stats;
	uint32_t status;
	uint16_t link;

	g_assert_true(driver_init(g->d, F(MRG_RXBUF) | F(STATUS), 16));
	give(g, 2048);
	driver_interrupts(g->d, &status);
	net_set_link(g->dev, false);
	driver_interrupts(g->d, &status);
	g_assert_cmphex(status & VIRTIO_MMIO_INT_CONFIG, ==, VIRTIO_MMIO_INT_CONFIG);
	driver_config(g->d, 6, &link, 2);
	g_assert_cmpuint(link, ==, 0);
	arrive(g, frame, sizeof(frame));
	transmit(g, &hdr, "0123456789abcdef", 16);
	g_assert_false(driver_used(g->d, RX, NULL, NULL));
	net_stats(g->dev, &stats);
	g_assert_cmpuint(stats.tx_drop, ==, 1);
	net_set_link(g->dev, true);
	arrive(g, frame, sizeof(frame));
	g_assert_true(driver_used(g->d, RX, NULL, NULL));
	g_assert_false(driver_used(g->d, RX, NULL, NULL));
}

static void receive_modes_are_accepted(struct guest *g, const void *arg)
{
	g_assert_true(driver_init(g->d, F(CTRL_VQ) | F(CTRL_RX), 16));
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, "\1", 1),
			==, VIRTIO_NET_OK);
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_VLAN, 0, "\1\0", 2), ==, VIRTIO_NET_ERR);
	g_assert_cmpint(control(g, CTRL, 77, 0, "\1\0", 2), ==, VIRTIO_NET_ERR);
}

static void a_new_mac_shows_in_the_configuration(struct guest *g, const void *arg)
{
	uint8_t mac[6];

	g_assert_true(driver_init(g->d, F(CTRL_VQ) | F(CTRL_MAC_ADDR), 16));
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET,
				"\2\0\0\0\0\7", 6), ==, VIRTIO_NET_OK);
	driver_config(g->d, 0, mac, 6);
	g_assert_cmpmem(mac, 6, "\2\0\0\0\0\7", 6);
}

static void the_control_queue_moves_behind_all_pairs(struct guest *g, const void *arg)
{
	g_assert_true(driver_init(g->d, F(CTRL_VQ) | F(MQ), 16));
	g_assert_cmpuint(g->w->pairs, ==, 1);
	g_assert_cmpint(control(g, 4, VIRTIO_NET_CTRL_MQ, 0, "\2\0", 2), ==, VIRTIO_NET_OK);
	g_assert_cmpuint(g->w->pairs, ==, 2);
	g_assert_cmpint(control(g, 4, VIRTIO_NET_CTRL_MQ, 0, "\3\0", 2), ==, VIRTIO_NET_ERR);
	g_assert_cmpint(control(g, 4, VIRTIO_NET_CTRL_MQ, 0, "\0\0", 2), ==, VIRTIO_NET_ERR);
	driver_reset(g->d);
	g_assert_true(driver_init(g->d, F(CTRL_VQ), 16));
	g_assert_cmpint(control(g, 2, VIRTIO_NET_CTRL_RX, 0, "\1", 1), ==, VIRTIO_NET_OK);
}

static void offloads_change_while_it_runs(struct guest *g, const void *arg)
{
	uint64_t one = F(GUEST_CSUM), more = F(GUEST_CSUM) | F(GUEST_TSO6);

	g_assert_true(driver_init(g->d, F(CTRL_VQ) | F(CTRL_GUEST_OFFLOADS) | F(GUEST_CSUM), 16));
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, "\0\0\0\0\0\0\0\0", 8),
			==, VIRTIO_NET_OK);
	g_assert_cmphex(g->w->offload, ==, 0);
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &one, 8), ==,
			VIRTIO_NET_OK);
	g_assert_cmphex(g->w->offload, ==, NET_OFFLOAD_CSUM);
	g_assert_cmpint(control(g, CTRL, VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, &more, 8), ==,
			VIRTIO_NET_ERR);
}

#define STORY_ON(open, name) \
	g_test_add("/net/" #name, struct guest, NULL, open, name, guest_close)
#define STORY(name) STORY_ON(guest_open, name)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	STORY(the_configuration_tells_mac_link_and_mtu);
	STORY(offloads_are_the_backends);
	STORY_ON(guest_open_plain, a_backend_without_headers_has_no_offloads);
	STORY(a_frame_goes_out_with_its_header);
	STORY_ON(guest_open_plain, a_plain_backend_gets_no_header);
	STORY(a_runt_is_an_error_and_comes_back);
	STORY(a_frame_comes_in_with_one_buffer_counted);
	STORY(flags_that_were_not_negotiated_are_cleared);
	STORY_ON(guest_open_plain, a_plain_frame_gets_an_empty_header);
	STORY(a_large_frame_is_spread_over_buffers);
	STORY(a_small_frame_after_a_large_one_takes_one_buffer);
	STORY(frames_wait_for_buffers);
	STORY(a_frame_too_large_for_one_buffer_is_dropped);
	STORY(a_receive_buffer_without_room_for_a_header_breaks_the_device);
	STORY_ON(guest_open_plain, a_full_wire_makes_the_guest_wait);
	STORY(pulling_the_cable_is_told_and_stops_traffic);
	STORY(receive_modes_are_accepted);
	STORY(a_new_mac_shows_in_the_configuration);
	STORY_ON(guest_open_multi, the_control_queue_moves_behind_all_pairs);
	STORY(offloads_change_while_it_runs);
	return g_test_run();
}
