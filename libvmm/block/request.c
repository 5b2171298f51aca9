/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: order, cutting into pieces, completion.
 *
 * Requests that touch the same bytes run in the order of their submission
 * (reads beside reads excepted); a flush waits for the writes before it, and
 * nothing waits for a flush.  With that, a piece only has to mind the clusters
 * that another piece is about to link (piece.c).
 *
 * done() is called from one place, deliver(), which never nests: a done() may
 * submit.  All of this is the owner thread's.
 */
#include "config.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>

#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

#define WRITE_BACK_US (2 * G_USEC_PER_SEC)

/* ---- order ---- */

static bool is_read(const struct block_req *r)
{
	return r->op == BLOCK_READ;
}

static bool must_wait_for(const struct block *b, const struct block_req *later,
			  const struct block_req *earlier)
{
	uint64_t unit = b->serial_bytes;

	if (earlier->op == BLOCK_FLUSH)
		return false;
	if (later->op == BLOCK_FLUSH)
		return !is_read(earlier);
	if (is_read(later) && is_read(earlier))
		return false;
	return round_down(later->offset, unit) < earlier->offset + earlier->bytes &&
	       round_down(earlier->offset, unit) < later->offset + later->bytes;
}

static bool req_blocked(const struct block *b, struct req *rq)
{
	for (struct req *it = b->first; it != rq; it = it->next)
		if (must_wait_for(b, req_outer(rq), req_outer(it)))
			return true;
	return false;
}

static void active_add(struct block *b, struct req *rq)
{
	rq->prev = b->last;
	rq->next = NULL;
	if (b->last)
		b->last->next = rq;
	else
		b->first = rq;
	b->last = rq;
}

static void active_remove(struct block *b, struct req *rq)
{
	if (rq->prev)
		rq->prev->next = rq->next;
	else
		b->first = rq->next;
	if (rq->next)
		rq->next->prev = rq->prev;
	else
		b->last = rq->prev;
}

/* ---- completion ---- */

static void req_end(struct block *b, struct req *rq)
{
	active_remove(b, rq);
	rq->next = NULL;
	*b->ended_last = rq;
	b->ended_last = &rq->next;
}

static bool deliver(struct block *b)
{
	bool any = b->ended != NULL;

	if (b->delivering)
		return false;
	b->delivering = true;
	while (b->ended) {
		struct req *rq = b->ended;
		struct block_req *outer = req_outer(rq);

		b->ended = rq->next;
		if (!b->ended)
			b->ended_last = &b->ended;
		outer->done(outer, rq->result);
	}
	b->delivering = false;
	return any;
}

/* ---- steps ---- */

/* Without zeroes in the map, or on a part of a cluster: write them. */
static int zero_by_writing(struct block *b, struct req *rq, uint64_t bytes)
{
	struct extent ext;
	int r = chain_map(b->top, rq->pos, bytes, &ext);

	if (r < 0)
		return r;
	if (ext.type != EXTENT_ZERO)
		return piece_write(b, rq, bytes);
	/* a write to this cluster has not reached the map */
	if (!piece_unlinked(b, rq->pos, 1))
		return STEP_STALL;
	rq->pos += piece_unlinked(b, rq->pos, ext.bytes);
	return STEP_DONE;
}

static int zero_step(struct block *b, struct req *rq)
{
	struct block_req *outer = req_outer(rq);
	uint64_t unit = b->top->zero_bytes, n = rq->end - rq->pos;
	bool discard = outer->op == BLOCK_DISCARD;
	enum zero_how how = discard ? ZERO_DISCARD :
			    outer->flags & BLOCK_REQ_UNMAP ? ZERO_UNMAP : ZERO_KEEP;
	int r;

	if (rq->pos % unit || (n < unit && rq->end < b->bytes)) {
		n = MIN(n, round_up(rq->pos + 1, unit) - rq->pos);
		if (!discard)
			return zero_by_writing(b, rq, n);
		rq->pos += n;
		return STEP_DONE;
	}
	if (rq->end < b->bytes)
		n = round_down(n, unit);
	n = piece_unlinked(b, rq->pos, n);
	if (n == 0)
		return STEP_STALL;
	r = b->top->ops->zero(b->top, rq->pos, n, how);
	block_dirtied(b);
	if (r == -ENOTSUP && !discard)
		return zero_by_writing(b, rq, n);
	if (r < 0 && !(discard && (r == -ENOTSUP || r == -EOPNOTSUPP)))
		return r;
	rq->pos += n;
	return STEP_DONE;
}

