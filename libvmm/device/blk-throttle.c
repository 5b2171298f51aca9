/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of bytes and requests per second, on the disk's thread.
 *
 * Each limit is a bucket that leaks at its rate.  A request may begin when all
 * of its buckets are below their brim, then it is poured into them: so a large
 * one is not refused, those behind it wait longer.  A burst is a deeper bucket;
 * one that may last for seconds is held to its own rate by a second, shallow
 * one.  Requests that wait stand in two lines, reads and writes, so that a
 * limit of one does not hold up the other; one timer wakes the next.
 */
#include "config.h"
#include "libvmm/device/blk-priv.h"

#define SHALLOW_S 0.1	/* a bucket without a burst holds so many seconds of its rate */

enum { BYTES, OPS };
enum { TOTAL, READ, WRITE };

static unsigned line_of(const struct blk_slot *s)
{
	return s->req.op != BLOCK_READ;
}

static double cost(const struct blk_throttle *t, const struct blk_slot *s, unsigned what)
{
	if (what == BYTES)
		return s->stat_bytes;
	return t->op_bytes ? MAX((s->stat_bytes + t->op_bytes - 1) / t->op_bytes, 1) : 1;
}

static void bucket_leak(struct blk_bucket *b, double seconds)
{
	b->level = MAX(b->level - b->rate * seconds, 0);
	b->burst_level = MAX(b->burst_level - b->burst_rate * seconds, 0);
}

/* Seconds until the next may begin. */
static double bucket_wait(const struct blk_bucket *b)
{
	double wait = (b->level - b->depth) / b->rate;
	double burst = b->burst_rate > 0
			       ? (b->burst_level - b->burst_rate * SHALLOW_S) / b->burst_rate : 0;

	return MAX(wait, burst);
}

/* The buckets of a request: total and its own, of bytes and of operations. */
static struct blk_bucket *bucket_of(struct blk_throttle *t, const struct blk_slot *s, unsigned i)
{
	unsigned own = line_of(s) ? WRITE : READ;
	struct blk_bucket *b = &t->buckets[i / 2][i % 2 ? own : TOTAL];

	return b->rate > 0 ? b : NULL;
}

static void leak(struct blk_throttle *t, int64_t now_us)
{
	double seconds = (now_us - t->leaked_us) / 1e6;

	t->leaked_us = now_us;
	for (unsigned i = 0; i < 6; i++)
		bucket_leak(&t->buckets[i / 3][i % 3], seconds);
}

static double slot_wait(struct blk_throttle *t, const struct blk_slot *s)
{
	double wait = 0;

	for (unsigned i = 0; i < 4; i++) {
		const struct blk_bucket *b = bucket_of(t, s, i);

		if (b)
			wait = MAX(wait, bucket_wait(b));
	}
	return wait;
}

static void slot_pour(struct blk_throttle *t, const struct blk_slot *s)
{
	for (unsigned i = 0; i < 4; i++) {
		struct blk_bucket *b = bucket_of(t, s, i);

		if (!b)
			continue;
		b->level += cost(t, s, i / 2);
		b->burst_level += cost(t, s, i / 2);
	}
}

/* ---- lines ---- */

/* Begins all that may; the timer is set for the next. */
static void throttle_run(struct blk *blk)
{
	struct blk_throttle *t = &blk->throttle;
	int64_t now_us = g_get_monotonic_time(), next_us = -1;

	if (blk->holds || blk->vdev.stopped)
		return;
	leak(t, now_us);
	for (unsigned i = 0; i < 2; i++) {
		struct blk_slot *s;
		double wait = 0;

		while ((s = t->lines[i].first) && (wait = slot_wait(t, s)) <= 0) {
			t->lines[i].first = s->next_waiting;
			slot_pour(t, s);
			blk_slot_submit(blk, s);
		}
		if (s && (next_us < 0 || now_us + wait * 1e6 < next_us))
			next_us = now_us + wait * 1e6 + 1;
	}
	if (t->timer)
		g_source_set_ready_time(t->timer, next_us);
}

static gboolean on_timer(GSource *source, GSourceFunc fn, void *arg)
{
	struct blk *blk = arg;

	g_source_set_ready_time(source, -1);
	throttle_run(blk);
	blk->engine_kick = false;
	block_kick(blk->block);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_funcs = { .dispatch = on_timer };

bool blk_throttle_queue(struct blk *blk, struct blk_slot *s)
{
	struct blk_throttle *t = &blk->throttle;
	unsigned i = line_of(s);

	if (!t->on || s->req.op == BLOCK_FLUSH || s->req.op == BLOCK_DISCARD)
		return false;
	s->next_waiting = NULL;
	if (t->lines[i].first) {
		t->lines[i].last->next_waiting = s;
		t->lines[i].last = s;
		return true;
	}
	t->lines[i].first = t->lines[i].last = s;
	throttle_run(blk);
	return true;
}

void blk_throttle_go_on(struct blk *blk)
{
	if (blk->throttle.timer)
		throttle_run(blk);
}

void blk_throttle_reset(struct blk *blk)
{
	for (unsigned i = 0; i < 2; i++) {
		struct blk_slot *s;

		while ((s = blk->throttle.lines[i].first)) {
			blk->throttle.lines[i].first = s->next_waiting;
			blk_slot_put(blk, s);
		}
	}
	if (blk->throttle.timer)
		g_source_set_ready_time(blk->throttle.timer, -1);
}

void blk_throttle_done(struct blk *blk)
{
	if (blk->throttle.timer)
		g_source_destroy(blk->throttle.timer);
	g_clear_pointer(&blk->throttle.timer, g_source_unref);
}

/* ---- limits ---- */

static struct blk_bucket bucket_make(const struct blk_limit *l)
{
	double length = l->burst_s ? l->burst_s : 1;
	struct blk_bucket b = { .rate = l->rate, .depth = l->rate * SHALLOW_S };

	if (l->burst) {
		b.depth = l->burst * length;
		b.burst_rate = length > 1 ? l->burst : 0;
	}
	return b;
}

static void timer_new(struct blk *blk)
{
	blk->throttle.timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_static_name(blk->throttle.timer, "virtio-blk throttle");
	g_source_set_callback(blk->throttle.timer, NULL, blk, NULL);
	g_source_attach(blk->throttle.timer, blk->vdev.ctx);
}

void blk_set_limits(struct virtio_device *dev, const struct blk_limits *limits)
{
	struct blk *blk = blk_of(dev);
	struct blk_throttle *t = &blk->throttle;

	t->on = false;
	t->op_bytes = limits->op_bytes;
	t->leaked_us = g_get_monotonic_time();
	for (unsigned i = 0; i < 6; i++) {
		t->buckets[i / 3][i % 3] = bucket_make(&limits->limits[i]);
		t->on |= limits->limits[i].rate > 0;
	}
	if (t->on && !t->timer)
		timer_new(blk);
	blk_throttle_go_on(blk);	/* who waited for the old ones */
	blk->engine_kick = false;
	block_kick(blk->block);
}
