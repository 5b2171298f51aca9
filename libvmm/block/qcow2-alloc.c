/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Refcounts: find free clusters, take them, give them back.
 *
 * On the disk a refcount is never lower than the number of references:
 * - up: in memory at allocation, on the disk (qcow2_sync) before the L2 entry;
 * - down: a cluster that the map gives up goes freed -> (L2 and L1 on the disk)
 *   -> freed_durable -> (readers in flight have ended) -> refcount down, may be
 *   used again.  Used earlier, a crash would leave the old entry on somebody's
 *   new data.
 * A new refcount block, and a new refcount table, is on the disk before the
 * pointer to it.  So a crash leaks at worst.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"

/* ---- one refcount; spec, "Refcount block entry": big endian, small ones from bit 0 on ---- */

static uint64_t refcount_decode(unsigned order, const uint8_t *data, uint64_t i)
{
	unsigned bits = 1u << order;
	uint64_t v = 0;

	if (order < 3)
		return data[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
	for (unsigned n = 0; n < bits / 8; n++)
		v = v << 8 | data[i * (bits / 8) + n];
	return v;
}

void refcount_encode(unsigned order, uint8_t *data, uint64_t i, uint64_t value)
{
	unsigned bits = 1u << order, shift = i * bits % 8;
	uint8_t *at = &data[i * bits / 8];

	if (order < 3) {
		uint8_t mask = ((1u << bits) - 1) << shift;

		*at = (*at & ~mask) | (value << shift & mask);
		return;
	}
	for (unsigned n = bits / 8; n-- > 0; value >>= 8)
		at[n] = value;
}

static uint64_t refcount_max(const struct qcow2 *q)
{
	return q->h.refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->h.refcount_order)) - 1;
}

/* The page with the cluster's refcount, NULL if there is no block for it; index within the page. */
static int refcount_page(struct qcow2 *q, uint64_t cluster, struct page **ret, uint64_t *ret_i)
{
	uint64_t ti = cluster >> q->refblock_bits, bi, byte, per_page;
	unsigned bits = 1u << q->h.refcount_order;

	*ret = NULL;
	if (ti >= q->reft_size || !q->reft[ti])
		return 0;
	bi = cluster & ((1ull << q->refblock_bits) - 1);
	byte = bi * bits / 8;
	per_page = (uint64_t)q->cache.page_bytes * 8 / bits;
	*ret_i = bi & (per_page - 1);
	return cache_get(q, PAGE_REFCOUNT, q->reft[ti] + byte, ret);
}

int refcount_get(struct qcow2 *q, uint64_t cluster, uint64_t *ret)
{
	struct page *p;
	uint64_t i;
	int r = refcount_page(q, cluster, &p, &i);

	if (r < 0)
		return r;
	*ret = p ? refcount_decode(q->h.refcount_order, p->data, i) : 0;
	return 0;
}

int refcount_set(struct qcow2 *q, uint64_t cluster, uint64_t value)
{
	struct page *p;
	uint64_t i;
	int r = refcount_page(q, cluster, &p, &i);

	if (r < 0)
		return r;
	if (!p || value > refcount_max(q))
		return -ERANGE;
	refcount_encode(q->h.refcount_order, p->data, i, value);
	cache_dirty(q, p);
	return 0;
}

void alloc_reft_used(struct qcow2 *q)
{
	q->reft_used = q->reft_size;
	while (q->reft_used > 0 && !q->reft[q->reft_used - 1])
		q->reft_used--;
}

/* ---- room for refcounts ---- */

static bool cluster_is_fresh(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
	bool fresh = cluster >= q->fresh_from;

	q->fresh_from = MAX(q->fresh_from, cluster + n);
	return fresh;
}

static int reft_entry_write(struct qcow2 *q, uint64_t ti)
{
	uint64_t be = GUINT64_TO_BE(q->reft[ti]);

	return file_pwrite(q->file, q->h.reft_off + ti * 8, &be, 8);
}

static int guard_new(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	const char *hit = guard_metadata(q, off, bytes);

	return hit ? qcow2_corrupt(q, hit, off) : 0;
}

