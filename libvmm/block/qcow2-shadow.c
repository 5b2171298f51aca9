/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A new set of tables beside the old one.
 *
 * Internal snapshots change refcounts and COPIED flags all over the image at
 * once.  Done in place, a power loss would leave counts and flags that
 * contradict each other.  So nothing is changed in place: L2 tables whose flags
 * change, L1, snapshot table and all refcounts are written into clusters that
 * the state on the disk does not refer to, the new state is counted and checked
 * as a whole, and then one write of the header's first sector switches.  A
 * crash at any instant leaves the state before or the state after, without
 * even a leak: what was written in vain is in nobody's refcounts.
 *
 * The price is a copy of the refcounts (32 KiB for each GiB with clusters of
 * 64 KiB) and of the changed L2 tables (128 KiB for each GiB).
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

static const struct check_opts quiet;

static uint64_t refcount_limit(const struct qcow2 *q)
{
	return q->h.refcount_order == 6 ? UINT64_MAX : (1ull << (1u << q->h.refcount_order)) - 1;
}

/* `n` clusters side by side that the state on the disk does not refer to. */
static uint64_t shadow_take(struct shadow *s, uint64_t n)
{
	uint64_t first = s->next;

	for (uint64_t i = first; i < first + n && i < s->n_old; i++)
		if (s->old[i])
			first = i + 1;
	s->next = first + n;
	return first << s->q->cluster_bits;
}

/* Into what was taken: the guard still knows the old state. */
static int shadow_write(struct shadow *s, uint64_t off, const void *data, uint64_t bytes)
{
	int r = guard_check(s->q, off, bytes, 0);

	return r < 0 ? r : file_pwrite(s->q->file, off, data, bytes);
}

static int counts_resize(struct check *c, uint64_t n)
{
	uint32_t *counts;

	if (n <= c->n)
		return 0;
	counts = g_try_realloc_n(c->counts, n, sizeof(*counts));
	if (!counts)
		return -ENOMEM;
	memset(counts + c->n, 0, (n - c->n) * sizeof(*counts));
	c->counts = counts;
	c->n = n;
	return 0;
}

/* All references of the state to be, but for those of its refcounts. */
static int shadow_count(struct shadow *s)
{
	int r = counts_resize(&s->check, s->next);

	s->check.no_refcounts = true;
	if (r == 0)
		r = check_count(&s->check);
	return r == 0 && (s->check.l2_errors || s->result.check_errors) ? -EIO : r;
}

/* ---- refcounts ---- */

struct refcounts {
	uint64_t blocks, table_clusters, table_off;
	uint64_t *table; /* big endian */
};

/* Enough blocks for all that is there, and for the blocks and the table themselves. */
static int refcounts_plan(const struct shadow *s, struct refcounts *f)
{
	const struct qcow2 *q = s->q;
	uint64_t last = MAX(MAX(s->n_old, s->next), s->check.n);

	f->blocks = 1;
	for (unsigned budget = 64; budget > 0; budget--) {
		uint64_t need;

		f->table_clusters = clusters_of(q, f->blocks * 8);
		if (f->table_clusters << q->cluster_bits > QCOW2_REFT_BYTES_MAX)
			return -EFBIG;
		need = last + f->blocks + f->table_clusters;
		need = (need + (1ull << q->refblock_bits) - 1) >> q->refblock_bits;
		if (need <= f->blocks)
			return 0;
		f->blocks = need;
	}
	return -EFBIG;
}

static int refcounts_place(struct shadow *s, struct refcounts *f)
{
	struct check *c = &s->check;
	int r;

	f->table = g_try_malloc0(f->table_clusters << s->q->cluster_bits);
	if (!f->table)
		return -ENOMEM;
	for (uint64_t k = 0; k < f->blocks; k++)
		f->table[k] = GUINT64_TO_BE(shadow_take(s, 1));
	f->table_off = shadow_take(s, f->table_clusters);
	r = counts_resize(c, s->next);
	for (uint64_t k = 0; r == 0 && k < f->blocks; k++)
		c->counts[cluster_index(s->q, GUINT64_FROM_BE(f->table[k]))] = 1;
	for (uint64_t i = 0; r == 0 && i < f->table_clusters; i++)
		c->counts[cluster_index(s->q, f->table_off) + i] = 1;
	return r;
}

