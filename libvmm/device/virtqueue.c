/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The device's side of a split virtqueue.
 *
 * Theory.  The three parts of the ring lie in guest memory, and the driver may
 * change any byte at any moment.  So:
 *
 *  - a field is read once, into a local, and only the local is checked and used;
 *  - our own positions and the list of heads in flight are kept here, never
 *    read back from the ring;
 *  - each walk has a budget, each index a bound, each address goes through
 *    guest_ptr();
 *  - a head that is in flight already is refused, so that a device may keep
 *    one request slot for each head.
 *
 * Ordering.  The driver writes a chain, then avail->idx: we load idx with
 * acquire.  We write a used element, then used->idx with release.  "Publish,
 * then look whether the other side sleeps" needs a full barrier on both
 * sides (2.7.7, 2.7.10): see virtqueue_kicks_on(), virtqueue_wants_interrupt().
 *
 * Guest and host are both x86-64: no byte is swapped.
 */
#include "config.h"
#include "libvmm/device/virtqueue.h"

#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "libvmm/kvm/memory.h"

#define CHAIN_BYTES_MAX UINT32_MAX	/* 2.7.4.2 has 2^32; the last byte is not worth a type */

static_assert(sizeof(struct vring_desc) == 16, "a descriptor has 16 bytes (2.7.5)");
static_assert(sizeof(struct vring_used_elem) == 8, "a used element has 8 bytes (2.7.8)");

struct virtqueue {
	const struct guest_memory *mem;
	unsigned size_max;

	/* From virtqueue_enable() to virtqueue_reset(); size 0: not enabled. */
	uint16_t size;
	bool event_idx;
	bool indirect;
	bool broken;
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;

	uint16_t avail_pos;		/* the next chain to take */
	uint16_t avail_seen;		/* avail->idx when we last looked */
	uint16_t used_pos;		/* where the next used element goes */
	uint16_t used_told;		/* used_pos at the last wants_interrupt() */
	uint16_t *heads;		/* of the last `size` chains taken, by position */
	uint8_t *in_flight;		/* by head */
};

struct desc_table {
	const struct vring_desc *desc;
	uint32_t n;
};

struct virtqueue *virtqueue_new(const struct guest_memory *mem, unsigned size_max)
{
	struct virtqueue *vq = g_new0(struct virtqueue, 1);

	assert(size_max && size_max <= VIRTQUEUE_SIZE_MAX && !(size_max & (size_max - 1)));
	vq->mem = mem;
	vq->size_max = size_max;
	vq->heads = g_new0(uint16_t, size_max);
	vq->in_flight = g_new0(uint8_t, size_max);
	return vq;
}

void virtqueue_free(struct virtqueue *vq)
{
	if (!vq)
		return;
	g_free(vq->heads);
	g_free(vq->in_flight);
	g_free(vq);
}

static void *ring_part(const struct virtqueue *vq, uint64_t gpa, unsigned align, uint64_t bytes)
{
	return gpa & (align - 1) ? NULL : guest_ptr(vq->mem, gpa, bytes);
}

int virtqueue_enable(struct virtqueue *vq, const struct virtqueue_layout *layout, bool event_idx,
		     bool indirect)
{
	uint16_t n = layout->size;
	unsigned event = event_idx ? sizeof(uint16_t) : 0;

	if (!n || n > vq->size_max || (n & (n - 1)))
		return -EINVAL;
	void *desc = ring_part(vq, layout->desc_gpa, VRING_DESC_ALIGN_SIZE, 16u * n);
	void *avail = ring_part(vq, layout->avail_gpa, VRING_AVAIL_ALIGN_SIZE, 4 + 2u * n + event);
	void *used = ring_part(vq, layout->used_gpa, VRING_USED_ALIGN_SIZE, 4 + 8u * n + event);
	if (!desc || !avail || !used)
		return -EINVAL;

	virtqueue_reset(vq);
	vq->desc = desc;
	vq->avail = avail;
	vq->used = used;
	vq->event_idx = event_idx;
	vq->indirect = indirect;
	vq->size = n;
	return 0;
}

void virtqueue_reset(struct virtqueue *vq)
{
	vq->size = 0;
	vq->broken = false;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->avail_pos = vq->avail_seen = vq->used_pos = vq->used_told = 0;
	memset(vq->in_flight, 0, vq->size_max);
}

bool virtqueue_is_enabled(const struct virtqueue *vq)
{
	return vq->size;
}

unsigned virtqueue_size(const struct virtqueue *vq)
{
	return vq->size;
}

void virtqueue_positions(const struct virtqueue *vq, uint16_t *ret_avail, uint16_t *ret_used)
{
	*ret_avail = vq->avail_pos;
	*ret_used = vq->used_pos;
}

/* Stores before, loads after.  No C11 fence: TSan does not know those, and gcc warns of it. */
static void full_barrier(void)
{
	__asm__ volatile("lock; orl $0, (%%rsp)" : : : "memory", "cc");
}

static unsigned avail_look(struct virtqueue *vq)
{
	vq->avail_seen = __atomic_load_n(&vq->avail->idx, __ATOMIC_ACQUIRE);
	return (uint16_t)(vq->avail_seen - vq->avail_pos);
}

