/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A driver that writes what it likes into its ring, at any moment, against the device's side. */
#include "config.h"
#include "fuzz.h"

#include <linux/virtio_ring.h>

#include "libvmm/device/virtqueue.h"
#include "libvmm/kvm/memory.h"

#define MEM_BYTES (UINT64_C(256) << 10)
#define RING_MAX 64
#define CHAIN_IOV 24
#define RING_BYTES 0x1000	/* layouts are put here, so that pokes hit them */

struct state {
	struct guest_memory *mem;
	uint8_t *base;
	struct virtqueue *vq;
	struct iovec iov[CHAIN_IOV];
	struct virtqueue_chain chain;
	uint16_t held[RING_MAX];
	unsigned n_held;
	uint16_t pushed;
};

static void vector_check(const struct state *s, const struct iovec *iov, unsigned n, size_t bytes)
{
	size_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = iov[i].iov_base;

		g_assert_true(p >= s->base && iov[i].iov_len <= MEM_BYTES);
		g_assert_true((size_t)(p - s->base) <= MEM_BYTES - iov[i].iov_len);
		sum += iov[i].iov_len;
	}
	g_assert_cmpuint(sum, ==, bytes);
}

static void pop(struct state *s)
{
	uint8_t buf[64];

	if (virtqueue_pop(s->vq, &s->chain) != 1)
		return;
	g_assert_cmpuint(s->chain.n_out + s->chain.n_in, <=, CHAIN_IOV);
	g_assert_cmpuint(s->n_held, <, virtqueue_size(s->vq));
	vector_check(s, s->chain.out, s->chain.n_out, s->chain.out_bytes);
	vector_check(s, s->chain.in, s->chain.n_in, s->chain.in_bytes);
	s->held[s->n_held++] = s->chain.head;
	chain_read(&s->chain, 3, buf, sizeof(buf));
	chain_skip_out(&s->chain, 5);
	chain_trim_in(&s->chain, 1);
	chain_skip_in(&s->chain, 7);
	vector_check(s, s->chain.in, s->chain.n_in, s->chain.in_bytes);
}

static void pop_unseen(struct state *s)
{
	unsigned held = s->n_held;

	pop(s);
	if (s->n_held > held) {
		s->n_held--;
		virtqueue_unpop(s->vq, 1);
	}
}

static void push(struct state *s, unsigned which)
{
	if (!s->n_held)
		return;
	which %= s->n_held;
	virtqueue_push(s->vq, s->held[which], 1);
	s->held[which] = s->held[--s->n_held];
	uint16_t avail, used;
	virtqueue_positions(s->vq, &avail, &used);
	g_assert_cmpuint(used, ==, ++s->pushed);
	virtqueue_wants_interrupt(s->vq);
}

static void enable(struct state *s, struct fuzz_input *in)
{
	unsigned shape = fuzz_take(in, 1);
	struct virtqueue_layout l = {
		.size = 1u << (shape & 7),
		.desc_gpa = (fuzz_take(in, 1) << 4) & (RING_BYTES - 1),
		.avail_gpa = (fuzz_take(in, 1) << 3) & (RING_BYTES - 1),
		.used_gpa = (fuzz_take(in, 1) << 3) & (RING_BYTES - 1),
	};

	if (shape & 0x80)
		l.desc_gpa = fuzz_take(in, 8);
	virtqueue_reset(s->vq);
	s->n_held = s->pushed = 0;
	virtqueue_enable(s->vq, &l, shape & 0x10, shape & 0x20);
}

static void descriptor(struct state *s, struct fuzz_input *in)
{
	struct vring_desc d = { .addr = fuzz_take(in, 3), .len = fuzz_take(in, 2),
				.flags = fuzz_take(in, 1), .next = fuzz_take(in, 1) };

	memcpy(s->base + ((fuzz_take(in, 1) << 4) & (RING_BYTES - 1)), &d, sizeof(d));
}

static void step(struct state *s, struct fuzz_input *in)
{
	switch (fuzz_take(in, 1) % 8) {
	case 0:
	case 1:
		pop(s);
		break;
	case 2:
		push(s, fuzz_take(in, 1));
		break;
	case 3:
		descriptor(s, in);
		break;
	case 4: {
		uint16_t v = fuzz_take(in, 2), at = fuzz_take(in, 2) & (RING_BYTES - 2);
		memcpy(s->base + at, &v, sizeof(v));
		break;
	}
	case 5:
		virtqueue_kicks_off(s->vq);
		g_assert_cmpuint(virtqueue_waiting(s->vq), <=, RING_MAX);
		virtqueue_kicks_on(s->vq);
		break;
	case 6:
		pop_unseen(s);
		break;
	case 7:
		enable(s, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct guest_memory *mem;
	struct guest_memory_opts opts = { .bytes = MEM_BYTES };
	struct fuzz_input in = { data, size };

	if (!mem)
		mem = guest_memory_new(&opts, NULL);
	struct state s = { .mem = mem, .base = guest_ptr(mem, 0, MEM_BYTES) };
	s.chain = (struct virtqueue_chain){ .iov = s.iov, .n_iov = CHAIN_IOV };
	s.vq = virtqueue_new(mem, RING_MAX);
	memset(s.base, 0, 2 * RING_BYTES);
	enable(&s, &in);
	while (in.left)
		step(&s, &in);
	virtqueue_free(s.vq);
	return 0;
}
