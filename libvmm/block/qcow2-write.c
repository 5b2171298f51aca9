/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a write goes, and what the map says afterwards.
 *
 * map_write() allocates and decides; map_link() runs after the data is in the
 * file and only then changes L2 entries (in memory; qcow2_sync() orders them on
 * the disk).  A crash in between leaks clusters; the other order would show
 * the guest somebody's old bytes.
 *
 * A granule is what can be written alone: a cluster, or with extended L2
 * entries a subcluster.
 */
#include "config.h"

#include <errno.h>

#include "libvmm/block/qcow2-priv.h"

/* Its cluster is ours alone and may be written in place. */
static bool is_ours(const struct entry *n)
{
	return (n->e & ENTRY_COPIED) && !(n->e & ENTRY_COMPRESSED) && (n->e & ENTRY_OFF_MASK);
}

static uint64_t sub_bit(const struct qcow2 *q, uint64_t off)
{
	return 1ull << (in_cluster(q, off) >> q->sub_bits);
}

/* The data at off is there and ours: no change of the map for writing it. */
static bool in_place(const struct qcow2 *q, const struct entry *n, uint64_t off)
{
	if (!is_ours(n))
		return false;
	return q->extended ? n->bitmap & sub_bit(q, off) : !(n->e & ENTRY_ZERO);
}

/* Overwriting part of it needs the rest of the cluster copied, not only of the granule. */
static bool needs_whole(const struct qcow2 *q, const struct entry *n)
{
	if (!q->extended || n->e & ENTRY_COMPRESSED)
		return true;
	return !is_ours(n) && (n->bitmap & 0xffffffff);
}

static int plan_in_place(struct qcow2 *q, uint64_t off, uint64_t bytes, const struct entry *first,
			 struct plan *ret)
{
	uint64_t granule = 1ull << q->sub_bits, pos = round_down(off, granule) + granule;
	uint64_t host = (first->e & ENTRY_OFF_MASK) + in_cluster(q, off);
	struct entry n = *first;

	for (; pos < off + bytes; pos += granule) {
		int r = in_cluster(q, pos) ? 0 : map_entry_get(q, pos, &n);

		if (r < 0)
			return r;
		if (!in_place(q, &n, pos) ||
		    (n.e & ENTRY_OFF_MASK) + in_cluster(q, pos) != host + (pos - off))
			break;
	}
	*ret = (struct plan){ .off = off, .bytes = MIN(bytes, pos - off), .host_off = host };
	return guard_check(q, host, ret->bytes, 0);
}

/* Within one cluster that is ours, granules that the map does not show yet. */
static int plan_granules(struct qcow2 *q, uint64_t off, uint64_t bytes, const struct entry *n,
			 struct plan *ret)
{
	uint64_t granule = 1ull << q->sub_bits, end;
	uint64_t host = n->e & ENTRY_OFF_MASK;

	bytes = MIN(bytes, q->cluster_bytes - in_cluster(q, off));
	end = off + bytes;
	*ret = (struct plan){
		.off = off, .bytes = bytes, .host_off = host + in_cluster(q, off), .link = true,
		.head = off & (granule - 1), .tail = round_up(end, granule) - end,
	};
	/* Where the map already shows this cluster's bytes, there is nothing to fill. */
	if (in_place(q, n, off))
		ret->head = 0;
	if (in_place(q, n, end - 1))
		ret->tail = 0;
	return guard_check(q, host, q->cluster_bytes, 0);
}

/* How many clusters from off on need a new place, all of the first one's kind. */
static int count_new(struct qcow2 *q, uint64_t off, uint64_t bytes, bool whole, uint64_t *ret)
{
	uint64_t n = 1, pos = round_down(off, q->cluster_bytes) + q->cluster_bytes;

	for (; pos < off + bytes; pos += q->cluster_bytes, n++) {
		struct entry e;
		int r = map_entry_get(q, pos, &e);

		if (r < 0)
			return r;
		if (is_ours(&e) || needs_whole(q, &e) != whole)
			break;
	}
	*ret = n;
	return 0;
}

static int plan_new(struct qcow2 *q, uint64_t off, uint64_t bytes, const struct entry *first,
		    struct plan *ret)
{
	bool whole = needs_whole(q, first), fresh;
	uint64_t unit = whole ? q->cluster_bytes : 1ull << q->sub_bits;
	uint64_t want, got, host, end;
	int r = count_new(q, off, bytes, whole, &want);

