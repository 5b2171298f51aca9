/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * qcow2: opening, closing, and the order in which metadata reaches the disk.
 *
 * One sync, in phases with a barrier (fdatasync) between them, so that a power
 * loss at any point leaves an image that is whole but for leaked clusters:
 *
 *   1. refcount blocks; guest data, and new L2 tables as they
 *      were when L1 got to know them, are in the file already  barrier
 *   2. L2 tables, L1 entries                                   barrier, if 3
 *   3. clusters given up in 2 may go (qcow2-alloc.c)
 *
 * L1 may come before L2: a new table stands in the file since before phase 1,
 * empty or as the copy of a shared one, so nothing is shown that is not there.
 * L2 entries change in memory only after their data was written (map_link), so
 * phase 2 never shows the guest what is not there.  When a phase fails, what
 * it did not write stays dirty and the next sync begins at 1 again.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"
#include "libvmm/util/error.h"

int qcow2_corrupt(struct qcow2 *q, const char *what, uint64_t off)
{
	if (q->corrupt)
		return -EIO;
	q->corrupt = true;
	g_message("image '%s' is corrupt: %s (offset 0x%" G_GINT64_MODIFIER "x)", q->file->path,
		  what, off);
	if (q->rw && header_set_incompat(q, q->h.incompat | INCOMPAT_CORRUPT) == 0)
		file_sync(q->file);
	return -EIO;
}

/* ---- syncing ---- */

static int l1_write(struct qcow2 *q)
{
	uint32_t lo = q->l1_dirty_lo, hi = q->l1_dirty_hi;

	while (lo < hi) {
		uint64_t be[64];
		uint32_t n = MIN(hi - lo, 64);
		int r;

		for (uint32_t i = 0; i < n; i++)
			be[i] = GUINT64_TO_BE(q->l1[lo + i]);
		r = guard_check(q, q->h.l1_off + lo * 8ull, n * 8, GUARD_L1);
		if (r == 0)
			r = file_pwrite(q->file, q->h.l1_off + lo * 8ull, be, n * 8);
		if (r < 0)
			return r;
		lo += n;
	}
	q->l1_dirty_lo = q->l1_dirty_hi = 0;
	return 0;
}

int qcow2_sync(struct qcow2 *q)
{
	bool l1 = q->l1_dirty_lo < q->l1_dirty_hi, l2 = q->cache.n_dirty[PAGE_L2] > 0;
	int r;

	if (!q->rw)
		return 0;
	r = cache_write(q, PAGE_REFCOUNT);
	if (r == 0 && (l1 || l2))
		r = file_sync(q->file);
	if (r == 0 && q->corrupt)
		return l1 || l2 ? -EIO : 0;	/* the tables are not to be trusted any more */
	if (r == 0)
		r = cache_write(q, PAGE_L2);
	if (r == 0 && l1)
		r = l1_write(q);
	if (r == 0 && q->freed->len > 0) {
		r = file_sync(q->file);
		if (r == 0)
			alloc_frees_durable(q);
	}
	return r;
}

static int layer_sync(struct layer *l)
{
	return qcow2_sync(qcow2_of(l));
}

/* ---- tables ---- */

static uint64_t *table_read(struct qcow2 *q, uint64_t off, uint32_t n, const char *what,
			    GError **error)
{
	g_autofree uint64_t *t = NULL;
	int r;

	if (off > q->file->end || n * 8ull > q->file->end - off) {
		error_set(error, VMM_ERR_INVALID_ARG,
			  "image '%s' is truncated: its %s at %" G_GUINT64_FORMAT
			  " does not fit in %" G_GUINT64_FORMAT " bytes",
			  q->file->path, what, off, q->file->end);
		return NULL;
	}
	t = g_try_new(uint64_t, MAX(n, 1));
	r = t ? file_pread(q->file, off, t, n * 8ull) : -ENOMEM;
	if (r < 0) {
		error_errno(error, r, "read %s of '%s'", what, q->file->path);
		return NULL;
	}
	for (uint32_t i = 0; i < n; i++)
		t[i] = GUINT64_FROM_BE(t[i]);
	return g_steal_pointer(&t);
}

static bool table_check(struct qcow2 *q, const uint64_t *t, uint32_t n, uint64_t mask,
			const char *what, GError **error)
{
	uint64_t room = clusters_of(q, q->file->end);

	for (uint32_t i = 0; i < n; i++) {
		uint64_t off = t[i] & mask;

		/* Many names for one table would make loops over all tables endless. */
		if (off && room-- == 0)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' is corrupt: it names more %ss than fit in it",
					 q->file->path, what);
		if (in_cluster(q, off))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' is corrupt: %s %u is not aligned; "
					 "try 'vmsh image check -r all'", q->file->path, what, i);
		if (off && (off >= q->file->end || q->file->end - off < q->cluster_bytes))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' is truncated: %s %u at %" G_GUINT64_FORMAT
					 " lies behind the file's end at %" G_GUINT64_FORMAT,
					 q->file->path, what, i, off, q->file->end);
	}
	return true;
}

