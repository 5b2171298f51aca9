/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Room for refcounts: new blocks, and a longer table.
 *
 * A new block, and a new table, is on the disk before the pointer to it.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"

void alloc_reft_used(struct qcow2 *q)
{
	q->reft_used = q->reft_size;
	while (q->reft_used > 0 && !q->reft[q->reft_used - 1])
		q->reft_used--;
}

static int reft_entry_write(struct qcow2 *q, uint64_t ti)
{
	uint64_t be = GUINT64_TO_BE(q->reft[ti]), at = q->h.reft_off + ti * 8;
	int r = guard_check(q, at, 8, GUARD_REFT);

	return r < 0 ? r : file_pwrite(q->file, at, &be, 8);
}

/* The block of table entry ti goes to `cluster`, which is free and counted by it or by another. */
static int refblock_add(struct qcow2 *q, uint64_t ti, uint64_t cluster)
{
	uint64_t off = cluster << q->cluster_bits;
	int r = guard_check(q, off, q->cluster_bytes, 0);

	if (r == 0)
		r = file_zero(q->file, off, q->cluster_bytes, false);
	if (r < 0)
		return r;
	alloc_fresh(q, cluster, 1);
	cache_forget(q, off, q->cluster_bytes);
	q->reft[ti] = off;
	guard_add(q, off, q->cluster_bytes, GUARD_REFBLOCK);
	r = refcount_set(q, cluster, 1);
	if (r == 0)
		r = cache_write(q, PAGE_REFCOUNT);
	if (r == 0)
		r = file_sync(q->file);
	if (r == 0)
		r = reft_entry_write(q, ti);
	if (r < 0) {
		cache_forget(q, off, q->cluster_bytes);
		guard_drop(q, off, q->cluster_bytes);
		q->reft[ti] = 0;
		return r;
	}
	q->reft_used = MAX(q->reft_used, ti + 1);
	return 0;
}

/*
 * The new table and the blocks that count it stand together where the old
 * table's reach ends: all of that is free by definition.
 */
struct reft_plan {
	uint64_t first, blocks, table_clusters, entries;
};

static int reft_plan_make(const struct qcow2 *q, uint64_t need, struct reft_plan *p)
{
	uint64_t per_block = 1ull << q->refblock_bits, entries = need + need / 2 + 1;

	p->first = MAX((uint64_t)q->reft_size << q->refblock_bits, q->fresh_from);
	p->first = round_up(p->first, per_block);
	p->blocks = 1;
	for (unsigned budget = 64; budget > 0; budget--) {
		uint64_t blocks, total;

		entries = MAX(entries, (p->first >> q->refblock_bits) + p->blocks);
		p->table_clusters = clusters_of(q, entries * 8);
		p->entries = p->table_clusters * q->cluster_bytes / 8;
		total = p->blocks + p->table_clusters;
		blocks = (total + per_block - 1) >> q->refblock_bits;
		if (p->table_clusters * q->cluster_bytes > QCOW2_REFT_BYTES_MAX)
			return -EFBIG;
		if (blocks <= p->blocks)
			return 0;
		p->blocks = blocks;
	}
	return -EFBIG;
}

/* The blocks of the new area: everything in it counts 1. */
static int reft_write_blocks(struct qcow2 *q, const struct reft_plan *p)
{
	g_autofree uint8_t *data = g_try_malloc(q->cluster_bytes);
	uint64_t per_block = 1ull << q->refblock_bits, total = p->blocks + p->table_clusters;

	if (!data)
		return -ENOMEM;
	for (uint64_t b = 0; b < p->blocks; b++) {
		int r;

		memset(data, 0, q->cluster_bytes);
		for (uint64_t i = 0; i < per_block && b * per_block + i < total; i++)
			refcount_encode(q->h.refcount_order, data, i, 1);
		r = file_pwrite(q->file, (p->first + b) << q->cluster_bits, data, q->cluster_bytes);
		if (r < 0)
			return r;
	}
	return 0;
}

