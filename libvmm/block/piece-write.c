/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A write piece covers one plan.  When the plan says link, the piece first
 * fills the head and tail of its clusters with what the guest sees there now
 * (copy on write; extent by extent with the piece's own ring_op, so that it
 * needs nobody else's slot and cannot deadlock), then writes all in one go,
 * then has the map linked.  From plan to link the piece stands in b->linking
 * and every other write to its clusters waits.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/request-priv.h"

#define READ_THROUGH (32u << 10)

static uint8_t zeroes[64 * 1024] __attribute__((aligned(4096)));	/* only ever read */

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
		block_dirtied(p->b);
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
		*ret_n = iov_slice(outer->iov, outer->n_iov, off - outer->offset, bytes, iov,
				   PIECE_IOV, &got);
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
	struct file *f;
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
			       cluster + ((p->cow_pos - ext.bytes) & (l->cluster_bytes - 1)),
			       ext.bytes);
		return r;
	}
	f = layer_data(l);
	if (f->align > 1 && ((ext.host_off & (f->align - 1)) || !iov_aligned(p->iov, 1, f->align)))
		return file_pread(f, ext.host_off, p->iov[0].iov_base, ext.bytes);
	piece_add(p, RING_READ, f, ext.host_off, cow_done);
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

/*
 * Old contents before and behind a short write are read in one go with what is
 * between them, which the data then covers.
 */
static bool reads_through(const struct piece *p)
{
	return p->lead && p->trail && p->bytes <= READ_THROUGH;
}

static void write_linked(struct piece *p)
{
	struct plan *plan = &p->plan;

	linking_add(p);
	p->lead = plan->head;
	p->trail = plan->tail;
	if (plan->head && is_aligned(p, plan->host_off) &&
	    old_is_zero(p, p->off - plan->head, plan->head))
		p->lead = 0;
	if (plan->tail && is_aligned(p, plan->host_off + p->bytes) &&
	    old_is_zero(p, p->off + p->bytes, plan->tail))
		p->trail = 0;
	if ((p->lead || p->trail || p->flat) && !(p->bounce = bounce_get(p->b))) {
		write_fail(p, -ENOMEM);
		return;
	}
	p->cow_pos = p->off - p->lead;
	p->cow_end = p->off;
	/* behind what need not be written: flat data stands at plan.head */
	p->cow_buf = p->flat ? p->bounce + plan->head - p->lead : p->bounce;
	if (reads_through(p)) {
		p->flat = p->in_tail = true;
		p->cow_end = p->off + p->bytes + p->trail;
	}
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
	if (p->flat && !p->plan.link)
		p->bounce = bounce_get(b);
	p->off = rq->pos;
	p->bytes = p->plan.bytes;
	rq->pos += p->bytes;
	rq->pending++;
	if (p->plan.link)
		write_linked(p);
	else if (p->flat && !p->bounce)
		write_fail(p, -ENOMEM);
	else if (p->flat)
		write_unaligned(p);
	else
		write_start(p);
	return STEP_DONE;
}
