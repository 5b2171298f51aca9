/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Mending refcounts.
 *
 * Leaks: lower the counts in place.  Anything worse: a new refcount table and
 * new blocks from what check_count() found, behind the end of all that is used;
 * one header write switches to them.  Killed before that, the image is as it
 * was; the old blocks are not counted in the new ones, hence free.
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

struct rebuild {
	/* first: cluster of the new blocks, then the table */
	uint64_t blocks, table_clusters, first;
	uint64_t *table;
};

/* Blocks are needed where something is counted, and for the blocks and table themselves. */
static int rebuild_plan(struct check *c, struct rebuild *b)
{
	struct qcow2 *q = c->q;
	uint64_t total = c->n;

	b->first = c->n;
	for (unsigned budget = 64; budget > 0; budget--) {
		uint64_t blocks = (total + (1ull << q->refblock_bits) - 1) >> q->refblock_bits;
		uint64_t clusters = clusters_of(q, blocks * 8);

		if (clusters << q->cluster_bits > QCOW2_REFT_BYTES_MAX)
			return -EFBIG;
		if (c->n + blocks + clusters <= total) {
			b->blocks = blocks;
			b->table_clusters = clusters;
			return 0;
		}
		total = c->n + blocks + clusters;
	}
	return -EFBIG;
}

static uint64_t rebuilt_count(const struct check *c, const struct rebuild *b, uint64_t cluster)
{
	if (cluster < c->n)
		return c->counts[cluster];
	return cluster < b->first + b->blocks + b->table_clusters;
}

static int rebuild_blocks(struct check *c, struct rebuild *b)
{
	struct qcow2 *q = c->q;
	g_autofree uint8_t *data = g_try_malloc(q->cluster_bytes);
	uint64_t per_block = 1ull << q->refblock_bits;
	uint64_t max =
		q->h.refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->h.refcount_order)) - 1;

	if (!data)
		return -ENOMEM;
	for (uint64_t k = 0; k < b->blocks; k++) {
		uint64_t off = (b->first + k) << q->cluster_bits;
		int r;

		memset(data, 0, q->cluster_bytes);
		for (uint64_t i = 0; i < per_block; i++) {
			uint64_t count = rebuilt_count(c, b, k * per_block + i);

			if (count > max)
				return -ERANGE;
			refcount_encode(q->h.refcount_order, data, i, count);
		}
		r = file_pwrite(q->file, off, data, q->cluster_bytes);
		if (r < 0)
			return r;
		b->table[k] = GUINT64_TO_BE(off);
	}
	return 0;
}

static int rebuild_switch(struct check *c, const struct rebuild *b)
{
	struct qcow2 *q = c->q;
	uint64_t off = (b->first + b->blocks) << q->cluster_bits;
	struct {
		uint64_t off;
		uint32_t clusters;
	} __attribute__((packed)) be = { GUINT64_TO_BE(off), GUINT32_TO_BE(b->table_clusters) };
	int r = file_pwrite(q->file, off, b->table, b->table_clusters << q->cluster_bits);

	if (r == 0)
		r = file_sync(q->file);
	if (r == 0)
		r = header_write_field(q, offsetof(struct qcow2_header, reft_off), &be, sizeof(be));
	if (r == 0)
		r = file_sync(q->file);
	if (r == 0) {
		q->h.reft_off = off;
		q->h.reft_clusters = b->table_clusters;
	}
	return r;
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
	struct rebuild b = { 0 };
	int r;

	c->opts = &quiet;
	c->no_refcounts = true;
	r = check_count(c);
	if (r == 0)
		r = rebuild_plan(c, &b);
	if (r == 0) {
		b.table = g_try_malloc0(b.table_clusters << c->q->cluster_bits);
		r = b.table ? rebuild_blocks(c, &b) : -ENOMEM;
	}
	if (r == 0)
		r = rebuild_switch(c, &b);
	g_free(b.table);
	if (r == 0)
		r = rebuild_reload(c);
	c->no_refcounts = false;
	c->opts = loud;
	return r;
}