/* A block for the refcounts around `cluster`, which is free: the block goes right there. */
static int refblock_add(struct qcow2 *q, uint64_t cluster)
{
	uint64_t ti = cluster >> q->refblock_bits, off = cluster << q->cluster_bits;
	int r = guard_new(q, off, q->cluster_bytes);

	if (r == 0)
		r = file_zero(q->file, off, q->cluster_bytes, false);
	if (r < 0)
		return r;
	cluster_is_fresh(q, cluster, 1);
	cache_forget(q, off, q->cluster_bytes);
	q->reft[ti] = off;
	r = refcount_set(q, cluster, 1);
	if (r == 0)
		r = cache_write(q, PAGE_REFCOUNT);
	if (r == 0)
		r = file_sync(q->file);
	if (r == 0)
		r = reft_entry_write(q, ti);
	if (r < 0) {
		cache_forget(q, off, q->cluster_bytes);
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
	r = cache_write(q, PAGE_REFCOUNT);
	if (r == 0)
		r = reft_write_blocks(q, &p);
	if (r == 0)
		r = reft_write_table(q, &p, table);
	if (r == 0)
		r = reft_switch(q, &p);
	if (r < 0)
		return r;
	cluster_is_fresh(q, p.first, p.blocks + p.table_clusters);
	g_free(q->reft);
	q->reft = g_steal_pointer(&table);
	q->reft_size = p.entries;
	q->h.reft_off = (p.first + p.blocks) << q->cluster_bits;
	q->h.reft_clusters = p.table_clusters;
	alloc_reft_used(q);
	return alloc_undo(q, old_off, old_clusters);
}

/* 0: the cluster's refcount can be set.  1: room was made, look for a free cluster again. */
static int refcount_room(struct qcow2 *q, uint64_t cluster)
{
	uint64_t ti = cluster >> q->refblock_bits;
	int r;

	if (ti >= q->reft_size)
		r = reft_grow(q, ti + 1);
	else if (!q->reft[ti])
		r = refblock_add(q, cluster);
	else
		return 0;
	return r < 0 ? r : 1;
}

/* ---- clusters ---- */

static int next_free(struct qcow2 *q, uint64_t *cluster)
{
	for (;; (*cluster)++) {
		uint64_t rc;
		int r = refcount_get(q, *cluster, &rc);

		if (r < 0 || rc == 0)
			return r;
	}
}

/* How many from first on (which is free) are free, within first's refcount block. */
static int run_of_free(struct qcow2 *q, uint64_t first, uint64_t want, uint64_t *ret)
{
	uint64_t per_block = 1ull << q->refblock_bits, n = 1;

	want = MIN(want, per_block - (first & (per_block - 1)));
	for (; n < want; n++) {
		uint64_t rc;
		int r = refcount_get(q, first + n, &rc);

		if (r < 0)
			return r;
		if (rc)
			break;
	}
	*ret = n;
	return 0;
}

static int take(struct qcow2 *q, uint64_t first, uint64_t n)
{
	for (uint64_t i = 0; i < n; i++) {
		int r = refcount_set(q, first + i, 1);

		if (r < 0) {
			alloc_undo(q, first << q->cluster_bits, i);
			return r;
		}
	}
	return 0;
}

int alloc_clusters(struct qcow2 *q, uint64_t want, uint64_t *ret_off, uint64_t *ret_n,
		   bool *ret_fresh)
{
	uint64_t first, n = 1;
	int r;

	if (q->corrupt)
		return -EIO;
	do {
		first = q->free_hint;
		r = next_free(q, &first);
		if (r < 0)
			return r;
		q->free_hint = first;
		if (first >= HOST_OFF_MAX >> q->cluster_bits)
			return -EFBIG;
		r = refcount_room(q, first);
	} while (r > 0);
	if (r == 0)
		r = run_of_free(q, first, want, &n);
	if (r == 0)
		r = guard_new(q, first << q->cluster_bits, n << q->cluster_bits);
	if (r == 0)
		r = take(q, first, n);
	if (r < 0)
		return r;
	q->free_hint = first + n;
	*ret_off = first << q->cluster_bits;
	*ret_n = n;
	*ret_fresh = cluster_is_fresh(q, first, n);
	return 0;
}

static void clusters_freed(struct qcow2 *q, uint64_t first, uint64_t n)
{
	uint64_t off = first << q->cluster_bits, bytes = n << q->cluster_bits;

	if (n == 0)
		return;
	q->free_hint = MIN(q->free_hint, first);
	cache_forget(q, off, bytes);
	if (q->unpacked_off && cluster_index(q, q->unpacked_off) < first + n)
		q->unpacked_off = 0;
	if (q->layer->discard && off < q->file->end)
		/* only saves space: may fail */
		file_punch(q->file, off, MIN(bytes, q->file->end - off));
}

int alloc_undo(struct qcow2 *q, uint64_t off, uint64_t n)
{
	uint64_t first = cluster_index(q, off), i, freed = 0;	/* freed: just before i */
	int r = 0;

	for (i = 0; i < n; i++) {
		uint64_t rc;

		r = refcount_get(q, first + i, &rc);
		if (r == 0 && rc == 0)
			r = qcow2_corrupt(q, "a cluster in use has refcount 0",
					  off + (i << q->cluster_bits));
		if (r == 0)
			r = refcount_set(q, first + i, rc - 1);
		if (r < 0)
			break;
		if (rc == 1) {
			freed++;
			continue;
		}
		clusters_freed(q, first + i - freed, freed);
		freed = 0;
	}
	clusters_freed(q, first + i - freed, freed);
	return r;
}

/* Where free space is scattered, runs that are too short are kept aside while looking on. */
int alloc_run(struct qcow2 *q, uint64_t n, uint64_t *ret_off)
{
	g_autoptr(GArray) aside = g_array_new(FALSE, FALSE, sizeof(struct freed));
	uint64_t per_block = 1ull << q->refblock_bits, got = 0;
	bool fresh;
	int r = 0;

	while (r == 0 && got < n) {
		struct freed f = { 0 };

		r = alloc_clusters(q, n, &f.off, &f.n, &fresh);
		/* A run ends where its refcount block ends: a long one may go on right there. */
		if (r == 0 && got && *ret_off + (got << q->cluster_bits) == f.off) {
			got += MIN(f.n, n - got);
		} else if (r == 0) {
			*ret_off = f.off;
			got = f.n;
		}
		if (r == 0)
			g_array_append_val(aside, f);
		if (aside->len > 1000000 + n / per_block)
			r = -ENOSPC;
	}
	for (guint i = 0; i < aside->len; i++) {
		struct freed *f = &g_array_index(aside, struct freed, i);
		uint64_t end = *ret_off + (got << q->cluster_bits);

		for (uint64_t k = 0; k < f->n; k++) {
			uint64_t off = f->off + (k << q->cluster_bits);

			if (r < 0 || off < *ret_off || off >= end)
				alloc_undo(q, off, 1);
		}
	}
	return r;
}

void alloc_free_later(struct qcow2 *q, uint64_t off, uint64_t n)
{
	struct freed *last, f = { off, n };

	if (q->freed->len > 0) {
		last = &g_array_index(q->freed, struct freed, q->freed->len - 1);
		if (last->off + (last->n << q->cluster_bits) == off) {
			last->n += n;
			return;
		}
	}
	g_array_append_val(q->freed, f);
}

void alloc_frees_durable(struct qcow2 *q)
{
	g_array_append_vals(q->freed_durable, q->freed->data, q->freed->len);
	g_array_set_size(q->freed, 0);
}

void alloc_quiesce(struct layer *l, bool begin)
{
	struct qcow2 *q = qcow2_of(l);
	GArray *a = q->freed_grace;

	if (begin) {
		q->freed_grace = q->freed_durable;
		q->freed_durable = a;
		return;
	}
	for (guint i = 0; i < a->len; i++) {
		const struct freed *f = &g_array_index(a, struct freed, i);

		alloc_undo(q, f->off, f->n);	/* what fails is leaked, no more */
	}
	g_array_set_size(a, 0);
}
