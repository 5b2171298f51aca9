/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last check before a write: what is overwritten is what is meant to be,
 * whatever the refcounts and tables of a damaged (or hostile) image say.
 *
 * A table of all clusters that hold metadata, and of which kind, is made when
 * the image is opened for writing and kept up to date by those who place and
 * free metadata.  Data and whatever is new may hit none of them; a write of
 * metadata may hit its own kind alone.  On a hit the image is marked corrupt
 * and nothing is written any more.  The peers' worst bugs were silent
 * overwrites of L2 tables, found days later.
 */
#include "config.h"

#include <errno.h>

#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

#define SNAPSHOT_TABLES_MAX (4u << 20) /* entries of all snapshots' L1 that are looked at */

static const char *kind_name(unsigned kinds)
{
	static const char *const names[] = {
		"the header",
		"the active L1 table",
		"an active L2 table",
		"the refcount table",
		"a refcount block",
		"the snapshot table",
		"a snapshot's L1 table",
		"a snapshot's L2 table",
		"the bitmap directory",
		"a bitmap table",
		"a bitmap",
	};

	static_assert(1u << (ARRAY_SIZE(names) - 1) == GUARD_BITMAP);
	return kinds ? names[__builtin_ctz(kinds)] : "data";
}

static unsigned kinds_at(const struct qcow2 *q, uint64_t cluster)
{
	return GPOINTER_TO_UINT(g_hash_table_lookup(q->guard, GSIZE_TO_POINTER(cluster)));
}

static void kinds_set(struct qcow2 *q, uint64_t cluster, unsigned kinds)
{
	if (kinds)
		g_hash_table_insert(q->guard, GSIZE_TO_POINTER(cluster), GUINT_TO_POINTER(kinds));
	else
		g_hash_table_remove(q->guard, GSIZE_TO_POINTER(cluster));
}

unsigned guard_hit(const struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned own,
		   uint64_t *ret_off)
{
	uint64_t end = clusters_of(q, off + bytes);

	for (uint64_t i = cluster_index(q, off); q->guard && bytes && i < end; i++) {
		unsigned hit = kinds_at(q, i) & ~own;

		if (hit) {
			*ret_off = MAX(off, i << q->cluster_bits);
			return hit;
		}
	}
	return 0;
}

int guard_check(struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned own)
{
	g_autofree char *what = NULL;
	unsigned hit = guard_hit(q, off, bytes, own, &off);

	if (!hit)
		return 0;
	what = g_strdup_printf("a write of %s would hit %s", kind_name(own), kind_name(hit));
	return qcow2_corrupt(q, what, off);
}

void guard_add(struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned kind)
{
	uint64_t end = clusters_of(q, off + bytes);

	for (uint64_t i = cluster_index(q, off); q->guard && bytes && i < end; i++)
		kinds_set(q, i, kinds_at(q, i) | kind);
}

void guard_drop(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	uint64_t end = clusters_of(q, off + bytes);

	for (uint64_t i = cluster_index(q, off); q->guard && i < end; i++)
		kinds_set(q, i, 0);
}

/* ---- at open ---- */

/* Active and snapshots' L2 tables may be the same, and nothing else may. */
static bool build_add(struct qcow2 *q, uint64_t off, uint64_t bytes, unsigned kind, GError **error)
{
	unsigned l2 = GUARD_L2 | GUARD_SNAPSHOT_L2;
	unsigned hit = guard_hit(q, off, bytes, kind & l2 ? l2 : 0, &off);
	g_autofree char *what = NULL;

	guard_add(q, off, bytes, kind);
	if (!hit || q->guard_lax)
		return true;
	what = g_strdup_printf("%s and %s are at the same place", kind_name(kind), kind_name(hit));
	qcow2_corrupt(q, what, off);
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "image '%s' is corrupt: %s (offset 0x%" G_GINT64_MODIFIER
			 "x); it may only be read; 'vmsh image check -r all' may repair it",
			 q->file->path, what, off);
}

