/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The device's side of a virtqueue against rings that a driver got right, and wrong. */
#include "config.h"
#include "libvmm/device/virtqueue.h"

#include <errno.h>
#include <glib.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "libvmm/kvm/memory.h"

#define MEM_BYTES (UINT64_C(2) << 20)
#define DESC_GPA 0x1000
#define AVAIL_GPA 0x3000
#define USED_GPA 0x5000
#define DATA_GPA 0x10000
#define RING_MAX 64
#define CHAIN_IOV 16

struct ring {
	struct guest_memory *mem;
	struct virtqueue *vq;
	struct virtqueue_layout layout;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct iovec iov[CHAIN_IOV];
	struct virtqueue_chain chain;
};

static struct ring *ring_new(uint16_t size, bool event_idx, bool indirect)
{
	struct guest_memory_opts opts = { .bytes = MEM_BYTES, .name = "test" };
	struct ring *g = g_new0(struct ring, 1);

	g->mem = guest_memory_new(&opts, NULL);
	g_assert_nonnull(g->mem);
	g->vq = virtqueue_new(g->mem, RING_MAX);
	g->layout = (struct virtqueue_layout){ size, DESC_GPA, AVAIL_GPA, USED_GPA };
	g->desc = guest_ptr(g->mem, DESC_GPA, 16 * size);
	g->avail = guest_ptr(g->mem, AVAIL_GPA, 6 + 2 * size);
	g->used = guest_ptr(g->mem, USED_GPA, 6 + 8 * size);
	g->chain = (struct virtqueue_chain){ .iov = g->iov, .n_iov = CHAIN_IOV };
	g_assert_cmpint(virtqueue_enable(g->vq, &g->layout, event_idx, indirect), ==, 0);
	return g;
}

static struct ring *ring_of(uint16_t size)
{
	return ring_new(size, false, true);
}

static void ring_free(struct ring *g)
{
	virtqueue_free(g->vq);
	guest_memory_free(g->mem);
	g_free(g);
}

typedef struct ring ring;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ring, ring_free)

#define ring_desc(g, i, ...) ((g)->desc[i] = (struct vring_desc){ __VA_ARGS__ })
#define IN VRING_DESC_F_WRITE
#define NEXT VRING_DESC_F_NEXT
#define INDIRECT VRING_DESC_F_INDIRECT

static void ring_offer(struct ring *g, uint16_t head)
{
	g->avail->ring[g->avail->idx & (g->layout.size - 1)] = head;
	g->avail->idx++;
}

static int ring_pop(struct ring *g)
{
	return virtqueue_pop(g->vq, &g->chain);
}

static void a_chain_comes_out_as_it_went_in(void)
{
	g_autoptr(ring) g = ring_of(8);

	ring_desc(g, 3, .addr = DATA_GPA, .len = 16, .flags = NEXT, .next = 5);
	ring_desc(g, 5, .addr = DATA_GPA + 100, .len = 7, .flags = NEXT | IN, .next = 1);
	ring_desc(g, 1, .addr = DATA_GPA + 200, .len = 1, .flags = IN);
	ring_offer(g, 3);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.head, ==, 3);
	g_assert_cmpuint(g->chain.n_out, ==, 1);
	g_assert_cmpuint(g->chain.n_in, ==, 2);
	g_assert_cmpuint(g->chain.out_bytes, ==, 16);
	g_assert_cmpuint(g->chain.in_bytes, ==, 8);
	g_assert_true(g->chain.in[1].iov_base == guest_ptr(g->mem, DATA_GPA + 200, 1));
	g_assert_cmpint(ring_pop(g), ==, 0);
}