	for (uint64_t i = 0; i < want && r == 0; i++)
		r = map_l2_writable(q, off + (i << q->cluster_bits));
	if (r == 0)
		r = alloc_clusters(q, want, &host, &got, &fresh);
	if (r < 0)
		return r;
	bytes = MIN(bytes, (got << q->cluster_bits) - in_cluster(q, off));
	end = off + bytes;
	*ret = (struct plan){
		.off = off, .bytes = bytes, .host_off = host + in_cluster(q, off),
		.head = off & (unit - 1), .tail = round_up(end, unit) - end,
		.link = true, .fresh = fresh, .new_clusters = true,
	};
	return 0;
}

int map_write(struct layer *l, uint64_t off, uint64_t bytes, struct plan *ret)
{
	struct qcow2 *q = qcow2_of(l);
	struct entry n;
	int r = q->corrupt ? -EIO : bitmaps_stale(q);

	if (r == 0)
		r = map_entry_get(q, off, &n);
	if (r < 0)
		return r;
	if (in_place(q, &n, off)) {
		r = plan_in_place(q, off, bytes, &n, ret);
	} else if (is_ours(&n)) {
		r = map_l2_writable(q, off);
		if (r == 0)
			r = plan_granules(q, off, bytes, &n, ret);
	} else {
		r = plan_new(q, off, bytes, &n, ret);
	}
	return r;
}

/* ---- linking ---- */

static void entry_free(struct qcow2 *q, const struct entry *n)
{
	uint64_t off = n->e & ENTRY_OFF_MASK, bytes;

	if (n->e & ENTRY_COMPRESSED) {
		packed_range(q, n->e, &off, &bytes);
		alloc_free_later(q, round_down(off, q->cluster_bytes),
				 clusters_of(q, in_cluster(q, off) + bytes));
	} else if (off) {
		alloc_free_later(q, off, 1);
	}
}

/* Granules [from, to) of the cluster at off now hold data. */
static uint64_t bitmap_with_data(const struct qcow2 *q, uint64_t bitmap, uint64_t from, uint64_t to)
{
	unsigned lo = from >> q->sub_bits, hi = to >> q->sub_bits;
	uint64_t set = ((1ull << (hi - lo)) - 1) << lo;

	return (bitmap | set) & ~(set << 32);
}

static int link_one(struct qcow2 *q, uint64_t cluster_off, uint64_t host, uint64_t from,
		    uint64_t to)
{
	struct entry old, new = { .e = host | ENTRY_COPIED };
	int r = map_entry_get(q, cluster_off, &old);

	if (r < 0)
		return r;
	if (q->extended)
		new.bitmap = bitmap_with_data(q, needs_whole(q, &old) ? 0 : old.bitmap, from, to);
	r = map_entry_set(q, cluster_off, new);
	if (r == 0 && (old.e & ENTRY_COMPRESSED || (old.e & ENTRY_OFF_MASK) != host))
		entry_free(q, &old);
	return r;
}

/*
 * When reading an L2 page fails half way, the clusters before that are linked
 * and stay so; the rest is leaked by not being freed, which is the safe side.
 */
int map_link(struct layer *l, const struct plan *plan)
{
	struct qcow2 *q = qcow2_of(l);
	uint64_t from = plan->off - plan->head, end = plan->off + plan->bytes + plan->tail;
	uint64_t host = plan->host_off - plan->head;

	while (from < end) {
		uint64_t in = in_cluster(q, from), n = MIN(end - from, q->cluster_bytes - in);
		int r = map_l2_writable(q, from);

		if (r == 0)
			r = link_one(q, from - in, host - in, in,
				     round_up(in + n, 1ull << q->sub_bits));
		if (r < 0)
			return r;
		from += n;
		host += n;
	}
	return 0;
}

void map_abandon(struct layer *l, const struct plan *plan)
{
	struct qcow2 *q = qcow2_of(l);
	uint64_t host = plan->host_off - plan->head;
	uint64_t bytes = plan->head + plan->bytes + plan->tail;
	uint64_t first = round_down(host, q->cluster_bytes);
	struct entry n;

	if (!plan->new_clusters)
		return;
	/* A link that failed half way: keep (leak) what the map may show by now. */
	if (map_entry_get(q, plan->off, &n) < 0 ||
	    (!(n.e & ENTRY_COMPRESSED) && (n.e & ENTRY_OFF_MASK) == first))
		return;
	alloc_undo(q, first, clusters_of(q, host - first + bytes));
}

