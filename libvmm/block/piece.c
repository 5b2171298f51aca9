/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A piece: one data I/O for a part of a request.
 *
 * A read piece covers one extent.  A write piece covers one plan.  When the
 * plan says link, the piece first fills the head and tail of its clusters with
 * what the guest sees there now (copy on write; extent by extent with the
 * piece's own ring_op, so that it needs nobody else's slot and cannot
 * deadlock), then writes all in one go, then has the map linked.  From plan to
 * link the piece stands in b->linking and every other write to its clusters
 * waits.
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

static uint8_t zeroes[64 * 1024] __attribute__((aligned(BOUNCE_ALIGN)));	/* only ever read */

/* ---- slots ---- */

void pieces_init(struct block *b)
{
	b->pieces = g_new0(struct piece, PIECES);
	for (unsigned i = 0; i < PIECES; i++) {
		b->pieces[i].b = b;
		b->pieces[i].next = b->free_pieces;
		b->free_pieces = &b->pieces[i];
	}
	b->bounce_bytes = 2 * (uint64_t)b->top->cluster_bytes + FLAT_BYTES;
	b->max_bounces = CLAMP(BOUNCE_TOTAL / b->bounce_bytes, 2, PIECES);
}

void pieces_done(struct block *b)
{
	while (b->bounces) {
		struct bounce *next = b->bounces->next;

		free(b->bounces);
		b->bounces = next;
	}
	g_free(b->pieces);
}

static uint8_t *bounce_get(struct block *b)
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

static bool bounce_left(const struct block *b)
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
	b->n_bounces_free++;
}

/* An idle disk should cost little memory. */
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

static struct piece *piece_get(struct block *b, struct req *rq)
{
	struct piece *p = b->free_pieces;

	if (!p)
		return NULL;
	b->free_pieces = p->next;
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
	if (!b->in_grace) {
		b->top->ops->quiesce(b->top, true);
		b->parity = !b->parity;
		b->in_grace = true;
	}
	grace_check(b);
}

static void piece_put(struct piece *p)
{
	struct block *b = p->b;

	bounce_put(b, p->bounce);
	p->bounce = NULL;
	p->next = b->free_pieces;
	b->free_pieces = p;
	b->busy[p->parity]--;
	grace_check(b);
}

static void linking_add(struct piece *p)
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
static void piece_end(struct piece *p, int r)
{
	struct req *rq = p->rq;

	if (r < 0 && rq->result == 0)
		rq->result = r;
	rq->pending--;
	linking_remove(p);
	piece_put(p);
}

static void piece_add(struct piece *p, enum ring_code code, struct file *f, uint64_t off,
		      void (*done)(struct ring_op *op))
{
	p->op = (struct ring_op){
		.code = code, .file = f, .off = off, .iov = p->iov, .n_iov = p->n_iov,
		.bytes = iov_bytes(p->iov, p->n_iov), .done = done,
	};
	ring_add(p->b->ring, &p->op);
}

/* ---- reading ---- */

static void read_done(struct ring_op *op)
{
	struct piece *p = container_of(op, struct piece, op);
	struct block_req *outer = req_outer(p->rq);

	if (op->result == 0 && p->bounce)
		iov_from_buf(outer->iov, outer->n_iov, p->off - outer->offset,
			     p->bounce + p->bounce_skip, p->bytes);
	piece_end(p, op->result);
}

static int read_packed(struct req *rq, const struct extent *ext)
{
	struct block_req *outer = req_outer(rq);
	struct layer *l = (struct layer *)ext->layer;
	const uint8_t *cluster;
	int r = l->ops->unpack(l, ext, &cluster);

	if (r < 0)
		return r;
	iov_from_buf(outer->iov, outer->n_iov, rq->pos - outer->offset,
		     cluster + (rq->pos & (l->cluster_bytes - 1)), ext->bytes);
	rq->pos += ext->bytes;
	return STEP_DONE;
}

/* O_DIRECT and the guest's buffers do not agree: read around it and copy. */
static int read_bounced(struct piece *p, struct file *f, uint64_t host_off)
{
	uint64_t from = round_down(host_off, f->align);

	p->bounce = bounce_get(p->b);
	if (!p->bounce)
		return STEP_STALL;
	p->bytes = MIN(p->bytes, FLAT_BYTES - 2 * f->align);
	p->bounce_skip = host_off - from;
	p->iov[0].iov_base = p->bounce;
	p->iov[0].iov_len = round_up(p->bounce_skip + p->bytes, f->align);
	p->n_iov = 1;
	return STEP_DONE;
}

