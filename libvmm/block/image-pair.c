/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Two disks side by side, for "image compare", "rebase" and "convert -B":
 * chunks of both are read ahead, and looked at in order.  The caller's thread
 * owns the disks.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

#define SLOTS 8u

struct half {
	struct block_req req;
	struct iovec iov;
	struct slot *slot;
	uint8_t *buf;
};

struct slot {
	struct half a, b;
	uint64_t off, bytes;
	unsigned reading;
	int result;
};

struct pair {
	const struct image_pair *o;
	struct slot slots[SLOTS];
	unsigned first, n;	/* a ring in the order of offsets */
	uint64_t pos, end, chunk;
};

static void read_done(struct block_req *req, int result)
{
	struct slot *s = container_of(req, struct half, req)->slot;

	s->reading--;
	if (result < 0)
		s->result = result;
}

static void half_read(struct slot *s, struct half *h, struct block *b)
{
	uint64_t have = b && s->off < block_bytes(b) ? MIN(s->bytes, block_bytes(b) - s->off) : 0;

	memset(h->buf + have, 0, s->bytes - have);
	if (!have)
		return;
	h->iov = (struct iovec){ h->buf, have };
	h->req = (struct block_req){ .op = BLOCK_READ, .offset = s->off, .bytes = have,
				     .iov = &h->iov, .n_iov = 1, .done = read_done };
	s->reading++;
	block_submit(b, &h->req);
}

static void slot_read(struct pair *p, uint64_t bytes)
{
	struct slot *s = &p->slots[(p->first + p->n++) % SLOTS];

	s->off = p->pos;
	s->bytes = bytes;
	s->result = 0;
	half_read(s, &s->a, p->o->a);
	half_read(s, &s->b, p->o->b);
}

/* Skips a bounded number of what need not be read. */
static bool pair_fill(struct pair *p, GError **error)
{
	for (unsigned budget = 64; budget > 0 && p->n < SLOTS && p->pos < p->end; budget--) {
		uint64_t bytes = p->end - p->pos;
		bool wanted = true, stop = false;

		if (!p->o->want(p->o->opaque, p->pos, &bytes, &wanted, &stop, error))
			return false;
		if (stop) {
			p->end = p->pos;
			break;
		}
		if (wanted) {
			bytes = MIN(bytes, p->chunk);
			slot_read(p, bytes);
		}
		p->pos += bytes;
	}
	return true;
}

static void pair_kick(struct pair *p)
{
	if (p->o->a)
		block_kick(p->o->a);
	if (p->o->b)
		block_kick(p->o->b);
}

static void slot_wait(struct pair *p, struct slot *s)
{
	while (s->reading) {
		if (p->o->a && p->o->a->first)
			block_wait(p->o->a);
		if (s->reading && p->o->b && p->o->b->first)
			block_wait(p->o->b);
	}
}

/* The oldest one is looked at: 0, 1 or -errno. */
static int pair_take(struct pair *p, uint64_t *ret_off)
{
	struct slot *s = &p->slots[p->first];

	*ret_off = s->off;
	slot_wait(p, s);
	p->first = (p->first + 1) % SLOTS;
	p->n--;
	return s->result < 0 ? s->result :
			       p->o->have(p->o->opaque, s->off, s->a.buf, s->b.buf, s->bytes);
}

static bool pair_run(struct pair *p, GError **error)
{
	uint64_t off;
	int r = 0;

	while (p->pos < p->end || p->n > 0) {
		if (!pair_fill(p, error))
			return false;
		pair_kick(p);
		if (p->n > 0)
			r = pair_take(p, &off);
		if (r < 0)
			return error_errno(error, r, "%s at %" G_GUINT64_FORMAT, p->o->what, off);
		if (r > 0)
			break;
		if (!image_tick(p->o->progress, p->n ? p->slots[p->first].off : p->pos, p->o->end,
				error))
			return false;
	}
	return true;
}

bool image_pair(const struct image_pair *o, GError **error)
{
	struct pair p = { .o = o, .end = o->end, .chunk = o->chunk ?: IMAGE_PAIR_BYTES };
	bool ok;

	for (unsigned i = 0; i < SLOTS; i++) {
		struct slot *s = &p.slots[i];

		s->a = (struct half){ .slot = s, .buf = g_malloc(p.chunk) };
		s->b = (struct half){ .slot = s, .buf = g_malloc(p.chunk) };
	}
	ok = pair_run(&p, error);
	for (unsigned i = 0; i < p.n; i++)
		slot_wait(&p, &p.slots[(p.first + i) % SLOTS]);
	for (unsigned i = 0; i < SLOTS; i++) {
		g_free(p.slots[i].a.buf);
		g_free(p.slots[i].b.buf);
	}
	return ok;
}