static int sync_step(struct block *b, struct req *rq)
{
	int r = b->top->ops->sync(b->top);

	if (r < 0)
		return r;
	b->write_back_armed = false;	/* what comes late finds nothing to do */
	block_synced(b);
	return piece_sync(b, rq);
}

static int data_step(struct block *b, struct req *rq)
{
	switch (req_outer(rq)->op) {
	case BLOCK_READ:
		return piece_read(b, rq);
	case BLOCK_WRITE:
		return piece_write(b, rq, rq->end - rq->pos);
	default:
		return zero_step(b, rq);
	}
}

static bool req_stall(struct block *b, struct req *rq)
{
	rq->waiting = true;
	b->n_waiting++;
	return false;
}

/* True when all data is where it belongs (or has failed). */
static bool run_data(struct block *b, struct req *rq)
{
	while (rq->pos < rq->end && rq->result == 0) {
		int r = data_step(b, rq);

		if (r == STEP_STALL)
			return req_stall(b, rq);
		if (r < 0)
			rq->result = r;
	}
	return rq->pending == 0;
}

static void req_run(struct block *b, struct req *rq)
{
	struct block_req *outer = req_outer(rq);

	if (rq->phase == REQ_DATA) {
		if (!run_data(b, rq))
			return;
		rq->phase = b->writethrough && !is_read(outer) ? REQ_SYNC : REQ_LAST;
	}
	if (rq->phase == REQ_SYNC && rq->result == 0) {
		int r = sync_step(b, rq);

		if (r == STEP_STALL) {
			req_stall(b, rq);
			return;
		}
		rq->phase = REQ_LAST;
		if (r < 0)
			rq->result = r;
	}
	if (rq->pending == 0)
		req_end(b, rq);
}

/* Those who waited look again; and those whose last piece has ended go on. */
static void block_wake(struct block *b)
{
	for (struct req *rq = b->first, *next; rq; rq = next) {
		next = rq->next;
		if (rq->waiting && req_blocked(b, rq))
			continue;
		if (rq->waiting)
			b->n_waiting--;
		else if (rq->pending > 0)
			continue;
		rq->waiting = false;
		req_run(b, rq);
	}
}

/* ---- calls ---- */

static int req_check(const struct block *b, const struct block_req *r)
{
	bool writes = r->op == BLOCK_WRITE || r->op == BLOCK_DISCARD || r->op == BLOCK_WRITE_ZEROES;

	if (r->op == BLOCK_FLUSH)
		return 0;
	if (r->offset > b->bytes || r->bytes > b->bytes - r->offset)
		return -EINVAL;
	if (writes && b->read_only)
		return -EROFS;
	if ((r->op == BLOCK_READ || r->op == BLOCK_WRITE) && iov_bytes(r->iov, r->n_iov) < r->bytes)
		return -EINVAL;
	return 0;
}

void block_submit(struct block *b, struct block_req *outer)
{
	struct req *rq = req_inner(outer);

	if (b->written && !(outer->flags & BLOCK_REQ_JOB) && outer->op != BLOCK_READ &&
	    outer->op != BLOCK_FLUSH)
		b->written(b->written_opaque, outer->offset, outer->bytes);
	memset(outer->engine, 0, sizeof(outer->engine));
	active_add(b, rq);
	rq->result = req_check(b, outer);
	if (outer->op == BLOCK_FLUSH) {
		rq->phase = b->read_only ? REQ_LAST : REQ_SYNC;
	} else if (rq->result == 0 && !(outer->op == BLOCK_DISCARD && !b->discard)) {
		rq->pos = outer->offset;
		rq->end = outer->offset + outer->bytes;
	}
	if (rq->result == 0 && req_blocked(b, rq))
		req_stall(b, rq);
	else
		req_run(b, rq);
	deliver(b);
}