static int read_data(struct block *b, struct req *rq, const struct extent *ext)
{
	struct block_req *outer = req_outer(rq);
	struct file *f = ext->layer->file;
	struct piece *p = piece_get(b, rq);
	uint64_t host_off = ext->host_off;

	if (!p)
		return STEP_STALL;
	p->off = rq->pos;
	p->n_iov = iov_slice(outer->iov, outer->n_iov, rq->pos - outer->offset, ext->bytes, p->iov,
			     PIECE_IOV, &p->bytes);
	if (f->align > 1 && (((host_off | p->bytes) & (f->align - 1)) ||
			     !iov_aligned(p->iov, p->n_iov, f->align))) {
		if (read_bounced(p, f, host_off) == STEP_STALL) {
			piece_put(p);
			return STEP_STALL;
		}
		host_off -= p->bounce_skip;
	}
	rq->pos += p->bytes;
	rq->pending++;
	piece_add(p, RING_READ, f, host_off, read_done);
	return STEP_DONE;
}

int piece_read(struct block *b, struct req *rq)
{
	struct block_req *outer = req_outer(rq);
	struct extent ext;
	int r = chain_map(b->top, rq->pos, rq->end - rq->pos, &ext);

	if (r < 0)
		return r;
	switch (ext.type) {
	case EXTENT_DATA:
		return read_data(b, rq, &ext);
	case EXTENT_PACKED:
		return read_packed(rq, &ext);
	default:
		iov_zero(outer->iov, outer->n_iov, rq->pos - outer->offset, ext.bytes);
		rq->pos += ext.bytes;
		return STEP_DONE;
	}
}

/* ---- writing ---- */

static void write_done(struct ring_op *op)
{
	struct piece *p = container_of(op, struct piece, op);
	struct layer *top = p->b->top;
	int r = op->result;

	if (p->plan.link) {
		if (r == 0)
			r = top->ops->link(top, &p->plan);
		if (r < 0)
			top->ops->abandon(top, &p->plan);
	}
	piece_end(p, r);
}

/* Up to `bytes` of the request's data from off on; what fits is the result. */
static uint64_t data_slice(struct req *rq, uint64_t off, uint64_t bytes, struct iovec *iov,
			   unsigned *ret_n)
{
	struct block_req *outer = req_outer(rq);
	uint64_t got = 0;
	unsigned n = 0;

	if (outer->op == BLOCK_WRITE) {
		*ret_n = iov_slice(outer->iov, outer->n_iov, off - outer->offset, bytes, iov, PIECE_IOV,
				   &got);
		return got;
	}
	for (; got < bytes && n < PIECE_IOV; n++) {
		iov[n].iov_base = zeroes;
		iov[n].iov_len = MIN(bytes - got, sizeof(zeroes));
		got += iov[n].iov_len;
	}
	*ret_n = n;
	return got;
}

static void data_copy(struct req *rq, uint64_t off, uint64_t bytes, uint8_t *to)
{
	struct block_req *outer = req_outer(rq);

	if (outer->op == BLOCK_WRITE)
		iov_to_buf(outer->iov, outer->n_iov, off - outer->offset, to, bytes);
	else
		memset(to, 0, bytes);
}

static uint8_t *tail_buf(struct piece *p)
{
	return p->flat ? p->bounce + p->plan.head + p->bytes :
			 p->bounce + p->b->top->cluster_bytes;
}

/* Head, data, tail in one vector. */
static void write_start(struct piece *p)
{
	struct req *rq = p->rq;
	unsigned n = 0, n_data;

	if (p->flat) {
		data_copy(rq, p->off, p->bytes, p->bounce + p->plan.head);
		p->iov[n++] = (struct iovec){ p->bounce + p->plan.head - p->lead,
					      p->lead + p->bytes + p->trail };
	} else {
		if (p->lead)
			p->iov[n++] = (struct iovec){ p->bounce, p->lead };
		data_slice(rq, p->off, p->bytes, p->iov + n, &n_data);
		n += n_data;
		if (p->trail)
			p->iov[n++] = (struct iovec){ tail_buf(p), p->trail };
	}
	p->n_iov = n;
	piece_add(p, RING_WRITE, p->b->top->file, p->plan.host_off - p->lead, write_done);
}

static void cow_done(struct ring_op *op);

/* One extent of old contents. 1: I/O was started. */
static int cow_extent(struct piece *p)
{
	struct extent ext;
	const uint8_t *cluster;
	struct layer *l;
	int r = chain_map(p->b->top, p->cow_pos, p->cow_end - p->cow_pos, &ext);

	if (r < 0)
		return r;
	l = (struct layer *)ext.layer;
	p->iov[0] = (struct iovec){ p->cow_buf, ext.bytes };
	p->n_iov = 1;
	p->cow_pos += ext.bytes;
	p->cow_buf += ext.bytes;
	if (ext.type == EXTENT_ZERO) {
		memset(p->iov[0].iov_base, 0, ext.bytes);
		return 0;
	}
	if (ext.type == EXTENT_PACKED) {
		r = l->ops->unpack(l, &ext, &cluster);
		if (r == 0)
			memcpy(p->iov[0].iov_base,
			       cluster + ((p->cow_pos - ext.bytes) & (l->cluster_bytes - 1)), ext.bytes);
		return r;
	}
	if (l->file->align > 1 && ((ext.host_off & (l->file->align - 1)) ||
				   !iov_aligned(p->iov, 1, l->file->align)))
		return file_pread(l->file, ext.host_off, p->iov[0].iov_base, ext.bytes);
	piece_add(p, RING_READ, l->file, ext.host_off, cow_done);
	return 1;
}

