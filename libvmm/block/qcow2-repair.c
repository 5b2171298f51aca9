/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mending refcounts.
 *
 * Leaks: lower the counts in place.  Anything worse: a new refcount table and
 * new blocks from what check_count() found, where nothing is referred to; one
 * header write switches to them (qcow2-shadow.c).  Killed before that, the
 * image is as it was; the old blocks are not counted in the new ones, hence free.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"

int repair_leaks(struct check *c)
{
	struct qcow2 *q = c->q;
	uint64_t reach = (uint64_t)q->reft_used << q->refblock_bits;

	for (uint64_t i = 0; i < reach; i++) {
		uint64_t want = i < c->n ? c->counts[i] : 0, have;
		int r;

		if (!q->reft[i >> q->refblock_bits]) {
			i |= (1ull << q->refblock_bits) - 1;
			continue;
		}
		r = refcount_get(q, i, &have);
		if (r == 0 && have > want)
			r = refcount_set(q, i, want);
		if (r < 0)
			return r;
	}
	q->free_hint = 0;
	return cache_write(q, PAGE_REFCOUNT);
}

/* What comes after works on the new tables and the longer file. */
static int rebuild_reload(struct check *c)
{
	uint32_t *counts;

	cache_reset(c->q);
	if (!qcow2_load_tables(c->q, OPEN_CHECK, NULL))
		return -EIO;
	c->n = clusters_of(c->q, c->q->file->end);
	counts = g_try_realloc_n(c->counts, c->n, sizeof(*c->counts));
	if (!counts)
		return -ENOMEM;
	c->counts = counts;
	c->no_refcounts = false;
	c->q->free_hint = 0;
	return check_count(c);
}

int repair_rebuild(struct check *c)
{
	const struct check_opts quiet = { 0 }, *loud = c->opts;
	int r;

	c->opts = &quiet;
	c->no_refcounts = true;
	r = check_count(c);
	if (r == 0)
		r = shadow_rebuild_refcounts(c);
	if (r == 0)
		r = rebuild_reload(c);
	c->no_refcounts = false;
	c->opts = loud;
	return r;
}