static int refblock_write(struct shadow *s, const struct refcounts *f, uint64_t k, uint8_t *data)
{
	const struct check *c = &s->check;
	struct qcow2 *q = s->q;
	uint64_t per_block = 1ull << q->refblock_bits, first = k * per_block;

	memset(data, 0, q->cluster_bytes);
	for (uint64_t i = 0; i < per_block && first + i < c->n; i++) {
		if (c->counts[first + i] > refcount_limit(q))
			return -ERANGE;
		refcount_encode(q->h.refcount_order, data, i, c->counts[first + i]);
	}
	return shadow_write(s, GUINT64_FROM_BE(f->table[k]), data, q->cluster_bytes);
}

static int refcounts_write(struct shadow *s)
{
	struct qcow2 *q = s->q;
	g_autofree uint8_t *data = g_try_malloc(q->cluster_bytes);
	struct refcounts f = { 0 };
	int r = data ? refcounts_plan(s, &f) : -ENOMEM;

	if (r == 0)
		r = refcounts_place(s, &f);
	for (uint64_t k = 0; r == 0 && k < f.blocks; k++)
		r = refblock_write(s, &f, k, data);
	if (r == 0)
		r = shadow_write(s, f.table_off, f.table, f.table_clusters << q->cluster_bits);
	if (r == 0) {
		q->h.reft_off = f.table_off;
		q->h.reft_clusters = f.table_clusters;
	}
	g_free(f.table);
	return r;
}

/* ---- L1, L2, snapshots ---- */

static int snapshots_write(struct shadow *s)
{
	struct qcow2 *q = s->q;
	g_autoptr(GByteArray) table = snapshots_encode(q);

	if (table->len > QCOW2_SNAPSHOT_BYTES_MAX)
		return -EFBIG;
	q->snapshots_bytes = table->len;
	q->h.n_snapshots = q->n_snapshots;
	q->h.snapshots_off = table->len ? shadow_take(s, clusters_of(q, table->len)) : 0;
	return table->len ? shadow_write(s, q->h.snapshots_off, table->data, table->len) : 0;
}

static uint64_t flagged(const struct check *c, uint64_t e)
{
	uint64_t host = e & ENTRY_OFF_MASK;

	if (!host || e & ENTRY_COMPRESSED)
		return e;
	e &= ~ENTRY_COPIED;
	return c->counts[cluster_index(c->q, host)] == 1 ? e | ENTRY_COPIED : e;
}

/* A table with a wrong flag is copied; whom it belonged to may keep it. */
static int l2_write(struct shadow *s, uint64_t *l1_entry, uint64_t *table)
{
	struct qcow2 *q = s->q;
	uint64_t off = *l1_entry & ENTRY_OFF_MASK;
	bool changed = false;
	int r = off ? file_pread(q->file, off, table, q->cluster_bytes) : 0;

	*l1_entry = flagged(&s->check, off);
	if (!off || r < 0)
		return r;
	for (uint64_t i = 0; i < q->cluster_bytes / 8; i += q->entry_bytes / 8) {
		uint64_t e = GUINT64_FROM_BE(table[i]), right = flagged(&s->check, e);

		changed |= right != e;
		table[i] = GUINT64_TO_BE(right);
	}
	if (!changed)
		return 0;
	off = shadow_take(s, 1);
	*l1_entry = off | ENTRY_COPIED;
	return shadow_write(s, off, table, q->cluster_bytes);
}

static int l1_place(struct shadow *s)
{
	struct qcow2 *q = s->q;
	uint64_t clusters = clusters_of(q, q->l1_size * 8ull);

	q->h.l1_size = q->l1_size;
	q->h.l1_off = clusters ? shadow_take(s, clusters) : 0;
	q->h.size = q->bytes;
	return 0;
}

static int l1_write(struct shadow *s)
{
	struct qcow2 *q = s->q;
	uint64_t clusters = clusters_of(q, q->l1_size * 8ull);
	g_autofree uint64_t *be = g_try_malloc0(clusters << q->cluster_bits);

	if (!clusters)
		return 0;
	if (!be)
		return -ENOMEM;
	for (uint32_t i = 0; i < q->l1_size; i++)
		be[i] = GUINT64_TO_BE(q->l1[i]);
	return shadow_write(s, q->h.l1_off, be, clusters << q->cluster_bits);
}

static int l2s_write(struct shadow *s)
{
	g_autofree uint64_t *table = g_try_malloc(s->q->cluster_bytes);
	int r = table ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < s->q->l1_size; i++)
		r = l2_write(s, &s->q->l1[i], table);
	return r;
}

/* The last look before the switch: what is in the file now, read again. */
static int shadow_verify(struct shadow *s)
{
	int r = shadow_count(s);

	if (r == 0)
		r = check_flags(&s->check, false);
	return r == 0 && s->check.flags ? -EIO : r;
}

