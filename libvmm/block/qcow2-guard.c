/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The last check before a write: metadata is not overwritten, whatever the
 * refcounts and tables of a damaged (or hostile) image say.
 *
 * The tables of what is where are in memory, so this is some hundred
 * comparisons; the peers' worst bugs were silent overwrites of L2 tables.
 */
#include "config.h"

#include "libvmm/block/qcow2-priv.h"

static bool hits(uint64_t off, uint64_t bytes, uint64_t area, uint64_t area_bytes)
{
	return area_bytes && off < area + area_bytes && area < off + bytes;
}

static bool hits_tables(const uint64_t *table, uint32_t n, uint64_t mask, uint64_t off,
			uint64_t bytes, uint32_t cluster_bytes)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t at = table[i] & mask;

		if (at && hits(off, bytes, at, cluster_bytes))
			return true;
	}
	return false;
}

const char *guard_metadata(struct qcow2 *q, uint64_t off, uint64_t bytes)
{
	if (hits(off, bytes, 0, q->cluster_bytes))
		return "a write would hit the image's header";
	if (hits(off, bytes, q->h.l1_off, q->l1_size * 8ull))
		return "a write would hit the active L1 table";
	if (hits(off, bytes, q->h.reft_off, (uint64_t)q->h.reft_clusters << q->cluster_bits))
		return "a write would hit the refcount table";
	if (hits(off, bytes, q->h.snapshots_off, q->snapshots_bytes))
		return "a write would hit the snapshot table";
	for (unsigned i = 0; i < q->n_snapshots; i++)
		if (hits(off, bytes, q->snapshots[i].l1_off, q->snapshots[i].l1_size * 8ull))
			return "a write would hit a snapshot's L1 table";
	if (hits_tables(q->reft, q->reft_used, ~0ull, off, bytes, q->cluster_bytes))
		return "a write would hit a refcount block";
	if (hits_tables(q->l1, q->l1_size, ENTRY_OFF_MASK, off, bytes, q->cluster_bytes))
		return "a write would hit an L2 table";
	return NULL;
}
