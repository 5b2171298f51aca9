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
 * So a crash leaks at worst.
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

/* ---- clusters ---- */

bool alloc_fresh(struct qcow2 *q, uint64_t cluster, uint64_t n)
{
	bool fresh = cluster >= q->fresh_from;

	q->fresh_from = MAX(q->fresh_from, cluster + n);
	return fresh;
}

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
		r = guard_check(q, first << q->cluster_bits, n << q->cluster_bits, 0);
	if (r == 0)
		r = take(q, first, n);
	if (r < 0)
		return r;
	q->free_hint = first + n;
	*ret_off = first << q->cluster_bits;
	*ret_n = n;
	*ret_fresh = alloc_fresh(q, first, n);
	return 0;
}

static void clusters_freed(struct qcow2 *q, uint64_t first, uint64_t n)
{
	uint64_t off = first << q->cluster_bits, bytes = n << q->cluster_bits;

	if (n == 0)
		return;
	q->free_hint = MIN(q->free_hint, first);
	cache_forget(q, off, bytes);
	guard_drop(q, off, bytes);
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

/* The first of n free clusters side by side; behind all refcount blocks everything is free. */
static int find_run(struct qcow2 *q, uint64_t n, uint64_t *ret)
{
	uint64_t run = 0, at;

	for (at = q->free_hint; run < n; at++) {
		uint64_t rc;
		int r = refcount_get(q, at, &rc);

		if (r < 0)
			return r;
		run = rc ? 0 : run + 1;
	}
	*ret = at - n;
	return at >= HOST_OFF_MAX >> q->cluster_bits ? -EFBIG : 0;
}

int alloc_run(struct qcow2 *q, uint64_t n, uint64_t *ret_off)
{
	uint64_t blocks = 2 * (n >> q->refblock_bits) + 2, first;
	int r;

	if (q->corrupt)
		return -EIO;
	do {
		r = find_run(q, n + blocks, &first);
		if (r == 0)
			r = refcount_room_run(q, &first, n + blocks);
	} while (r > 0);
	if (r == 0)
		r = guard_check(q, first << q->cluster_bits, n << q->cluster_bits, 0);
	if (r == 0)
		r = take(q, first, n);
	if (r < 0)
		return r;
	alloc_fresh(q, first, n);
	*ret_off = first << q->cluster_bits;
	return 0;
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