static bool build_tables(struct qcow2 *q, const uint64_t *table, uint32_t n, uint64_t mask,
			 unsigned kind, GError **error)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t off = table[i] & mask;

		/* Several names for one table are no conflict with itself. */
		if (off && !(kinds_at(q, cluster_index(q, off)) & kind & ~GUARD_REFBLOCK) &&
		    !build_add(q, off, q->cluster_bytes, kind, error))
			return false;
	}
	return true;
}

static bool build_snapshot(struct qcow2 *q, const struct qcow2_snapshot *s, uint32_t *budget,
			   GError **error)
{
	uint32_t n = MIN(s->l1_size, *budget);
	g_autofree uint64_t *l1 = g_try_new(uint64_t, MAX(n, 1));
	int r = l1 ? file_pread(q->file, s->l1_off, l1, n * 8ull) : -ENOMEM;

	*budget -= n;
	if (r < 0)
		return error_errno(error, r, "read a snapshot's L1 table of '%s'", q->file->path);
	for (uint32_t i = 0; i < n; i++)
		l1[i] = GUINT64_FROM_BE(l1[i]);
	return build_add(q, s->l1_off, s->l1_size * 8ull, GUARD_SNAPSHOT_L1, error) &&
	       build_tables(q, l1, n, ENTRY_OFF_MASK, GUARD_SNAPSHOT_L2, error);
}

static bool build_bitmap(struct qcow2 *q, const struct qcow2_bitmap *b, GError **error)
{
	g_autofree uint64_t *table = g_try_new(uint64_t, MAX(b->table_size, 1));
	int r = table ? file_pread(q->file, b->table_off, table, b->table_size * 8ull) : -ENOMEM;

	if (r < 0)
		return error_errno(error, r, "read a bitmap's table of '%s'", q->file->path);
	for (uint32_t i = 0; i < b->table_size; i++)
		table[i] = GUINT64_FROM_BE(table[i]);
	return build_add(q, b->table_off, b->table_size * 8ull, GUARD_BITMAP_TABLE, error) &&
	       build_tables(q, table, b->table_size, ENTRY_OFF_MASK, GUARD_BITMAP, error);
}

bool guard_build(struct qcow2 *q, unsigned flags, GError **error)
{
	uint64_t reft_bytes = (uint64_t)q->h.reft_clusters << q->cluster_bits;
	uint32_t budget = SNAPSHOT_TABLES_MAX;
	bool ok;

	guard_free(q);
	q->guard_lax = flags & OPEN_CHECK;
	q->guard = g_hash_table_new(g_direct_hash, g_direct_equal);
	ok = build_add(q, 0, q->cluster_bytes, GUARD_HEADER, error) &&
	     build_add(q, q->h.l1_off, q->l1_size * 8ull, GUARD_L1, error) &&
	     build_add(q, q->h.reft_off, reft_bytes, GUARD_REFT, error) &&
	     build_add(q, q->h.snapshots_off, q->snapshots_bytes, GUARD_SNAPSHOTS, error) &&
	     build_add(q, q->bitmaps_off, q->bitmaps_bytes, GUARD_BITMAP_DIR, error) &&
	     build_tables(q, q->reft, q->reft_used, ~0ull, GUARD_REFBLOCK, error) &&
	     build_tables(q, q->l1, q->l1_size, ENTRY_OFF_MASK, GUARD_L2, error);
	for (unsigned i = 0; ok && i < q->n_bitmaps; i++)
		ok = build_bitmap(q, &q->bitmaps[i], error);
	for (unsigned i = 0; ok && i < q->n_snapshots; i++)
		ok = build_snapshot(q, &q->snapshots[i], &budget, error);
	return ok;
}

void guard_free(struct qcow2 *q)
{
	g_clear_pointer(&q->guard, g_hash_table_unref);
}