static void family_wake(struct block *b)
{
	for (; b; b = b->lodger)
		block_wake(b);
}

static bool family_deliver(struct block *b)
{
	bool any = false;

	for (struct block *next; b; b = next) {
		next = b->lodger;
		any |= deliver(b);
	}
	return any;
}

void block_kick(struct block *b)
{
	unsigned reaped;

	b = b->host ?: b;
	do {
		family_wake(b);
		reaped = ring_reap(b->ring, false);
	} while (family_deliver(b) || reaped > 0);
	ring_flush(b->ring);	/* also what done() has submitted */
}

void block_wait(struct block *b)
{
	b = b->host ?: b;
	family_wake(b);
	ring_reap(b->ring, true);
	block_kick(b);
}

void block_drain(struct block *b)
{
	while (b->first || b->ended)
		block_wait(b);
}

/* ---- loop ---- */

static gboolean on_ring(int fd, GIOCondition cond, void *opaque)
{
	block_kick(opaque);
	return G_SOURCE_CONTINUE;
}

static void write_back_done(struct block_req *req, int result)
{
	struct block *b = container_of(req, struct block, write_back_req);

	b->write_back_busy = false;
}

/*
 * A guest that never flushes may lose what it wrote, but it should not be all
 * of it when its worker is killed an hour later: the map is written back some
 * time after it changed.
 */
static gboolean on_write_back(GSource *source, GSourceFunc fn, void *opaque)
{
	struct block *b = opaque;

	g_source_set_ready_time(source, -1);
	if (!b->first)
		bounces_trim(b);
	if (b->write_back_armed && !b->write_back_busy) {
		b->write_back_busy = true;
		b->write_back_req =
			(struct block_req){ .op = BLOCK_FLUSH, .done = write_back_done };
		block_submit(b, &b->write_back_req);
		block_kick(b);
	}
	b->write_back_armed = false;
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs write_back_funcs = { .dispatch = on_write_back };

void block_dirtied(struct block *b)
{
	if (!b->write_back || b->write_back_armed || !b->top->priv)
		return;
	b->write_back_armed = true;
	g_source_set_ready_time(b->write_back, g_get_monotonic_time() + WRITE_BACK_US);
}

void block_tidy_later(struct block *b)
{
	if (b->write_back && g_source_get_ready_time(b->write_back) < 0)
		g_source_set_ready_time(b->write_back, g_get_monotonic_time() + WRITE_BACK_US);
}

bool block_attach(struct block *b, GMainContext *ctx, GError **error)
{
	if (b->ctx)
		return error_set(error, VMM_ERR_INTERNAL, "image '%s' is attached already",
				 b->top->file->path);
	b->ctx = g_main_context_ref(ctx);
	b->write_back = g_source_new(&write_back_funcs, sizeof(GSource));
	g_source_set_callback(b->write_back, NULL, b, NULL);
	g_source_attach(b->write_back, ctx);
	if (ring_fd(b->ring) < 0)
		return true;
	b->source = g_unix_fd_source_new(ring_fd(b->ring), G_IO_IN);
	g_source_set_callback(b->source, G_SOURCE_FUNC(on_ring), b, NULL);
	g_source_attach(b->source, ctx);
	return true;
}

static void detach_source(GSource **source)
{
	if (*source) {
		g_source_destroy(*source);
		g_source_unref(*source);
	}
	*source = NULL;
}

void block_detach(struct block *b)
{
	block_drain(b);
	detach_source(&b->source);
	detach_source(&b->write_back);
	b->write_back_armed = false;
	g_clear_pointer(&b->ctx, g_main_context_unref);
}
