/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver of a network card that does anything, while frames of any size come in. */
#include "config.h"
#include "fuzz-driver.h"

#include <errno.h>

#include "libvmm/device/net.h"
#include "libvmm/device/virtio.h"
#include "libvmm/net/net.h"
#include "libvmm/util/cleanup.h"

struct wire {
	struct net_backend base;
	size_t frame;		/* bytes of the next one; 0: there is none */
	bool full;
	bool freed;
};

static int wire_send(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	static uint8_t frame[NET_HDR_BYTES + NET_FRAME_MAX];
	size_t len = 0;

	for (unsigned i = 0; i < n; i++) {
		g_assert_cmpuint(iov[i].iov_len, <=, sizeof(frame) - len);
		memcpy(frame + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	g_assert_cmpuint(queue, <, b->queues);
	return container_of(b, struct wire, base)->full ? -EAGAIN : 0;
}

static ssize_t wire_recv(struct net_backend *b, unsigned queue, const struct iovec *iov, unsigned n)
{
	struct wire *w = container_of(b, struct wire, base);
	size_t len = w->frame, left = len;

	w->frame = 0;
	for (unsigned i = 0; i < n && left > 0; i++) {
		size_t part = MIN(left, iov[i].iov_len);

		memset(iov[i].iov_base, 0xab, part);
		left -= part;
	}
	g_assert_cmpuint(left, ==, 0);
	return len ? (ssize_t)len : -EAGAIN;
}

static void wire_want(struct net_backend *b, unsigned queue, bool on)
{
	g_assert_cmpuint(queue, <, b->queues);
}

static int wire_set(struct net_backend *b, unsigned v)
{
	return 0;
}

static int wire_set_queues(struct net_backend *b, unsigned pairs)
{
	g_assert_true(pairs >= 1 && pairs <= b->queues);
	return 0;
}

static uint64_t wire_dropped(struct net_backend *b)
{
	return 0;
}

static void wire_free(struct net_backend *b)
{
	container_of(b, struct wire, base)->freed = true;
}

static const struct net_ops wire_ops = {
	wire_send, wire_recv, wire_want, wire_want, wire_set, wire_set_queues, wire_dropped,
	wire_free,
};

static void step(struct driver *d, struct wire *w, struct virtio_device *dev, struct fuzz_input *in)
{
	unsigned queue = (unsigned)fuzz_take(in, 1);

	switch (queue >> 5) {
	case 0:
	case 1:
	case 2:
		fuzz_chain(d, in, queue % (2 * w->base.queues + 1));
		break;
	case 3:
	case 4:
		w->frame = fuzz_take(in, 2) + (w->base.vnet_hdr ? NET_HDR_BYTES : 0);
		w->base.calls->readable(w->base.card, queue % w->base.queues);
		break;
	case 5:
		fuzz_poke(d, in);
		break;
	case 6:
		w->full = queue & 1;
		net_set_link(dev, queue & 2);
		w->base.calls->writable(w->base.card, 0);
		fuzz_loop(8);
		break;
	case 7:
		if (d->alloc_gpa < FUZZ_ALLOC_END)
			driver_init(d, fuzz_take(in, 4), 16);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned shape = (unsigned)fuzz_take(&in, 1);
	struct wire w = { .base = { .ops = &wire_ops,
				    .vnet_hdr = shape & 1,
				    .offload = shape & 1 ? 31 : 0,
				    .queues = 1 + (shape >> 1) % 3 } };
	struct net_opts opts = { .name = "net", .mtu = shape & 0x80 ? 9000 : 0 };
	struct driver *d = driver_new(1);
	struct virtio_device *dev = net_new(&w.base, &opts, d->mem, NULL, NULL);
	struct net_stats stats;

	fuzz_quiet();
	driver_attach(d, dev);
	driver_init(d, fuzz_take(&in, 4), 16);
	while (in.left)
		step(d, &w, dev, &in);
	fuzz_loop(16);
	net_stats(dev, &stats);
	driver_free(d);
	g_assert_true(w.freed);
	return 0;
}