static int shadow_switch(struct shadow *s)
{
	int r = file_sync(s->q->file);

	if (r < 0)
		return r;
	s->switching = true;
	r = header_write_tables(s->q);
	return r < 0 ? r : file_sync(s->q->file);
}

/* ---- life ---- */

bool shadow_begin(struct shadow *s, struct qcow2 *q, GError **error)
{
	int r;

	*s = (struct shadow){ .q = q, .next = 1 };
	r = qcow2_settle(q);
	if (r == 0)
		r = check_init(&s->check, q, &quiet, &s->result);
	if (r == 0)
		r = check_once(&s->check);
	if (r < 0) {
		g_free(s->check.counts);
		return error_errno(error, r, "check image '%s'", q->file->path);
	}
	if (s->check.low || s->check.flags || s->check.l2_errors || s->check.bitmaps ||
	    s->result.check_errors) {
		g_free(s->check.counts);
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "image '%s' is damaged; see 'vmsh image check' and its -r",
				 q->file->path);
	}
	s->h = q->h;
	s->file_end = q->file->end;
	s->n_old = s->check.n;
	s->old = g_steal_pointer(&s->check.counts);
	s->check.n = 0;
	r = counts_resize(&s->check, s->n_old);
	if (r < 0) {
		g_free(s->old);
		return error_errno(error, r, "check image '%s'", q->file->path);
	}
	return true;
}

static bool tables_reload(struct qcow2 *q)
{
	cache_reset(q);
	q->free_hint = 0;
	q->unpacked_off = 0;
	q->pack_next = q->pack_end = 0;
	return qcow2_load_tables(q, 0, NULL) && guard_build(q, 0, NULL);
}

/* Everything in memory as it is on the disk; what was written in vain is cut off again. */
void shadow_cancel(struct shadow *s)
{
	struct qcow2 *q = s->q;

	if (!s->switching && q->file->end > s->file_end)
		file_truncate(q->file, s->file_end);
	q->h = s->h;
	q->bytes = s->h.size;
	snapshots_free(q);
	/* Where not even this works, or the disk may have the one state or the other: hands off. */
	if (!snapshots_load(q, 0, NULL) || !tables_reload(q) || s->switching)
		q->rw = false;
	g_free(s->check.counts);
	g_free(s->old);
}

/* Only saves space. */
static void punch_freed(struct shadow *s)
{
	const struct check *c = &s->check;
	struct qcow2 *q = s->q;
	uint64_t n = 0;

	for (uint64_t i = 0; i <= s->n_old && q->layer->discard; i++) {
		if (i < s->n_old && s->old[i] && !c->counts[i]) {
			n++;
			continue;
		}
		if (n)
			file_punch(q->file, (i - n) << q->cluster_bits, n << q->cluster_bits);
		n = 0;
	}
}

bool shadow_commit(struct shadow *s, GError **error)
{
	struct qcow2 *q = s->q;
	int (*const steps[])(struct shadow * s) = {
		snapshots_write, l1_place,	shadow_count,	 l2s_write,
		l1_write,	 shadow_verify, refcounts_write, shadow_switch,
	};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
		r = steps[i](s);
	if (r < 0) {
		unsigned bits = 1u << s->h.refcount_order;

		shadow_cancel(s);
		if (r == -ERANGE)
			return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
					 "image '%s': some cluster has as many references as "
					 "refcounts of %u bits can count; convert it with "
					 "-o refcount_bits=16",
					 q->file->path, bits);
		return error_errno(error, r, "write tables of '%s'", q->file->path);
	}
	punch_freed(s);
	g_free(s->check.counts);
	g_free(s->old);
	if (tables_reload(q))
		return true;
	q->rw = false;
	return error_set(error, VMM_ERR_INTERNAL, "image '%s': its new tables cannot be read",
			 q->file->path);
}

int shadow_rebuild_refcounts(struct check *c)
{
	struct qcow2 *q = c->q;
	/* The old refcounts are not in c->counts, but stand until the switch: behind all of it. */
	struct shadow s = { .q = q, .check = *c, .next = c->n, .h = q->h, .n_old = c->n };
	int r;

	s.old = g_memdup2(c->counts, c->n * sizeof(*c->counts));
	r = refcounts_write(&s);
	if (r == 0)
		r = shadow_switch(&s);
	if (r < 0)
		q->h = s.h;
	c->counts = s.check.counts;
	c->n = s.check.n;
	g_free(s.old);
	return r;
}