bool qcow2_load_tables(struct qcow2 *q, unsigned flags, GError **error)
{
	g_clear_pointer(&q->l1, g_free);
	g_clear_pointer(&q->reft, g_free);
	q->l1_size = q->h.l1_size;
	q->l1 = table_read(q, q->h.l1_off, q->l1_size, "L1 table", error);
	if (!q->l1)
		return false;
	q->reft_size = ((uint64_t)q->h.reft_clusters << q->cluster_bits) / 8;
	q->reft = table_read(q, q->h.reft_off, q->reft_size, "refcount table", error);
	if (!q->reft)
		return false;
	alloc_reft_used(q);
	q->fresh_from = q->file->is_device ? UINT64_MAX >> 1 : clusters_of(q, q->file->end);
	if (flags & OPEN_CHECK)
		return true;
	return table_check(q, q->l1, q->l1_size, ENTRY_OFF_MASK, "L2 table", error) &&
	       table_check(q, q->reft, q->reft_used, ~0ull, "refcount block", error);
}

/* ---- a file that lost its tail ---- */

/* Is any cluster behind the file's end counted as used? */
static bool counts_behind_end(struct qcow2 *q)
{
	uint64_t first = clusters_of(q, q->file->end), ti = first >> q->refblock_bits;
	unsigned bits = 1u << q->h.refcount_order;
	uint64_t skip = ((first & ((1ull << q->refblock_bits) - 1)) * bits + 7) / 8;

	if (ti + 1 < q->reft_used)
		return true;
	if (ti >= q->reft_used || !q->reft[ti])
		return false;
	for (uint64_t at = skip; at < q->cluster_bytes;) {
		uint8_t part[4096];
		uint64_t n = MIN(q->cluster_bytes - at, sizeof(part));

		if (file_pread(q->file, q->reft[ti] + at, part, n) < 0)
			return false;
		for (uint64_t i = 0; i < n; i++)
			if (part[i])
				return true;
		at += n;
	}
	return false;
}

/*
 * Leaks of a crash may lie there, so being counted proves nothing: being
 * mapped does.  All L2 tables are read only in this rare case.
 */
static bool check_tail(struct qcow2 *q, GError **error)
{
	uint64_t end = round_up(q->file->end, q->cluster_bytes);

	if (has_data_file(q) || !counts_behind_end(q))
		return true;
	for (uint64_t off = 0; off < q->bytes; off += q->cluster_bytes) {
		uint64_t reach = 1ull << (q->cluster_bits + q->l2_bits);
		struct extent ext;
		struct page *p;
		uint64_t table = q->l1[off / reach] & ENTRY_OFF_MASK, host, *at;

		if (!table) {
			off = round_down(off, reach) + reach - q->cluster_bytes;
			continue;
		}
		table += (off % reach >> q->cluster_bits) * q->entry_bytes;
		if (cache_get(q, PAGE_L2, table, &p) < 0)
			continue;
		at = (uint64_t *)(p->data + (table & (q->cache.page_bytes - 1)));
		host = GUINT64_FROM_BE(*at);
		ext.host_off = host & ENTRY_OFF_MASK;
		if (host & ENTRY_COMPRESSED)
			packed_range(q, host, &ext.host_off, &ext.bytes);
		if (ext.host_off >= end)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' is truncated: data at %" G_GUINT64_FORMAT
					 " lies behind the file's end at %" G_GUINT64_FORMAT,
					 q->file->path, ext.host_off, q->file->end);
	}
	return true;
}

/* ---- opening for writing ---- */

static bool repair_dirty(struct qcow2 *q, GError **error)
{
	struct check_opts opts = { .fix_leaks = true, .fix_errors = true };
	struct image_check result = { 0 };

	g_message("image '%s' was not closed; rebuilding its refcounts", q->file->path);
	if (!qcow2_check(q, &opts, &result, error))
		return false;
	if (result.corruptions || result.check_errors)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' was not closed and its refcounts cannot be rebuilt; "
				 "see 'vmsh image check'", q->file->path);
	return true;
}

static bool prepare_write(struct qcow2 *q, GError **error)
{
	bool lazy = q->h.compat & COMPAT_LAZY_REFCOUNTS;
	int r;

	if (q->file->direct && q->file->align > 1u << q->sub_bits)
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"image '%s': (sub)clusters of %u bytes are smaller than the %u that direct "
			"I/O needs here; use cache='writeback'",
			q->file->path, 1u << q->sub_bits, q->file->align);
	if (q->h.incompat & INCOMPAT_DIRTY && !repair_dirty(q, error))
		return false;
	if (has_data_file(q))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "image '%s': its data is in an external file, so it can only be "
				 "read",
				 q->file->path);
	if (!guard_build(q, 0, error))
		return false;
	/* What we do not know is stale once we write (spec, "autoclear_features"). */
	r = header_set_autoclear(q, q->h.autoclear & AUTOCLEAR_BITMAPS);
	if (r == 0)
		r = header_set_incompat(q, lazy ? q->h.incompat | INCOMPAT_DIRTY :
						  q->h.incompat & ~(uint64_t)INCOMPAT_DIRTY);
	if (r == 0)
		r = file_sync(q->file);
	if (r < 0)
		return error_errno(error, r, "write header of '%s'", q->file->path);
	q->dirty_set = lazy && v3(q);
	return true;
}

