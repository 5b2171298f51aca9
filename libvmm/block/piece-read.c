/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A read piece: one extent, straight into the guest's buffers where they allow it. */
#include "config.h"

#include <string.h>

#include "libvmm/block/request-priv.h"

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
	struct file *f = layer_data(ext->layer);
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