static void write_fail(struct piece *p, int r)
{
	struct layer *top = p->b->top;

	if (p->plan.link)
		top->ops->abandon(top, &p->plan);
	piece_end(p, r);
}

static void cow_next(struct piece *p)
{
	for (;;) {
		int r = 0;

		while (p->cow_pos < p->cow_end && r == 0)
			r = cow_extent(p);
		if (r < 0)
			write_fail(p, r);
		if (r != 0)
			return;
		if (p->in_tail)
			break;
		p->in_tail = true;
		p->cow_pos = p->off + p->bytes;
		p->cow_end = p->cow_pos + p->trail;
		p->cow_buf = p->trail ? tail_buf(p) : NULL;
	}
	write_start(p);
}

static void cow_done(struct ring_op *op)
{
	struct piece *p = container_of(op, struct piece, op);

	if (op->result < 0)
		write_fail(p, op->result);
	else
		cow_next(p);
}

/* A new cluster reads as zeroes already: need they be written? */
static bool old_is_zero(struct piece *p, uint64_t off, uint64_t bytes)
{
	struct extent ext;

	return p->plan.fresh && chain_map(p->b->top, off, bytes, &ext) == 0 &&
	       ext.type == EXTENT_ZERO && ext.bytes >= bytes;
}

static bool is_aligned(const struct piece *p, uint64_t v)
{
	return (v & (p->b->top->file->align - 1)) == 0;
}

static void write_linked(struct piece *p)
{
	struct plan *plan = &p->plan;

	linking_add(p);
	p->lead = plan->head;
	p->trail = plan->tail;
	if (plan->head && is_aligned(p, plan->host_off) && old_is_zero(p, p->off - plan->head, plan->head))
		p->lead = 0;
	if (plan->tail && is_aligned(p, plan->host_off + p->bytes) &&
	    old_is_zero(p, p->off + p->bytes, plan->tail))
		p->trail = 0;
	p->cow_pos = p->off - p->lead;
	p->cow_end = p->off;
	p->cow_buf = p->bounce;
	cow_next(p);
}

/* In place, but not on O_DIRECT's borders: the blocks at the ends are read first. */
static void write_unaligned(struct piece *p)
{
	struct file *f = p->b->top->file;
	uint64_t from = round_down(p->plan.host_off, f->align);
	uint64_t to = round_up(p->plan.host_off + p->bytes, f->align);
	int r = from < p->plan.host_off ? file_pread(f, from, p->bounce, f->align) : 0;

	if (r == 0 && to > p->plan.host_off + p->bytes)
		r = file_pread(f, to - f->align, p->bounce + (to - from) - f->align, f->align);
	if (r < 0) {
		piece_end(p, r);
		return;
	}
	p->lead = p->plan.head = p->plan.host_off - from;	/* for write_start's layout */
	p->trail = to - p->plan.host_off - p->bytes;
	write_start(p);
}

static bool data_fits(struct piece *p, uint64_t off, uint64_t bytes)
{
	struct file *f = p->b->top->file;

	return f->align == 1 || (is_aligned(p, off) && is_aligned(p, bytes) &&
				 iov_aligned(p->iov, p->n_iov, f->align));
}

int piece_write(struct block *b, struct req *rq, uint64_t limit)
{
	struct layer *top = b->top;
	struct piece *p;
	int r;

	limit = piece_unlinked(b, rq->pos, limit);
	p = limit ? piece_get(b, rq) : NULL;
	if (!p)
		return STEP_STALL;
	limit = data_slice(rq, rq->pos, limit, p->iov, &p->n_iov);
	p->flat = !data_fits(p, rq->pos, limit);
	if (p->flat)
		limit = MIN(limit, FLAT_BYTES - 2 * top->file->align);
	if ((top->priv || p->flat) && !bounce_left(b)) {
		piece_put(p);
		return STEP_STALL;
	}
	r = top->ops->map_write(top, rq->pos, limit, &p->plan);
	if (r < 0) {
		piece_put(p);
		return r;
	}
	if (p->plan.head || p->plan.tail || p->flat)
		p->bounce = bounce_get(b);
	p->off = rq->pos;
	p->bytes = p->plan.bytes;
	rq->pos += p->bytes;
	rq->pending++;
	if (!p->bounce && (p->plan.head || p->plan.tail || p->flat))
		write_fail(p, -ENOMEM);
	else if (p->plan.link)
		write_linked(p);
	else if (p->flat)
		write_unaligned(p);
	else
		write_start(p);
	return STEP_DONE;
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
