/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* L1 and L2: where the guest's bytes are, and changing one entry. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/qcow2-priv.h"

#define ENTRIES_MAX (1u << 22)	/* looked at in one go: who asks may want to stop */

static uint64_t l1_index(const struct qcow2 *q, uint64_t off)
{
	return off >> (q->cluster_bits + q->l2_bits);
}

static uint64_t l2_byte(const struct qcow2 *q, uint64_t off)
{
	return (cluster_index(q, off) & ((1ull << q->l2_bits) - 1)) * q->entry_bytes;
}

/* The L2 entry in memory; NULL when there is no L2 table. */
static int entry_at(struct qcow2 *q, uint64_t off, struct page **ret_page, uint64_t **ret)
{
	uint64_t i = l1_index(q, off), table = i < q->l1_size ? q->l1[i] & ENTRY_OFF_MASK : 0;
	uint64_t at = table + l2_byte(q, off);
	int r;

	*ret = NULL;
	if (!table)
		return 0;
	r = cache_get(q, PAGE_L2, at, ret_page);
	if (r == 0)
		*ret = (uint64_t *)((*ret_page)->data + (at & (q->cache.page_bytes - 1)));
	return r;
}

/* What no correct writer leaves behind (spec, "Standard Cluster Descriptor"). */
static int entry_check(struct qcow2 *q, const struct entry *n)
{
	uint64_t host = n->e & ENTRY_OFF_MASK;

	if (n->e & ENTRY_COMPRESSED)
		return !has_data_file(q) ?
			       0 :
			       qcow2_corrupt(q, "a compressed cluster beside an external data file",
					     host);
	if (in_cluster(q, host))
		return qcow2_corrupt(q, "an L2 entry's cluster is not aligned", host);
	if (host && !has_data_file(q) && host >= round_up(q->file->end, q->cluster_bytes))
		return qcow2_corrupt(q, "an L2 entry points behind the end of the file", host);
	if (n->e & ENTRY_ZERO && (!v3(q) || q->extended))
		return qcow2_corrupt(
			q, "an L2 entry has a zero flag that this version does not know", host);
	if (q->extended && ((n->bitmap & (n->bitmap >> 32) & 0xffffffff) ||
			    (!host && !has_data_file(q) && (n->bitmap & 0xffffffff))))
		return qcow2_corrupt(q, "an L2 entry's subclusters contradict each other", host);
	return 0;
}

int map_entry_get(struct qcow2 *q, uint64_t off, struct entry *ret)
{
	struct page *p;
	uint64_t *at;
	int r = entry_at(q, off, &p, &at);

	*ret = (struct entry){ 0 };
	if (r < 0 || !at)
		return r;
	ret->e = GUINT64_FROM_BE(at[0]);
	ret->bitmap = q->extended && !(ret->e & ENTRY_COMPRESSED) ? GUINT64_FROM_BE(at[1]) : 0;
	return ret->e || ret->bitmap ? entry_check(q, ret) : 0;
}

/* After map_l2_writable() for the same offset. */
int map_entry_set(struct qcow2 *q, uint64_t off, struct entry e)
{
	struct page *p;
	uint64_t *at;
	int r = entry_at(q, off, &p, &at);

	if (r < 0)
		return r;
	if (!at)
		return -EIO;
	at[0] = GUINT64_TO_BE(e.e);
	if (q->extended)
		at[1] = GUINT64_TO_BE(e.bitmap);
	cache_dirty(q, p);
	return 0;
}

/* ---- L2 tables of our own ---- */

static void l1_set(struct qcow2 *q, uint64_t i, uint64_t e)
{
	q->l1[i] = e;
	if (q->l1_dirty_lo == q->l1_dirty_hi)
		q->l1_dirty_lo = q->l1_dirty_hi = i;
	q->l1_dirty_lo = MIN(q->l1_dirty_lo, i);
	q->l1_dirty_hi = MAX(q->l1_dirty_hi, i + 1);
}

/* A shared table (internal snapshots) is copied; its pages are clean, for nobody may write them. */
static int l2_copy(struct qcow2 *q, uint64_t from, uint64_t to)
{
	g_autofree uint8_t *table = g_try_malloc(q->cluster_bytes);
	int r = table ? file_pread(q->file, from, table, q->cluster_bytes) : -ENOMEM;

	return r < 0 ? r : file_pwrite(q->file, to, table, q->cluster_bytes);
}

/*
 * The table stands complete in the file before L1 knows it in memory; L1 goes
 * to the disk by qcow2_sync(), after a sync of all that is below it.
 */