static struct vring_desc desc_read(const struct vring_desc *p)
{
	return (struct vring_desc){
		.addr = __atomic_load_n(&p->addr, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&p->len, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&p->flags, __ATOMIC_RELAXED),
		.next = __atomic_load_n(&p->next, __ATOMIC_RELAXED),
	};
}

static void chain_clear(struct virtqueue_chain *c, uint16_t head)
{
	c->out = c->in = c->iov;
	c->n_out = c->n_in = 0;
	c->out_bytes = c->in_bytes = 0;
	c->head = head;
}

/* Empty buffers are legal and say nothing: they take no place. */
static int chain_add(const struct virtqueue *vq, struct virtqueue_chain *c,
		     const struct vring_desc *d)
{
	bool in = d->flags & VRING_DESC_F_WRITE;

	if (!in && c->n_in)
		return -EBADMSG;	/* 2.7.4.2: what the device reads comes first */
	if (!d->len)
		return 0;
	if (c->n_out + c->n_in == c->n_iov)
		return -EBADMSG;
	if (d->len > CHAIN_BYTES_MAX - c->out_bytes - c->in_bytes)
		return -EBADMSG;
	void *p = guest_ptr(vq->mem, d->addr, d->len);
	if (!p)
		return -EBADMSG;

	c->iov[c->n_out + c->n_in] = (struct iovec){ .iov_base = p, .iov_len = d->len };
	if (in) {
		c->n_in++;
		c->in_bytes += d->len;
	} else {
		c->in++;
		c->n_out++;
		c->out_bytes += d->len;
	}
	return 0;
}

/*
 * An indirect table may be longer than the queue: Linux does that, against
 * 2.7.5.3.1; the budget and chain->n_iov bound it all the same.
 */
static int table_enter(const struct virtqueue *vq, const struct vring_desc *d,
		       struct desc_table *table)
{
	uint32_t n = d->len / sizeof(struct vring_desc);

	/* 2.7.5.3.1: negotiated, the last of its chain, not nested */
	if (!vq->indirect || d->flags & VRING_DESC_F_NEXT || table->desc != vq->desc)
		return -EBADMSG;
	if (!n || n > VIRTQUEUE_SIZE_MAX || d->len % sizeof(struct vring_desc))
		return -EBADMSG;
	table->desc = guest_ptr(vq->mem, d->addr, d->len);
	table->n = n;
	return table->desc ? 0 : -EBADMSG;
}

/* An indirect table may be anywhere, so its entries may straddle our alignment. */
static struct vring_desc table_read(const struct desc_table *t, uint32_t at)
{
	struct vring_desc d;

	if (!((uintptr_t)t->desc & 7))
		return desc_read(&t->desc[at]);
	memcpy(&d, (const char *)t->desc + at * sizeof(d), sizeof(d));
	__asm__ volatile("" : : "r"(&d) : "memory");	/* what is checked is what was copied */
	return d;
}

static int chain_walk(const struct virtqueue *vq, uint16_t head, struct virtqueue_chain *c)
{
	struct desc_table table = { vq->desc, vq->size };
	uint32_t at = head;

	chain_clear(c, head);
	for (uint32_t budget = table.n; budget > 0 && at < table.n; budget--) {
		struct vring_desc d = table_read(&table, at);
		int r;

		if (d.flags & VRING_DESC_F_INDIRECT) {
			r = table_enter(vq, &d, &table);
			if (r < 0)
				return r;
			at = 0;
			budget = table.n + 1;
			continue;
		}
		r = chain_add(vq, c, &d);
		if (r < 0 || !(d.flags & VRING_DESC_F_NEXT))
			return r;
		at = d.next;
	}
	return -EBADMSG;
}

static int queue_break(struct virtqueue *vq)
{
	vq->broken = true;
	return -EBADMSG;
}

int virtqueue_pop(struct virtqueue *vq, struct virtqueue_chain *chain)
{
	if (vq->broken)
		return -EBADMSG;
	if (!vq->size)
		return 0;
	if (vq->avail_pos == vq->avail_seen && !avail_look(vq))
		return 0;
	if ((uint16_t)(vq->avail_seen - vq->avail_pos) > vq->size)
		return queue_break(vq);

	unsigned slot = vq->avail_pos & (vq->size - 1);
	uint16_t head = __atomic_load_n(&vq->avail->ring[slot], __ATOMIC_RELAXED);
	if (head >= vq->size || vq->in_flight[head] || chain_walk(vq, head, chain) < 0)
		return queue_break(vq);
	vq->in_flight[head] = 1;
	vq->heads[slot] = head;
	vq->avail_pos++;
	return 1;
}

/* --- saved state --- */

int virtqueue_held(const struct virtqueue *vq, unsigned from)
{
	for (unsigned head = from; head < vq->size; head++)
		if (vq->in_flight[head])
			return (int)head;
	return -1;
}

int virtqueue_repop(struct virtqueue *vq, uint16_t head, struct virtqueue_chain *chain)
{
	if (vq->broken || head >= vq->size || !vq->in_flight[head] ||
	    chain_walk(vq, head, chain) < 0)
		return queue_break(vq);
	return 1;
}