static int reft_write_table(struct qcow2 *q, const struct reft_plan *p, const uint64_t *table)
{
	g_autofree uint64_t *be = g_try_new(uint64_t, p->entries);

	if (!be)
		return -ENOMEM;
	for (uint64_t i = 0; i < p->entries; i++)
		be[i] = GUINT64_TO_BE(table[i]);
	return file_pwrite(q->file, (p->first + p->blocks) << q->cluster_bits, be, p->entries * 8);
}

/* Offset and length stand side by side in one sector: one write changes both. */
static int reft_switch(struct qcow2 *q, const struct reft_plan *p)
{
	struct {
		uint64_t off;
		uint32_t clusters;
	} __attribute__((packed)) be = {
		GUINT64_TO_BE((p->first + p->blocks) << q->cluster_bits),
		GUINT32_TO_BE(p->table_clusters),
	};
	int r = file_sync(q->file);

	if (r == 0)
		r = header_write_field(q, offsetof(struct qcow2_header, reft_off), &be, sizeof(be));
	return r < 0 ? r : file_sync(q->file);
}

static int reft_grow(struct qcow2 *q, uint64_t need)
{
	g_autofree uint64_t *table = NULL;
	uint64_t old_off = q->h.reft_off, old_clusters = q->h.reft_clusters;
	struct reft_plan p = { 0 };
	int r = reft_plan_make(q, need, &p);

	if (r == 0 && (p.first + p.blocks + p.table_clusters) << q->cluster_bits >= HOST_OFF_MAX)
		r = -EFBIG;
	if (r < 0)
		return r;
	table = g_try_new0(uint64_t, p.entries);
	if (!table)
		return -ENOMEM;
	memcpy(table, q->reft, q->reft_size * 8ull);
	for (uint64_t b = 0; b < p.blocks; b++)
		table[(p.first >> q->refblock_bits) + b] = (p.first + b) << q->cluster_bits;
	r = guard_check(q, p.first << q->cluster_bits,
			(p.blocks + p.table_clusters) << q->cluster_bits, 0);
	if (r == 0)
		r = cache_write(q, PAGE_REFCOUNT);
	if (r == 0)
		r = reft_write_blocks(q, &p);
	if (r == 0)
		r = reft_write_table(q, &p, table);
	if (r == 0)
		r = reft_switch(q, &p);
	if (r < 0)
		return r;
	alloc_fresh(q, p.first, p.blocks + p.table_clusters);
	g_free(q->reft);
	q->reft = g_steal_pointer(&table);
	q->reft_size = p.entries;
	q->h.reft_off = (p.first + p.blocks) << q->cluster_bits;
	q->h.reft_clusters = p.table_clusters;
	alloc_reft_used(q);
	guard_add(q, p.first << q->cluster_bits, p.blocks << q->cluster_bits, GUARD_REFBLOCK);
	guard_add(q, q->h.reft_off, p.table_clusters << q->cluster_bits, GUARD_REFT);
	return alloc_undo(q, old_off, old_clusters);
}

int refcount_room(struct qcow2 *q, uint64_t cluster)
{
	uint64_t ti = cluster >> q->refblock_bits;
	int r;

	if (ti >= q->reft_size)
		r = reft_grow(q, ti + 1);
	else if (!q->reft[ti])
		r = refblock_add(q, ti, cluster);
	else
		return 0;
	return r < 0 ? r : 1;
}

int refcount_room_run(struct qcow2 *q, uint64_t *first, uint64_t n)
{
	uint64_t last = (*first + n - 1) >> q->refblock_bits;
	int r = 0;

	if (last >= q->reft_size) {
		r = reft_grow(q, last + 1);
		return r < 0 ? r : 1;
	}
	for (uint64_t ti = *first >> q->refblock_bits; ti <= last && r == 0; ti++)
		if (!q->reft[ti])
			r = refblock_add(q, ti, (*first)++);
	return r;
}