int map_l2_writable(struct qcow2 *q, uint64_t off)
{
	uint64_t i = l1_index(q, off), old, new_off, n;
	bool fresh;
	int r;

	if (i >= q->l1_size)
		return -EIO;
	old = q->l1[i];
	if (old & ENTRY_COPIED && old & ENTRY_OFF_MASK)
		return 0;
	r = alloc_clusters(q, 1, &new_off, &n, &fresh);
	if (r < 0)
		return r;
	old &= ENTRY_OFF_MASK;
	r = old ? l2_copy(q, old, new_off) : file_zero(q->file, new_off, q->cluster_bytes, false);
	if (r < 0) {
		alloc_undo(q, new_off, 1);
		return r;
	}
	cache_forget(q, new_off, q->cluster_bytes);
	guard_add(q, new_off, q->cluster_bytes, GUARD_L2);
	l1_set(q, i, new_off | ENTRY_COPIED);
	if (old)
		alloc_free_later(q, old, 1);
	return 0;
}

/* ---- reading ---- */

/* Spec, "Compressed Clusters Descriptor": offset, and sectors beyond the first. */
void packed_range(const struct qcow2 *q, uint64_t e, uint64_t *ret_off, uint64_t *ret_bytes)
{
	unsigned x = 62 - (q->cluster_bits - 8);
	uint64_t off = e & ((1ull << x) - 1) & (HOST_OFF_MAX - 1);
	uint64_t sectors = (e & (ENTRY_COMPRESSED - 1)) >> x;

	*ret_off = off;
	*ret_bytes = (sectors + 1) * 512 - (off & 511);
}

static enum extent_type subcluster_type(const struct entry *n, unsigned i)
{
	if (n->bitmap & (1ull << i))
		return EXTENT_DATA;
	return n->bitmap & (1ull << (i + 32)) ? EXTENT_ZERO : EXTENT_BACKING;
}

/* One granule (subcluster or cluster) from off on. */
static void granule_where(struct qcow2 *q, const struct entry *n, uint64_t off, struct extent *ret)
{
	uint64_t host = n->e & ENTRY_OFF_MASK, granule = 1ull << q->sub_bits;
	/* Spec: only in an external data file can a cluster be at 0. */
	bool placed = host || (has_data_file(q) && n->e & ENTRY_COPIED);

	*ret = (struct extent){ .layer = q->layer, .bytes = granule - (off & (granule - 1)) };
	if (n->e & ENTRY_COMPRESSED) {
		uint64_t bytes;

		ret->type = EXTENT_PACKED;
		ret->bytes = q->cluster_bytes - in_cluster(q, off);
		packed_range(q, n->e, &ret->host_off, &bytes);
		ret->packed_bytes = bytes;
		return;
	}
	if (q->extended)
		ret->type = subcluster_type(n, in_cluster(q, off) >> q->sub_bits);
	else if (n->e & ENTRY_ZERO)
		ret->type = EXTENT_ZERO;
	else
		ret->type = placed ? EXTENT_DATA : EXTENT_BACKING;
	ret->allocated = placed;
	ret->host_off = placed ? host + in_cluster(q, off) : 0;
}

static bool continues(const struct extent *a, const struct extent *next)
{
	if (a->type != next->type || a->type == EXTENT_PACKED || a->allocated != next->allocated)
		return false;
	return !a->allocated || a->host_off + a->bytes == next->host_off;
}

/* A whole L2 table that is not there needs no look at each entry. */
static uint64_t hole_bytes(const struct qcow2 *q, uint64_t off)
{
	uint64_t i = l1_index(q, off), reach = 1ull << (q->cluster_bits + q->l2_bits);

	if (i < q->l1_size && q->l1[i] & ENTRY_OFF_MASK)
		return 0;
	return reach - (off & (reach - 1));
}

int map_read(struct layer *l, uint64_t off, uint64_t bytes, struct extent *ret)
{
	struct qcow2 *q = qcow2_of(l);
	unsigned budget = ENTRIES_MAX;
	uint64_t pos = off;
	struct entry n;

	while (pos < off + bytes && budget-- > 0) {
		struct extent one = { .type = EXTENT_BACKING,
				      .layer = l,
				      .bytes = hole_bytes(q, pos) };

		if (!one.bytes) {
			int r = pos == off || !in_cluster(q, pos) ? map_entry_get(q, pos, &n) : 0;

			if (r < 0 && pos == off)
				return r;
			if (r < 0)	/* the next call, which begins there, will say it */
				break;
			granule_where(q, &n, pos, &one);
		}
		if (pos == off)
			*ret = one;
		else if (!continues(ret, &one))
			break;
		else
			ret->bytes += one.bytes;
		pos += one.bytes;
	}
	ret->bytes = MIN(ret->bytes, bytes);
	return 0;
}
