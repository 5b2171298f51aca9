/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A piece: one data I/O for a part of a request.  Here: its slot, its buffer,
 * and its end; piece-read.c and piece-write.c are what it does.
 *
 * Nothing here allocates but the bounce buffers, which are kept and counted.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libvmm/block/request-priv.h"
#include "libvmm/util/cleanup.h"

#define BOUNCE_ALIGN 4096

/* ---- slots ---- */

static void bounces_free(struct block *b)
{
	while (b->bounces) {
		struct bounce *next = b->bounces->next;

		free(b->bounces);
		b->bounces = next;
	}
	b->n_bounces = b->n_bounces_free = 0;
}

void pieces_fit(struct block *b)
{
	bounces_free(b);
	b->bounce_bytes = 2 * (uint64_t)b->top->cluster_bytes + FLAT_BYTES;
	b->max_bounces = CLAMP(BOUNCE_TOTAL / b->bounce_bytes, 2, PIECES);
}

void pieces_init(struct block *b)
{
	b->pieces = g_new0(struct piece, PIECES);
	pieces_fit(b);
}

void pieces_done(struct block *b)
{
	bounces_free(b);
	g_free(b->pieces);
}

uint8_t *bounce_get(struct block *b)
{
	struct bounce *top = b->bounces;

	if (top) {
		b->bounces = top->next;
		b->n_bounces_free--;
		return (uint8_t *)top;
	}
	if (b->n_bounces == b->max_bounces)
		return NULL;
	top = aligned_alloc(BOUNCE_ALIGN, round_up(b->bounce_bytes, BOUNCE_ALIGN));
	b->n_bounces += top != NULL;
	return (uint8_t *)top;
}

bool bounce_left(const struct block *b)
{
	return b->bounces || b->n_bounces < b->max_bounces;
}

static void bounce_put(struct block *b, uint8_t *buf)
{
	struct bounce *top = (struct bounce *)buf;

	if (!buf)
		return;
	top->next = b->bounces;
	b->bounces = top;
	if (++b->n_bounces_free > BOUNCE_KEEP)
		block_tidy_later(b);
}

/* An idle disk should cost little memory; a busy one should not ask for it again and again. */
void bounces_trim(struct block *b)
{
	while (b->n_bounces_free > BOUNCE_KEEP) {
		struct bounce *next = b->bounces->next;

		free(b->bounces);
		b->bounces = next;
		b->n_bounces_free--;
		b->n_bounces--;
	}
}

static struct piece *slot_get(struct block *b)
{
	struct piece *p = b->free_pieces;

	if (p) {
		b->free_pieces = p->next;
	} else if (b->n_pieces_used < PIECES) {
		p = &b->pieces[b->n_pieces_used++];
		p->b = b;
	}
	return p;
}

struct piece *piece_get(struct block *b, struct req *rq)
{
	struct piece *p = slot_get(b);

	if (!p)
		return NULL;
	p->rq = rq;
	p->plan.link = p->in_tail = p->flat = p->linking = false;
	p->bounce = NULL;
	p->lead = p->trail = 0;
	p->n_iov = 0;
	p->parity = b->parity;
	b->busy[p->parity]++;
	return p;
}

static void grace_check(struct block *b)
{
	while (b->in_grace && b->busy[!b->parity] == 0) {
		b->in_grace = false;
		b->top->ops->quiesce(b->top, false);
	}
}

/* A sync has made frees durable: let those who may still read them end. */
void block_synced(struct block *b)
{
	if (b->host)
		return;		/* its host's pieces may read them as long as it lives */
	if (!b->in_grace) {
		b->top->ops->quiesce(b->top, true);
		b->parity = !b->parity;
		b->in_grace = true;
	}
	grace_check(b);
}

void piece_put(struct piece *p)
{
	struct block *b = p->b;

	bounce_put(b, p->bounce);
	p->bounce = NULL;
	p->next = b->free_pieces;
	b->free_pieces = p;
	b->busy[p->parity]--;
	grace_check(b);
}

void linking_add(struct piece *p)
{
	struct block *b = p->b;

	p->linking = true;
	p->prev = NULL;
	p->next = b->linking;
	if (p->next)
		p->next->prev = p;
	b->linking = p;
}

static void linking_remove(struct piece *p)
{
	if (!p->linking)
		return;
	p->linking = false;
	if (p->prev)
		p->prev->next = p->next;
	else
		p->b->linking = p->next;
	if (p->next)
		p->next->prev = p->prev;
}

uint64_t piece_unlinked(const struct block *b, uint64_t off, uint64_t bytes)
{
	uint64_t cluster = b->top->cluster_bytes;

	for (const struct piece *p = b->linking; p; p = p->next) {
		uint64_t from = round_down(p->plan.off, cluster);
		uint64_t to = round_up(p->plan.off + p->plan.bytes, cluster);

		if (off >= from && off < to)
			return 0;
		if (off < from)
			bytes = MIN(bytes, from - off);
	}
	return bytes;
}

/* The piece is over: the request hears of it. */
void piece_end(struct piece *p, int r)
{
	struct req *rq = p->rq;

	if (r < 0 && rq->result == 0)
		rq->result = r;
	rq->pending--;
	linking_remove(p);
	piece_put(p);
}

void piece_add(struct piece *p, enum ring_code code, struct file *f, uint64_t off,
	       void (*done)(struct ring_op *op))
{
	p->op = (struct ring_op){
		.code = code, .file = f, .off = off, .iov = p->iov, .n_iov = p->n_iov,
		.bytes = iov_bytes(p->iov, p->n_iov), .done = done,
	};
	ring_add(p->b->ring, &p->op);
}

/* ---- syncing ---- */

static void sync_done(struct ring_op *op)
{
	struct piece *p = container_of(op, struct piece, op);

	piece_end(p, op->result);
}

int piece_sync(struct block *b, struct req *rq)
{
	struct piece *p = piece_get(b, rq);

	if (!p)
		return STEP_STALL;
	rq->pending++;
	piece_add(p, RING_SYNC, b->top->file, 0, sync_done);
	return STEP_DONE;
}
