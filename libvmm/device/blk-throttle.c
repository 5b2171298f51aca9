/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests that wait for the disk's limits, on the disk's thread.  They stand
 * in two lines, reads and writes, so that a limit of one does not hold up the
 * other; the first of each has asked when it may begin, and one timer wakes
 * for the earlier.
 */
#include "config.h"
#include "libvmm/device/blk-priv.h"

static unsigned line_of(const struct blk_slot *s)
{
	return s->req.op == BLOCK_READ ? THROTTLE_READS : THROTTLE_WRITES;
}

/* Begins all that may; the timer is set for the next. */
static void throttle_run(struct blk *blk)
{
	struct blk_waits *w = &blk->waits;
	int64_t now_us = g_get_monotonic_time(), next_us = -1;

	if (blk->holds || blk->vdev.stopped)
		return;
	for (unsigned i = 0; i < N_THROTTLE_LINES; i++) {
		struct blk_line *l = &w->lines[i];
		struct blk_slot *s;

		while ((s = l->first)) {
			if (!l->asked)
				l->begin_us = !w->throttle ? now_us :
					throttle_take(w->throttle, i, s->stat_bytes, now_us);
			l->asked = l->begin_us > now_us;
			if (l->asked)
				break;
			l->first = s->next_waiting;
			blk_slot_submit(blk, s);
		}
		if (s && (next_us < 0 || l->begin_us < next_us))
			next_us = l->begin_us;
	}
	if (w->timer)
		g_source_set_ready_time(w->timer, next_us);
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
	struct blk_line *l = &blk->waits.lines[line_of(s)];

	if (!blk->waits.throttle || s->req.op == BLOCK_FLUSH || s->req.op == BLOCK_DISCARD)
		return false;
	s->next_waiting = NULL;
	if (l->first) {
		l->last->next_waiting = s;
		l->last = s;
		return true;
	}
	l->first = l->last = s;
	throttle_run(blk);
	return true;
}

void blk_throttle_go_on(struct blk *blk)
{
	if (blk->waits.timer)
		throttle_run(blk);
}

/* Whoever was told to wait has not asked. */
static void unask(struct blk *blk)
{
	for (unsigned i = 0; i < N_THROTTLE_LINES; i++) {
		struct blk_line *l = &blk->waits.lines[i];

		if (l->asked && blk->waits.throttle)
			throttle_put_back(blk->waits.throttle, i, l->first->stat_bytes);
		l->asked = false;
	}
}

void blk_throttle_reset(struct blk *blk)
{
	unask(blk);
	for (unsigned i = 0; i < N_THROTTLE_LINES; i++) {
		struct blk_line *l = &blk->waits.lines[i];
		struct blk_slot *s;

		while ((s = l->first)) {
			l->first = s->next_waiting;
			blk_slot_put(blk, s);
		}
	}
	if (blk->waits.timer)
		g_source_set_ready_time(blk->waits.timer, -1);
}

void blk_throttle_done(struct blk *blk)
{
	if (blk->waits.timer)
		g_source_destroy(blk->waits.timer);
	g_clear_pointer(&blk->waits.timer, g_source_unref);
	g_clear_pointer(&blk->waits.throttle, throttle_unref);
}

static void timer_new(struct blk *blk)
{
	blk->waits.timer = g_source_new(&timer_funcs, sizeof(GSource));
	g_source_set_static_name(blk->waits.timer, "virtio-blk throttle");
	g_source_set_callback(blk->waits.timer, NULL, blk, NULL);
	g_source_attach(blk->waits.timer, blk->vdev.ctx);
}

void blk_set_throttle(struct virtio_device *dev, struct throttle *t)
{
	struct blk *blk = blk_of(dev);
	struct blk_waits *w = &blk->waits;

	if (t == w->throttle) {
		throttle_unref(t);
		return;
	}
	unask(blk);
	throttle_unref(w->throttle);
	w->throttle = t;
	if (t && !w->timer)
		timer_new(blk);
	blk_throttle_go_on(blk);
	blk->engine_kick = false;
	block_kick(blk->block);
}