/* ---- zeroes ---- */

/* The granule bits of [from, to) within a cluster read as zeroes and hold nothing. */
static struct entry with_zero_granules(const struct qcow2 *q, struct entry n, uint64_t from,
				       uint64_t to)
{
	unsigned lo = from >> q->sub_bits, hi = to >> q->sub_bits;
	uint64_t set = ((1ull << (hi - lo)) - 1) << lo;

	n.bitmap = (n.bitmap & ~set) | set << 32;
	return n;
}

/* A cluster's entry without any place; reads as zeroes. */
static struct entry nowhere(const struct qcow2 *q)
{
	if (q->extended)
		return (struct entry){ .bitmap = 0xffffffffull << 32 };
	return (struct entry){ .e = q->has_backing ? ENTRY_ZERO : 0 };
}

static int zero_whole(struct qcow2 *q, uint64_t off, enum zero_how how)
{
	struct entry old, new = nowhere(q);
	bool keep;
	int r = map_entry_get(q, off, &old);

	if (r < 0)
		return r;
	if (!v3(q) && q->has_backing)
		return -ENOTSUP;
	if (old.e == 0 && old.bitmap == 0 && !q->has_backing)
		return 0;
	keep = how == ZERO_KEEP && is_ours(&old) && v3(q);
	if (keep && q->extended)
		new.e = old.e;
	else if (keep)
		new.e = (old.e & ENTRY_OFF_MASK) | ENTRY_COPIED | ENTRY_ZERO;
	if (new.e == old.e && new.bitmap == old.bitmap)
		return 0;
	r = map_l2_writable(q, off);
	if (r == 0)
		r = map_entry_set(q, off, new);
	if (r == 0 && !keep)
		entry_free(q, &old);
	return r;
}

static int zero_granules(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	uint64_t in = in_cluster(q, off);
	struct entry n;
	int r = map_entry_get(q, off, &n);

	if (r < 0)
		return r;
	if (n.e & ENTRY_COMPRESSED)
		return -ENOTSUP;
	r = map_l2_writable(q, off);
	if (r < 0)
		return r;
	n = with_zero_granules(q, n, in, round_up(in + bytes, 1ull << q->sub_bits));
	return map_entry_set(q, off - in, n);
}

/* Without an L2 table and with nothing below there is nothing to do. */
static uint64_t skip_bytes(const struct qcow2 *q, uint64_t off)
{
	unsigned bits = q->cluster_bits + q->l2_bits;

	if (q->has_backing || (off >> bits) >= q->l1_size || q->l1[off >> bits] & ENTRY_OFF_MASK)
		return 0;
	return (1ull << bits) - (off & ((1ull << bits) - 1));
}

int map_zero(struct layer *l, uint64_t off, uint64_t bytes, enum zero_how how)
{
	struct qcow2 *q = qcow2_of(l);
	uint64_t end = off + bytes;
	int r = q->corrupt ? -EIO : bitmaps_stale(q);

	if (r < 0)
		return r;
	while (off < end) {
		uint64_t n = MIN(end - off, q->cluster_bytes - in_cluster(q, off));
		uint64_t skip = skip_bytes(q, off);
		bool whole = !in_cluster(q, off) && (n == q->cluster_bytes || off + n >= q->bytes);

		if (skip)
			n = MIN(skip, end - off);
		else
			r = whole ? zero_whole(q, off, how) : zero_granules(q, off, n);
		if (r < 0)
			return r;
		off += n;
	}
	return 0;
}

int map_forget(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	uint64_t end = off + bytes;
	int stale = bitmaps_stale(q);

	if (stale < 0)
		return stale;
	for (off = round_down(off, q->cluster_bytes); off < end; off += q->cluster_bytes) {
		struct entry old, none = { 0 };
		int r = map_entry_get(q, off, &old);

		if (r == 0 && (old.e || old.bitmap)) {
			r = map_l2_writable(q, off);
			if (r == 0)
				r = map_entry_set(q, off, none);
			if (r == 0)
				entry_free(q, &old);
		}
		if (r < 0)
			return r;
	}
	return 0;
}