/* ---- life ---- */

struct qcow2 *qcow2_new(struct layer *l)
{
	struct qcow2 *q = g_new0(struct qcow2, 1);

	q->layer = l;
	q->file = l->file;
	q->rw = !l->read_only;
	q->freed = g_array_new(FALSE, FALSE, sizeof(struct freed));
	q->freed_durable = g_array_new(FALSE, FALSE, sizeof(struct freed));
	q->freed_grace = g_array_new(FALSE, FALSE, sizeof(struct freed));
	return q;
}

void qcow2_free(struct qcow2 *q)
{
	if (!q)
		return;
	cache_done(q);
	guard_free(q);
	snapshots_free(q);
	bitmaps_free(q);
	g_array_unref(q->freed);
	g_array_unref(q->freed_durable);
	g_array_unref(q->freed_grace);
	if (q->extensions)
		g_byte_array_unref(q->extensions);
	g_free(q->l1);
	g_free(q->reft);
	g_free(q->backing);
	g_free(q->backing_format);
	g_free(q->data_file);
	g_free(q->packed);
	g_free(q->unpacked);
	g_free(q);
}

int qcow2_settle(struct qcow2 *q)
{
	int r = q->rw && q->l1 ? qcow2_sync(q) : -EROFS;

	if (r == 0) {
		alloc_quiesce(q->layer, false);
		alloc_quiesce(q->layer, true);
		alloc_quiesce(q->layer, false);
		r = qcow2_sync(q);
	}
	return r < 0 ? r : file_sync(q->file);
}

/* What was given up reaches its refcounts too; only then is the image clean. */
static int qcow2_clean(struct qcow2 *q)
{
	int r = qcow2_settle(q);

	if (r < 0 || !q->dirty_set || q->corrupt)
		return r;
	r = header_set_incompat(q, q->h.incompat & ~(uint64_t)INCOMPAT_DIRTY);
	return r < 0 ? r : file_sync(q->file);
}

static void qcow2_close(struct layer *l)
{
	struct qcow2 *q = qcow2_of(l);

	qcow2_clean(q);
	qcow2_free(q);
	l->priv = NULL;
}

int qcow2_freeze(struct layer *l)
{
	struct qcow2 *q = qcow2_of(l);
	int r = q->corrupt ? -EIO : qcow2_clean(q);

	if (r < 0)
		return r;
	q->rw = q->dirty_set = false;
	return 0;
}

bool qcow2_thaw(struct layer *l, GError **error)
{
	struct qcow2 *q = qcow2_of(l);

	q->rw = true;
	if (prepare_write(q, error))
		return true;
	q->rw = false;
	return false;
}

void qcow2_set_file(struct layer *l, struct file *f)
{
	qcow2_of(l)->file = f;
}

static const struct layer_ops qcow2_ops = {
	.map = map_read,
	.map_write = map_write,
	.link = map_link,
	.abandon = map_abandon,
	.zero = map_zero,
	.unpack = pack_read,
	.sync = layer_sync,
	.quiesce = alloc_quiesce,
	.close = qcow2_close,
};

bool qcow2_open_flags(struct layer *l, unsigned flags, GError **error)
{
	struct qcow2 *q = qcow2_new(l);
	bool prepared = false;

	l->ops = &qcow2_ops;
	if (header_read(q, flags, error) && snapshots_load(q, flags, error) &&
	    bitmaps_load(q, flags, error) && qcow2_load_tables(q, flags, error) &&
	    cache_init(q, error) && ((flags & OPEN_CHECK) || check_tail(q, error)))
		prepared = !q->rw || (flags & OPEN_CHECK) || prepare_write(q, error);
	if (!prepared) {
		qcow2_free(q);
		return false;
	}
	l->bytes = q->bytes;
	l->cluster_bytes = q->cluster_bytes;
	l->zero_bytes = 1u << q->sub_bits;
	l->priv = q;
	return true;
}

bool qcow2_open(struct layer *l, GError **error)
{
	return qcow2_open_flags(l, 0, error);
}

const char *qcow2_backing_name(const struct layer *l)
{
	return qcow2_of(l)->backing;
}

const char *qcow2_data_name(const struct layer *l)
{
	return has_data_file(qcow2_of(l)) ? qcow2_of(l)->data_file : NULL;
}

const char *qcow2_backing_format(const struct layer *l)
{
	return qcow2_of(l)->backing_format;
}

void qcow2_set_bytes(struct layer *l, uint64_t bytes)
{
	qcow2_of(l)->bytes = bytes;
}