static void a_chain_that_loops_is_refused(void)
{
	g_autoptr(ring) g = ring_of(2);

	ring_desc(g, 0, .addr = DATA_GPA, .len = 1, .flags = NEXT, .next = 1);
	ring_desc(g, 1, .addr = DATA_GPA, .len = 1, .flags = NEXT, .next = 0);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void a_loop_of_empty_buffers_ends_too(void)
{
	g_autoptr(ring) g = ring_of(2);

	ring_desc(g, 0, .flags = NEXT, .next = 0);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void a_broken_queue_stays_broken_until_it_is_reset(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_desc(g, 0, .addr = MEM_BYTES, .len = 1);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
	ring_desc(g, 0, .addr = DATA_GPA, .len = 1);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
	g_assert_false(virtqueue_kicks_on(g->vq));
	virtqueue_reset(g->vq);
	g_assert_cmpint(ring_pop(g), ==, 0);
	g_assert_cmpint(virtqueue_enable(g->vq, &g->layout, false, false), ==, 0);
	g_assert_cmpint(ring_pop(g), ==, 1);
}

/* Each of these is the only descriptor of its chain. */
static void buffers_outside_of_memory_are_refused(void)
{
	static const struct vring_desc bad[] = {
		{ .addr = MEM_BYTES, .len = 1 },
		{ .addr = MEM_BYTES - 1, .len = 2 },
		{ .addr = UINT64_MAX, .len = 1 },
		{ .addr = UINT64_MAX, .len = UINT32_MAX },
		{ .addr = UINT64_MAX - 0xfff, .len = 0x2000 },
		{ .addr = 0, .len = UINT32_MAX },
		{ .addr = DATA_GPA, .len = 1, .flags = NEXT, .next = 4 },
		{ .addr = DATA_GPA, .len = 1, .flags = NEXT, .next = UINT16_MAX },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(ring) g = ring_of(4);

		g->desc[0] = bad[i];
		ring_offer(g, 0);
		g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
	}
}

static void a_readable_buffer_behind_a_writable_one_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_desc(g, 0, .addr = DATA_GPA, .len = 1, .flags = NEXT | IN, .next = 1);
	ring_desc(g, 1, .addr = DATA_GPA, .len = 1);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void a_head_outside_of_the_ring_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_offer(g, 4);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void a_head_that_is_in_flight_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_desc(g, 0, .addr = DATA_GPA, .len = 1);
	ring_offer(g, 0);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void an_index_that_runs_ahead_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_desc(g, 0, .addr = DATA_GPA, .len = 1);
	g->avail->idx = 5;
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void an_index_that_runs_ahead_after_kicks_on_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);

	g->avail->idx = 0x8000;
	g_assert_true(virtqueue_kicks_on(g->vq));
	g_assert_cmpuint(virtqueue_waiting(g->vq), ==, 4);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void empty_buffers_take_no_place(void)
{
	g_autoptr(ring) g = ring_of(4);

	ring_desc(g, 0, .addr = UINT64_MAX, .len = 0, .flags = NEXT, .next = 1);
	ring_desc(g, 1, .addr = DATA_GPA, .len = 3, .flags = NEXT, .next = 2);
	ring_desc(g, 2, .addr = 0, .len = 0, .flags = IN);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.n_out, ==, 1);
	g_assert_cmpuint(g->chain.n_in, ==, 0);
}

static void more_pieces_than_the_caller_has_place_for_are_refused(void)
{
	g_autoptr(ring) g = ring_of(32);

	for (unsigned i = 0; i <= CHAIN_IOV; i++)
		ring_desc(g, i, .addr = DATA_GPA, .len = 1, .flags = i < CHAIN_IOV ? NEXT : 0,
			  .next = i + 1);
	ring_offer(g, 1);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.n_out, ==, CHAIN_IOV);
	virtqueue_push(g->vq, 1, 0);
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static struct vring_desc *indirect_table(struct ring *g, uint64_t gpa, unsigned n)
{
	ring_desc(g, 0, .addr = gpa, .len = n * sizeof(struct vring_desc), .flags = INDIRECT);
	ring_offer(g, 0);
	return guest_ptr(g->mem, gpa, n * sizeof(struct vring_desc));
}

static void an_indirect_table_is_walked(void)
{
	g_autoptr(ring) g = ring_of(4);
	struct vring_desc *t = indirect_table(g, 0x8000, 3);

	t[0] = (struct vring_desc){ .addr = DATA_GPA, .len = 5, .flags = NEXT, .next = 2 };
	t[2] = (struct vring_desc){ .addr = DATA_GPA, .len = 9, .flags = IN };
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.out_bytes, ==, 5);
	g_assert_cmpuint(g->chain.in_bytes, ==, 9);
}

static void an_indirect_table_may_lie_at_an_odd_address(void)
{
	g_autoptr(ring) g = ring_of(4);
	struct vring_desc d = { .addr = DATA_GPA, .len = 5 };

	memcpy(indirect_table(g, 0x8003, 1), &d, sizeof(d));
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.out_bytes, ==, 5);
}

static void an_indirect_table_may_end_a_direct_chain(void)
{
	g_autoptr(ring) g = ring_of(4);
	struct vring_desc *t = guest_ptr(g->mem, 0x8000, 16);

	ring_desc(g, 2, .addr = DATA_GPA, .len = 1, .flags = NEXT, .next = 0);
	ring_desc(g, 0, .addr = 0x8000, .len = 16, .flags = INDIRECT);
	*t = (struct vring_desc){ .addr = DATA_GPA, .len = 1, .flags = IN };
	ring_offer(g, 2);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.n_out, ==, 1);
	g_assert_cmpuint(g->chain.n_in, ==, 1);
}

