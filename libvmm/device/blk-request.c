/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A virtio-blk request: parse it, hand it to the engine, answer it.
 *
 *   parse -> submit -> done -> [next range | flush] -> ... -> answer
 *                        \-> waiting (STOP, ENOSPACE) -> submit at the next start
 *
 * What completes while a reset drains the engine is forgotten, not answered:
 * the ring is the driver's again.
 */
#include "config.h"
#include "libvmm/device/blk-priv.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#define STATUS_PENDING 0xff	/* no answer yet */

static_assert(sizeof(struct virtio_blk_outhdr) == 16, "a request header has 16 bytes (5.2.6)");
static_assert(sizeof(struct virtio_blk_discard_write_zeroes) == 16, "a range has 16 bytes (5.2.6)");

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* One writer: no locked operation is needed, only no torn value. */
static void stat_add(uint64_t *counter, uint64_t n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

static void slot_account(struct blk *blk, const struct blk_slot *s)
{
	struct blk_stats *st = &blk->stats;
	int64_t ns = now_ns() - s->start_ns;

	switch (s->req.op) {
	case BLOCK_READ:
		stat_add(&st->rd_reqs, 1);
		stat_add(&st->rd_bytes, s->stat_bytes);
		stat_add(&st->rd_ns, ns);
		break;
	case BLOCK_WRITE:
	case BLOCK_WRITE_ZEROES:
		stat_add(&st->wr_reqs, 1);
		stat_add(&st->wr_bytes, s->stat_bytes);
		stat_add(&st->wr_ns, ns);
		break;
	case BLOCK_FLUSH:
		stat_add(&st->fl_reqs, 1);
		stat_add(&st->fl_ns, ns);
		break;
	case BLOCK_DISCARD:
		stat_add(&st->discard_reqs, 1);
		stat_add(&st->discard_bytes, s->stat_bytes);
		break;
	}
}

void blk_slot_put(struct blk *blk, struct blk_slot *s)
{
	struct blk_queue *q = &blk->queues[s->queue];

	q->free[q->n_free++] = s - q->slots;
}

struct blk_slot *blk_slot_get(struct blk *blk, unsigned queue)
{
	struct blk_queue *q = &blk->queues[queue];
	struct blk_slot *s = &q->slots[q->free[--q->n_free]];

	s->blk = blk;
	s->queue = queue;
	s->chain.iov = s->iov;
	s->chain.n_iov = ARRAY_SIZE(s->iov);
	return s;
}

static void slot_answer(struct blk *blk, struct blk_slot *s, uint8_t status)
{
	struct blk_queue *q = &blk->queues[s->queue];

	blk_slot_put(blk, s);
	*s->status = status;
	virtqueue_push(virtio_queue(&blk->vdev, s->queue), s->chain.head, s->written);
	q->notify = true;
	if (q->stalled) {
		q->stalled = false;
		virtio_kick_later(&blk->vdev, s->queue);
	}
}

void blk_slot_submit(struct blk *blk, struct blk_slot *s)
{
	blk->engine_kick = true;
	block_submit(blk->block, &s->req);
}

/* 5.2.5.2 and 5.2.6.2: without a cache that the driver knows of, done means on the disk. */
static bool write_through(const struct blk *blk)
{
	if (blk->no_cache)
		return false;	/* the engine does it */
	if (!virtio_has(&blk->vdev, VIRTIO_BLK_F_FLUSH))
		return true;
	return virtio_has(&blk->vdev, VIRTIO_BLK_F_CONFIG_WCE) && !blk->writeback;
}

static void range_set(struct blk_slot *s)
{
	const struct virtio_blk_discard_write_zeroes *r = &s->ranges[s->range];

	s->req.offset = r->sector << SECTOR_BITS;
	s->req.bytes = (uint64_t)r->num_sectors << SECTOR_BITS;
	s->req.flags = r->flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP ? BLOCK_REQ_UNMAP : 0;
}

/* The operation itself went well; is there more to do for this request? */
static void slot_next(struct blk *blk, struct blk_slot *s)
{
	bool writes = s->req.op == BLOCK_WRITE || s->req.op == BLOCK_WRITE_ZEROES;

	if (blk->draining) {
		blk_slot_put(blk, s);
	} else if (s->range + 1 < s->n_ranges) {
		s->range++;
		range_set(s);
		blk_slot_submit(blk, s);
	} else {
		slot_account(blk, s);
		if (!writes || !write_through(blk)) {
			slot_answer(blk, s, VIRTIO_BLK_S_OK);
			return;
		}
		s->req.op = BLOCK_FLUSH;
		s->start_ns = now_ns();
		blk_slot_submit(blk, s);
	}
}

static bool error_waits(const struct blk *blk, enum blk_policy policy, int error)
{
	return policy == BLK_POLICY_STOP ||
	       (policy == BLK_POLICY_ENOSPACE && (error == ENOSPC || error == EDQUOT));
}

static void slot_failed(struct blk *blk, struct blk_slot *s, int error)
{
	enum blk_policy policy = s->req.op == BLOCK_READ ? blk->read_policy : blk->write_policy;
	bool waits = error_waits(blk, policy, error);

	if (blk->draining) {
		blk_slot_put(blk, s);
		return;
	}
	if (error == EOPNOTSUPP) {
		slot_answer(blk, s, VIRTIO_BLK_S_UNSUPP);
		return;
	}
	stat_add(&blk->stats.errs, 1);
	if (policy == BLK_POLICY_IGNORE) {
		slot_next(blk, s);
		return;
	}
	if (waits)
		blk_slot_wait(blk, s, error);
	else
		slot_answer(blk, s, VIRTIO_BLK_S_IOERR);
	if (blk->on_error)
		blk->on_error(blk->opaque, error, waits);
}

static void slot_done(struct block_req *req, int result)
{
	struct blk_slot *s = container_of(req, struct blk_slot, req);

	if (result < 0)
		slot_failed(s->blk, s, -result);
	else
		slot_next(s->blk, s);
}

/* --- parsing: what a request asks for, or the status that refuses it --- */

static bool range_is_inside(const struct blk *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t disk = block_bytes(blk->block);

	return sector <= disk >> SECTOR_BITS && bytes <= disk - (sector << SECTOR_BITS);
}

/* A driver that changes them meanwhile gets the one or the other. */
static bool is_zero(const struct iovec *iov, unsigned n_iov)
{
	for (unsigned i = 0; i < n_iov; i++) {
		const uint8_t *at = iov[i].iov_base;
		size_t bytes = iov[i].iov_len;

		if (bytes && (*at || memcmp(at, at + 1, bytes - 1)))
			return false;
	}
	return true;
}

static uint8_t parse_data(struct blk *blk, struct blk_slot *s, uint64_t sector, bool in)
{
	const struct virtqueue_chain *c = &s->chain;
	uint64_t bytes = in ? c->in_bytes : c->out_bytes;

	if (bytes % SECTOR_BYTES || !range_is_inside(blk, sector, bytes))
		return VIRTIO_BLK_S_IOERR;
	if (!bytes)
		return VIRTIO_BLK_S_OK;
	s->req.op = in ? BLOCK_READ : BLOCK_WRITE;
	s->req.offset = sector << SECTOR_BITS;
	s->req.bytes = s->stat_bytes = bytes;
	s->req.iov = in ? c->in : c->out;
	s->req.n_iov = in ? c->n_in : c->n_out;
	if (!in && blk->detect_zeroes != BLK_ZEROES_OFF && is_zero(s->req.iov, s->req.n_iov)) {
		s->req.op = BLOCK_WRITE_ZEROES;
		s->req.flags = blk->detect_zeroes == BLK_ZEROES_UNMAP ? BLOCK_REQ_UNMAP : 0;
	}
	return STATUS_PENDING;
}

/* 5.2.6.2 says which fault is UNSUPP and which IOERR. */
static uint8_t range_check(const struct blk *blk, const struct virtio_blk_discard_write_zeroes *r,
			   enum block_op op)
{
	bool zero = op == BLOCK_WRITE_ZEROES;
	uint32_t max = zero ? ZERO_SECTORS_MAX : DISCARD_SECTORS_MAX;

	if (r->flags & ~(zero ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
		return VIRTIO_BLK_S_UNSUPP;
	if (r->num_sectors > max ||
	    !range_is_inside(blk, r->sector, (uint64_t)r->num_sectors << SECTOR_BITS))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

static uint8_t parse_ranges(struct blk *blk, struct blk_slot *s, enum block_op op)
{
	size_t bytes = s->chain.out_bytes;

	if (!bytes || bytes % sizeof(s->ranges[0]) || bytes > sizeof(s->ranges))
		return VIRTIO_BLK_S_IOERR;
	s->n_ranges = bytes / sizeof(s->ranges[0]);
	chain_read(&s->chain, 0, s->ranges, bytes);
	unsigned n = 0;
	for (unsigned i = 0; i < s->n_ranges; i++) {
		uint8_t status = range_check(blk, &s->ranges[i], op);

		if (status != VIRTIO_BLK_S_OK)
			return status;
		s->stat_bytes += (uint64_t)s->ranges[i].num_sectors << SECTOR_BITS;
		if (s->ranges[i].num_sectors)
			s->ranges[n++] = s->ranges[i];
	}
	s->n_ranges = n;
	if (!n)
		return VIRTIO_BLK_S_OK;
	s->req.op = op;
	range_set(s);
	return STATUS_PENDING;
}

static uint8_t parse(struct blk *blk, struct blk_slot *s, const struct virtio_blk_outhdr *hdr)
{
	const struct virtio_device *dev = &blk->vdev;
	bool writes = hdr->type == VIRTIO_BLK_T_OUT || hdr->type == VIRTIO_BLK_T_DISCARD ||
		      hdr->type == VIRTIO_BLK_T_WRITE_ZEROES;

	if (writes && blk->read_only)
		return VIRTIO_BLK_S_IOERR;
	switch (hdr->type) {
	case VIRTIO_BLK_T_IN:
		return parse_data(blk, s, hdr->sector, true);
	case VIRTIO_BLK_T_OUT:
		return parse_data(blk, s, hdr->sector, false);
	case VIRTIO_BLK_T_FLUSH:
		s->req.op = BLOCK_FLUSH;
		return STATUS_PENDING;
	case VIRTIO_BLK_T_GET_ID:
		chain_write(&s->chain, 0, blk->serial, sizeof(blk->serial));
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
		return virtio_has(dev, VIRTIO_BLK_F_DISCARD) ?
			       parse_ranges(blk, s, BLOCK_DISCARD) : VIRTIO_BLK_S_UNSUPP;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return virtio_has(dev, VIRTIO_BLK_F_WRITE_ZEROES) ?
			       parse_ranges(blk, s, BLOCK_WRITE_ZEROES) : VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* Header first, status last, in whatever pieces (2.7.4: framing says nothing). */
static bool slot_frame(struct blk_slot *s, struct virtio_blk_outhdr *ret)
{
	struct virtqueue_chain *c = &s->chain;

	if (!c->n_in || chain_read(c, 0, ret, sizeof(*ret)) < sizeof(*ret))
		return false;
	const struct iovec *last = &c->in[c->n_in - 1];
	s->status = (uint8_t *)last->iov_base + last->iov_len - 1;
	s->written = c->in_bytes;
	chain_skip_out(c, sizeof(*ret));
	chain_trim_in(c, 1);
	return true;
}

/* The status that the request has already, or STATUS_PENDING; false: it is none. */
static bool slot_parse(struct blk *blk, struct blk_slot *s, uint8_t *ret_status)
{
	struct virtio_blk_outhdr hdr;

	s->req = (struct block_req){ .done = slot_done };
	s->range = s->n_ranges = 0;
	s->stat_bytes = 0;
	if (!slot_frame(s, &hdr))
		return false;
	s->start_ns = now_ns();
	*ret_status = parse(blk, s, &hdr);
	return true;
}

bool blk_slot_hold(struct blk *blk, struct blk_slot *s)
{
	uint8_t status;

	if (!slot_parse(blk, s, &status) || status != STATUS_PENDING)
		return false;
	s->next_waiting = blk->waiting;
	blk->waiting = s;
	return true;
}

void blk_slot_begin(struct blk *blk, struct blk_slot *s)
{
	uint8_t status;

	if (!slot_parse(blk, s, &status)) {
		virtio_broken(&blk->vdev, "a request has no header or no status byte");
		blk_slot_put(blk, s);
		return;
	}
	if (status != STATUS_PENDING)
		slot_answer(blk, s, status);
	else if (!blk_throttle_queue(blk, s))
		blk_slot_submit(blk, s);
}
