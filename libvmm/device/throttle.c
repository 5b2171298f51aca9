/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Buckets that leak at the rate of their limit.
 *
 * A request may begin when all of its buckets are below their brim.  It is
 * poured into them when it asks, with what is to leak until then: who asks
 * later waits for it, too, and a large request is not refused, those behind it
 * wait longer.  A burst is a deeper bucket; one that may last for seconds is
 * held to its own rate by a second, shallow one.
 */
#include "config.h"
#include "libvmm/device/throttle.h"

#include <stdbool.h>

#define SHALLOW_S 0.1	/* a bucket without a burst holds so many seconds of its rate */

enum { BYTES, OPS };
enum { TOTAL, READ, WRITE };

struct bucket {
	double rate, depth, level;
	double burst_rate, burst_level;		/* 0: the burst has no rate of its own */
};

struct throttle {
	gatomicrefcount refs;
	GMutex lock;				/* what follows */
	struct bucket buckets[2][3];		/* bytes, operations; total, read, write */
	uint64_t op_bytes;
	int64_t leaked_us;
};

static double cost(const struct throttle *t, uint64_t bytes, unsigned what)
{
	if (what == BYTES)
		return bytes;
	return t->op_bytes ? MAX((bytes + t->op_bytes - 1) / t->op_bytes, 1) : 1;
}

static void bucket_leak(struct bucket *b, double seconds)
{
	b->level = MAX(b->level - b->rate * seconds, 0);
	b->burst_level = MAX(b->burst_level - b->burst_rate * seconds, 0);
}

/* Seconds until the next may begin. */
static double bucket_wait(const struct bucket *b)
{
	double wait = (b->level - b->depth) / b->rate;
	double burst = b->burst_rate > 0
			       ? (b->burst_level - b->burst_rate * SHALLOW_S) / b->burst_rate : 0;

	return MAX(wait, burst);
}

static void leak(struct throttle *t, int64_t now_us)
{
	double seconds = MAX(now_us - t->leaked_us, 0) / 1e6;

	t->leaked_us = MAX(t->leaked_us, now_us);
	for (unsigned i = 0; i < 6; i++)
		bucket_leak(&t->buckets[i / 3][i % 3], seconds);
}

/* The buckets of a request: total and its own, of bytes and of operations. */
static struct bucket *bucket_of(struct throttle *t, enum throttle_line line, unsigned i)
{
	unsigned own = line == THROTTLE_WRITES ? WRITE : READ;
	struct bucket *b = &t->buckets[i / 2][i % 2 ? own : TOTAL];

	return b->rate > 0 ? b : NULL;
}

int64_t throttle_take(struct throttle *t, enum throttle_line line, uint64_t bytes, int64_t now_us)
{
	double wait = 0;

	g_mutex_lock(&t->lock);
	leak(t, now_us);
	for (unsigned i = 0; i < 4; i++) {
		struct bucket *b = bucket_of(t, line, i);

		if (!b)
			continue;
		wait = MAX(wait, bucket_wait(b));
		b->level += cost(t, bytes, i / 2);
		b->burst_level += cost(t, bytes, i / 2);
	}
	g_mutex_unlock(&t->lock);
	return wait > 0 ? now_us + (int64_t)(wait * 1e6) + 1 : now_us;
}

void throttle_put_back(struct throttle *t, enum throttle_line line, uint64_t bytes)
{
	g_mutex_lock(&t->lock);
	for (unsigned i = 0; i < 4; i++) {
		struct bucket *b = bucket_of(t, line, i);

		if (!b)
			continue;
		b->level = MAX(b->level - cost(t, bytes, i / 2), 0);
		b->burst_level = MAX(b->burst_level - cost(t, bytes, i / 2), 0);
	}
	g_mutex_unlock(&t->lock);
}

static struct bucket bucket_make(const struct blk_limit *l)
{
	double length = l->burst_s ? l->burst_s : 1;
	struct bucket b = { .rate = l->rate, .depth = l->rate * SHALLOW_S };

	if (l->burst) {
		b.depth = l->burst * length;
		b.burst_rate = length > 1 ? l->burst : 0;
	}
	return b;
}

struct throttle *throttle_new(const struct blk_limits *limits, int64_t now_us)
{
	struct throttle *t;
	bool on = false;

	for (unsigned i = 0; i < 6; i++)
		on |= limits->limits[i].rate > 0;
	if (!on)
		return NULL;
	t = g_new0(struct throttle, 1);
	g_atomic_ref_count_init(&t->refs);
	g_mutex_init(&t->lock);
	t->op_bytes = limits->op_bytes;
	t->leaked_us = now_us;
	for (unsigned i = 0; i < 6; i++)
		t->buckets[i / 3][i % 3] = bucket_make(&limits->limits[i]);
	return t;
}

struct throttle *throttle_ref(struct throttle *t)
{
	if (t)
		g_atomic_ref_count_inc(&t->refs);
	return t;
}

void throttle_unref(struct throttle *t)
{
	if (!t || !g_atomic_ref_count_dec(&t->refs))
		return;
	g_mutex_clear(&t->lock);
	g_free(t);
}