void virtqueue_save(const struct virtqueue *vq, struct state_out *out)
{
	unsigned n = 0;

	for (int head = -1; (head = virtqueue_held(vq, (unsigned)(head + 1))) >= 0;)
		n++;
	state_put_u16(out, vq->avail_pos);
	state_put_u16(out, vq->used_pos);
	state_put_u16(out, vq->used_told);
	state_put_u8(out, vq->broken);
	state_put_u16(out, (uint16_t)n);
	for (int head = -1; (head = virtqueue_held(vq, (unsigned)(head + 1))) >= 0;)
		state_put_u16(out, (uint16_t)head);
}

void virtqueue_load(struct virtqueue *vq, struct state_in *in)
{
	unsigned n;

	vq->avail_pos = vq->avail_seen = state_get_u16(in);
	vq->used_pos = state_get_u16(in);
	vq->used_told = state_get_u16(in);
	vq->broken = state_get_bool(in);
	n = state_get_u16(in);
	in->bad |= n > vq->size;
	for (unsigned i = 0; i < n && !in->bad; i++) {
		uint16_t head = state_get_u16(in);

		if (in->bad || head >= vq->size || vq->in_flight[head])
			in->bad = true;
		else
			vq->in_flight[head] = 1;
	}
}

void virtqueue_unpop(struct virtqueue *vq, unsigned n)
{
	while (n--) {
		unsigned slot = --vq->avail_pos & (vq->size - 1);

		assert(vq->in_flight[vq->heads[slot]]);
		vq->in_flight[vq->heads[slot]] = 0;
	}
}

unsigned virtqueue_waiting(struct virtqueue *vq)
{
	if (!vq->size || vq->broken)
		return 0;
	unsigned n = avail_look(vq);
	return MIN(n, vq->size);
}

/*
 * A save that copies memory while the guest runs wants to know what we wrote.
 * The chain is walked once more rather than remembered: nobody asks otherwise.
 * A driver that has changed it meanwhile loses its own bytes.
 */
static void chain_wrote(const struct virtqueue *vq, uint16_t head)
{
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
	struct virtqueue_chain c = { .iov = iov, .n_iov = VIRTQUEUE_SIZE_MAX };

	if (chain_walk(vq, head, &c) < 0)
		return;
	for (unsigned i = 0; i < c.n_in; i++)
		guest_memory_wrote(vq->mem, c.in[i].iov_base, c.in[i].iov_len);
}

static void ring_wrote(const struct virtqueue *vq)
{
	guest_memory_wrote(vq->mem, vq->used,
			   sizeof(*vq->used) + sizeof(vq->used->ring[0]) * vq->size +
				   sizeof(uint16_t));
}

void virtqueue_fill(struct virtqueue *vq, unsigned nth, uint16_t head, uint32_t written)
{
	assert(head < vq->size && vq->in_flight[head]);
	vq->used->ring[(uint16_t)(vq->used_pos + nth) & (vq->size - 1)] =
		(struct vring_used_elem){ .id = head, .len = written };
	vq->in_flight[head] = 0;
	if (guest_memory_is_watched(vq->mem))
		chain_wrote(vq, head);
}

void virtqueue_publish(struct virtqueue *vq, unsigned n)
{
	vq->used_pos += n;
	__atomic_store_n(&vq->used->idx, vq->used_pos, __ATOMIC_RELEASE);
	ring_wrote(vq);
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t written)
{
	virtqueue_fill(vq, 0, head, written);
	virtqueue_publish(vq, 1);
}

/* The barrier: used->idx is out before we look, or the driver sleeps on what it did not see. */
bool virtqueue_wants_interrupt(struct virtqueue *vq)
{
	uint16_t told = vq->used_told;

	if (!vq->size || told == vq->used_pos)
		return false;
	vq->used_told = vq->used_pos;
	full_barrier();
	if (!vq->event_idx)
		return !(__atomic_load_n(&vq->avail->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	/* used_event is the word behind the avail ring (2.7.10) */
	uint16_t event = __atomic_load_n(&vq->avail->ring[vq->size], __ATOMIC_RELAXED);
	return vring_need_event(event, vq->used_pos, told);
}

/* With EVENT_IDX there is nothing to do: avail_event stays behind, so the driver is silent. */
void virtqueue_kicks_off(struct virtqueue *vq)
{
	if (!vq->size || vq->event_idx)
		return;
	__atomic_store_n(&vq->used->flags, VRING_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	ring_wrote(vq);
}

bool virtqueue_kicks_on(struct virtqueue *vq)
{
	if (!vq->size || vq->broken)
		return false;
	if (vq->event_idx) {
		/* avail_event is the word behind the used ring (2.7.8) */
		__u16 *avail_event = (__u16 *)&vq->used->ring[vq->size];

		__atomic_store_n(avail_event, vq->avail_pos, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&vq->used->flags, 0, __ATOMIC_RELAXED);
	}
	ring_wrote(vq);
	full_barrier();
	return avail_look(vq) != 0;
}