static void an_indirect_table_within_another_is_refused(void)
{
	g_autoptr(ring) g = ring_of(4);
	struct vring_desc *t = indirect_table(g, 0x8000, 1);

	*t = (struct vring_desc){ .addr = 0x8000, .len = 16, .flags = INDIRECT };
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void an_indirect_table_of_bad_shape_is_refused(void)
{
	static const struct vring_desc bad[] = {
		{ .addr = 0x8000, .len = 0, .flags = INDIRECT },
		{ .addr = 0x8000, .len = 15, .flags = INDIRECT },
		{ .addr = 0x8000, .len = 17, .flags = INDIRECT },
		{ .addr = 0x8000, .len = 0xfffffff0, .flags = INDIRECT },
		{ .addr = 0x8000, .len = 16 * (VIRTQUEUE_SIZE_MAX + 1), .flags = INDIRECT },
		{ .addr = MEM_BYTES - 8, .len = 16, .flags = INDIRECT },
		{ .addr = 0x8000, .len = 16, .flags = INDIRECT | NEXT, .next = 1 },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(ring) g = ring_of(4);

		g->desc[0] = bad[i];
		ring_offer(g, 0);
		g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
	}
}

static void an_indirect_table_that_loops_ends(void)
{
	g_autoptr(ring) g = ring_of(4);
	struct vring_desc *t = indirect_table(g, 0x8000, 2);

	t[0] = (struct vring_desc){ .flags = NEXT, .next = 1 };
	t[1] = (struct vring_desc){ .flags = NEXT, .next = 0 };
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void an_indirect_table_needs_its_feature(void)
{
	g_autoptr(ring) g = ring_new(4, false, false);
	struct vring_desc *t = indirect_table(g, 0x8000, 1);

	*t = (struct vring_desc){ .addr = DATA_GPA, .len = 1 };
	g_assert_cmpint(ring_pop(g), ==, -EBADMSG);
}

static void a_bad_layout_is_refused(void)
{
	static const struct virtqueue_layout bad[] = {
		{ 0, DESC_GPA, AVAIL_GPA, USED_GPA },
		{ 3, DESC_GPA, AVAIL_GPA, USED_GPA },
		{ 2 * RING_MAX, DESC_GPA, AVAIL_GPA, USED_GPA },
		{ 0x8000, DESC_GPA, AVAIL_GPA, USED_GPA },
		{ 4, DESC_GPA + 8, AVAIL_GPA, USED_GPA },
		{ 4, DESC_GPA, AVAIL_GPA + 1, USED_GPA },
		{ 4, DESC_GPA, AVAIL_GPA, USED_GPA + 2 },
		{ 4, MEM_BYTES - 48, AVAIL_GPA, USED_GPA },
		{ 4, DESC_GPA, MEM_BYTES - 12, USED_GPA },
		{ 4, DESC_GPA, AVAIL_GPA, MEM_BYTES - 36 },
		{ 4, UINT64_MAX - 15, AVAIL_GPA, USED_GPA },
	};
	g_autoptr(ring) g = ring_of(4);

	virtqueue_reset(g->vq);
	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_assert_cmpint(virtqueue_enable(g->vq, &bad[i], true, true), ==, -EINVAL);
		g_assert_false(virtqueue_is_enabled(g->vq));
	}
}

static void the_ring_wraps_many_times(void)
{
	g_autoptr(ring) g = ring_of(4);

	for (unsigned i = 0; i < 70000; i++) {
		ring_desc(g, i & 3, .addr = DATA_GPA, .len = 1);
		ring_offer(g, i & 3);
		g_assert_cmpint(ring_pop(g), ==, 1);
		g_assert_cmpuint(g->chain.head, ==, i & 3);
		virtqueue_push(g->vq, g->chain.head, i);
		g_assert_cmpuint(g->used->idx, ==, (uint16_t)(i + 1));
		g_assert_cmpuint(g->used->ring[i & 3].len, ==, i);
	}
}

static void chains_come_back_in_any_order(void)
{
	g_autoptr(ring) g = ring_of(4);

	for (unsigned i = 0; i < 3; i++) {
		ring_desc(g, i, .addr = DATA_GPA, .len = 1);
		ring_offer(g, i);
		g_assert_cmpint(ring_pop(g), ==, 1);
	}
	virtqueue_push(g->vq, 2, 7);
	virtqueue_push(g->vq, 0, 8);
	g_assert_cmpuint(g->used->ring[0].id, ==, 2);
	g_assert_cmpuint(g->used->ring[1].id, ==, 0);
	ring_offer(g, 2);
	g_assert_cmpint(ring_pop(g), ==, 1);
}

static void what_is_given_back_unseen_comes_again(void)
{
	g_autoptr(ring) g = ring_of(4);
	uint16_t avail, used;

	for (unsigned i = 0; i < 3; i++) {
		ring_desc(g, i, .addr = DATA_GPA, .len = 1 + i);
		ring_offer(g, i);
		g_assert_cmpint(ring_pop(g), ==, 1);
	}
	virtqueue_unpop(g->vq, 2);
	virtqueue_positions(g->vq, &avail, &used);
	g_assert_cmpuint(avail, ==, 1);
	g_assert_cmpuint(virtqueue_waiting(g->vq), ==, 2);
	g_assert_cmpint(ring_pop(g), ==, 1);
	g_assert_cmpuint(g->chain.head, ==, 1);
}

static void several_are_published_at_once(void)
{
	g_autoptr(ring) g = ring_of(4);

	for (unsigned i = 0; i < 2; i++) {
		ring_desc(g, i, .addr = DATA_GPA, .len = 1);
		ring_offer(g, i);
		g_assert_cmpint(ring_pop(g), ==, 1);
		virtqueue_fill(g->vq, i, i, 10 + i);
	}
	g_assert_cmpuint(g->used->idx, ==, 0);
	virtqueue_publish(g->vq, 2);
	g_assert_cmpuint(g->used->idx, ==, 2);
	g_assert_cmpuint(g->used->ring[1].len, ==, 11);
}

static void push_one(struct ring *g)
{
	ring_desc(g, 0, .addr = DATA_GPA, .len = 1);
	ring_offer(g, 0);
	g_assert_cmpint(ring_pop(g), ==, 1);
	virtqueue_push(g->vq, 0, 0);
}

static void a_driver_that_wants_no_interrupt_gets_none(void)
{
	g_autoptr(ring) g = ring_of(4);

	g_assert_false(virtqueue_wants_interrupt(g->vq));
	push_one(g);
	g_assert_true(virtqueue_wants_interrupt(g->vq));
	g_assert_false(virtqueue_wants_interrupt(g->vq));
	g->avail->flags = VRING_AVAIL_F_NO_INTERRUPT;
	push_one(g);
	g_assert_false(virtqueue_wants_interrupt(g->vq));
}

static void the_interrupt_comes_when_the_event_index_is_passed(void)
{
	g_autoptr(ring) g = ring_new(4, true, false);
	uint16_t *used_event = &g->avail->ring[4];

	*used_event = 2;
	for (unsigned i = 0; i < 6; i++) {
		push_one(g);
		g_assert_cmpint(virtqueue_wants_interrupt(g->vq), ==, i == 2);
	}
	*used_event = 7;	/* within a batch */
	for (unsigned i = 0; i < 4; i++)
		push_one(g);
	g_assert_true(virtqueue_wants_interrupt(g->vq));
}

static void the_event_index_wraps(void)
{
	g_autoptr(ring) g = ring_new(4, true, false);
	unsigned interrupts = 0;

	for (unsigned i = 0; i < 3 * 65536; i++) {
		push_one(g);
		interrupts += virtqueue_wants_interrupt(g->vq);
	}
	g_assert_cmpuint(interrupts, ==, 3);
}

static void kicks_are_switched_by_the_flag(void)
{
	g_autoptr(ring) g = ring_of(4);

	virtqueue_kicks_off(g->vq);
	g_assert_cmpuint(g->used->flags, ==, VRING_USED_F_NO_NOTIFY);
	g_assert_false(virtqueue_kicks_on(g->vq));
	g_assert_cmpuint(g->used->flags, ==, 0);
	ring_desc(g, 0, .addr = DATA_GPA, .len = 1);
	ring_offer(g, 0);
	g_assert_true(virtqueue_kicks_on(g->vq));
}

static void kicks_are_switched_by_the_event_index(void)
{
	g_autoptr(ring) g = ring_new(4, true, false);
	uint16_t *avail_event = (uint16_t *)&g->used->ring[4];

	push_one(g);
	virtqueue_kicks_off(g->vq);
	g_assert_cmpuint(g->used->flags, ==, 0);
	g_assert_cmpuint(*avail_event, ==, 0);
	g_assert_false(virtqueue_kicks_on(g->vq));
	g_assert_cmpuint(*avail_event, ==, 1);
}

static void bytes_cross_the_pieces_of_a_chain(void)
{
	char a[3] = "abc", b[5] = "defgh", buf[8] = "";
	struct iovec iov[] = { { a, 3 }, { b, 5 } };
	struct virtqueue_chain c = { .out = iov, .n_out = 2, .out_bytes = 8 };
	struct virtqueue_chain w = { .in = iov, .n_in = 2, .in_bytes = 8 };

	g_assert_cmpuint(chain_read(&c, 2, buf, 3), ==, 3);
	g_assert_cmpmem(buf, 3, "cde", 3);
	g_assert_cmpuint(chain_read(&c, 6, buf, 8), ==, 2);
	g_assert_cmpuint(chain_read(&c, 8, buf, 1), ==, 0);
	g_assert_cmpuint(chain_read(&c, SIZE_MAX, buf, 1), ==, 0);
	g_assert_cmpuint(chain_write(&w, 1, "XYZ", 3), ==, 3);
	g_assert_cmpmem(a, 3, "aXY", 3);
	g_assert_cmpmem(b, 5, "Zefgh", 5);
	g_assert_cmpuint(chain_write(&w, 7, "123", 3), ==, 1);
}

static void a_chain_is_shortened_at_both_ends(void)
{
	char a[3] = "abc", b[5] = "defgh", buf[8] = "";
	struct iovec iov[] = { { a, 3 }, { b, 5 } };
	struct virtqueue_chain c = { .out = iov, .n_out = 1, .out_bytes = 3,
				     .in = iov + 1, .n_in = 1, .in_bytes = 5 };

	chain_skip_out(&c, 2);
	g_assert_cmpuint(chain_read(&c, 0, buf, 8), ==, 1);
	g_assert_cmpint(buf[0], ==, 'c');
	chain_skip_out(&c, 100);
	g_assert_cmpuint(c.n_out, ==, 0);
	g_assert_cmpuint(c.out_bytes, ==, 0);
	chain_skip_in(&c, 1);
	chain_trim_in(&c, 2);
	g_assert_cmpuint(c.in_bytes, ==, 2);
	g_assert_true(c.in[0].iov_base == b + 1 && c.in[0].iov_len == 2);
	chain_trim_in(&c, 100);
	g_assert_cmpuint(c.n_in, ==, 0);
	g_assert_cmpuint(c.in_bytes, ==, 0);
}

#define TEST(f) g_test_add_func("/virtqueue/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(a_chain_comes_out_as_it_went_in);
	TEST(a_chain_that_loops_is_refused);
	TEST(a_loop_of_empty_buffers_ends_too);
	TEST(a_broken_queue_stays_broken_until_it_is_reset);
	TEST(buffers_outside_of_memory_are_refused);
	TEST(a_readable_buffer_behind_a_writable_one_is_refused);
	TEST(a_head_outside_of_the_ring_is_refused);
	TEST(a_head_that_is_in_flight_is_refused);
	TEST(an_index_that_runs_ahead_is_refused);
	TEST(an_index_that_runs_ahead_after_kicks_on_is_refused);
	TEST(empty_buffers_take_no_place);
	TEST(more_pieces_than_the_caller_has_place_for_are_refused);
	TEST(an_indirect_table_is_walked);
	TEST(an_indirect_table_may_lie_at_an_odd_address);
	TEST(an_indirect_table_may_end_a_direct_chain);
	TEST(an_indirect_table_within_another_is_refused);
	TEST(an_indirect_table_of_bad_shape_is_refused);
	TEST(an_indirect_table_that_loops_ends);
	TEST(an_indirect_table_needs_its_feature);
	TEST(a_bad_layout_is_refused);
	TEST(the_ring_wraps_many_times);
	TEST(chains_come_back_in_any_order);
	TEST(what_is_given_back_unseen_comes_again);
	TEST(several_are_published_at_once);
	TEST(a_driver_that_wants_no_interrupt_gets_none);
	TEST(the_interrupt_comes_when_the_event_index_is_passed);
	TEST(the_event_index_wraps);
	TEST(kicks_are_switched_by_the_flag);
	TEST(kicks_are_switched_by_the_event_index);
	TEST(bytes_cross_the_pieces_of_a_chain);
	TEST(a_chain_is_shortened_at_both_ends);
	return g_test_run();
}
