/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image resize".
 *
 * Growing: a longer L1 table if need be, zeroes where the backing file (or old
 * clusters' tails) would shine through, then the new size.  Shrinking: what is
 * cut off is given up first, then the new size: a later growth must not bring
 * it back.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/stack.h"
#include "libvmm/util/error.h"

static int l1_switch(struct qcow2 *q, uint64_t off, uint32_t n)
{
	struct {
		uint32_t n;
		uint64_t off;
	} __attribute__((packed)) be = { GUINT32_TO_BE(n), GUINT64_TO_BE(off) };
	int r = file_sync(q->file);

	if (r == 0)
		r = header_write_field(q, offsetof(struct qcow2_header, l1_size), &be, sizeof(be));
	return r < 0 ? r : file_sync(q->file);
}

/* The new table is on the disk before the header knows it; the old one goes afterwards. */
static int l1_grow(struct qcow2 *q, uint64_t need)
{
	uint64_t clusters = clusters_of(q, need * 8), old_off = q->h.l1_off, off;
	uint64_t old_clusters = clusters_of(q, q->l1_size * 8ull);
	g_autofree uint64_t *be = NULL;
	uint64_t *l1;
	int r;

	if (need <= q->l1_size)
		return 0;
	if (need > QCOW2_L1_BYTES_MAX / 8)
		return -EFBIG;
	r = qcow2_sync(q);
	if (r == 0)
		r = alloc_run(q, clusters, &off);
	if (r < 0)
		return r;
	be = g_malloc0(clusters << q->cluster_bits);
	for (uint32_t i = 0; i < q->l1_size; i++)
		be[i] = GUINT64_TO_BE(q->l1[i]);
	r = guard_check(q, off, clusters << q->cluster_bits, 0);
	if (r == 0)
		r = file_pwrite(q->file, off, be, clusters << q->cluster_bits);
	if (r == 0)
		r = qcow2_sync(q);
	if (r == 0)
		r = l1_switch(q, off, need);
	if (r < 0)
		return r;
	l1 = g_renew(uint64_t, q->l1, need);
	memset(l1 + q->l1_size, 0, (need - q->l1_size) * 8);
	q->l1 = l1;
	q->l1_size = q->h.l1_size = need;
	q->h.l1_off = off;
	guard_add(q, off, need * 8, GUARD_L1);
	return old_off ? alloc_undo(q, old_off, old_clusters) : 0;
}

static int size_write(struct qcow2 *q, uint64_t bytes)
{
	uint64_t be = GUINT64_TO_BE(bytes);
	int r = header_write_field(q, offsetof(struct qcow2_header, size), &be, 8);

	if (r == 0)
		q->h.size = bytes;
	return r < 0 ? r : file_sync(q->file);
}

/* For [old, new) to read as zeroes they must be written up to here. */
static uint64_t shine_through(const struct layer *top, uint64_t old)
{
	uint64_t to = round_up(old, top->cluster_bytes);

	for (const struct layer *l = top->backing; l; l = l->backing)
		to = MAX(to, l->bytes);
	return to;
}

static bool grow_qcow2(struct block *b, const struct image_resize_opts *o, GError **error)
{
	struct qcow2 *q = qcow2_of(block_top(b));
	uint64_t old = q->bytes, zero_to = MIN(shine_through(block_top(b), old), o->bytes);
	int r = l1_grow(q, l1_entries(q, o->bytes));

	if (r < 0)
		return error_errno(error, r, "resize image '%s'", o->path);
	block_set_bytes(b, o->bytes);
	if (zero_to > old)
		r = block_pwrite_zeroes(b, old, zero_to - old, BLOCK_REQ_UNMAP);
	if (r == 0 && !image_preallocate(b, old, o->bytes, o->preallocation, error))
		return false;
	if (r == 0)
		r = block_flush(b);
	if (r == 0)
		r = size_write(q, o->bytes);
	return r == 0 || error_errno(error, r, "resize image '%s'", o->path);
}

static bool shrink_qcow2(struct block *b, const struct image_resize_opts *o, GError **error)
{
	struct qcow2 *q = qcow2_of(block_top(b));
	uint64_t from = round_up(o->bytes, q->cluster_bytes);
	int r = 0;

	if (from < q->bytes)
		r = block_pdiscard(b, from, q->bytes - from);
	if (r == 0)
		r = block_flush(b);
	if (r == 0)
		r = size_write(q, o->bytes);
	return r == 0 || error_errno(error, r, "resize image '%s'", o->path);
}

static bool resize_raw(struct block *b, const struct image_resize_opts *o, GError **error)
{
	struct file *f = block_top(b)->file;
	uint64_t old = f->end;
	int r = file_truncate(f, o->bytes);

	if (r < 0)
		return error_errno(error, r, "resize image '%s'", o->path);
	if (o->bytes > old && !image_preallocate(b, old, o->bytes, o->preallocation, error))
		return false;
	r = file_sync(f);
	return r == 0 || error_errno(error, r, "resize image '%s'", o->path);
}

static bool resize_check(const struct block *b, const struct image_resize_opts *o,
			 const struct qcow2 *q, GError **error)
{
	if (o->bytes % 512 || o->bytes > 1ull << 61)
		return error_set(error, VMM_ERR_INVALID_ARG, "the size must be a multiple of 512");
	if (o->bytes < block_bytes(b) && !o->shrink)
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"image '%s': shrinking destroys what is behind the new end; use --shrink "
			"if the guest's file systems are smaller already",
			o->path);
	if (q && q->n_snapshots && !v3(q))
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"image '%s' has internal snapshots, which in version 2 (compat=0.10) "
			"cannot say their own disk size; it cannot be resized",
			o->path);
	if (!q && o->preallocation == IMAGE_PREALLOC_METADATA)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a raw image has no metadata to preallocate");
	if (o->preallocation != IMAGE_PREALLOC_OFF &&
	    ((q && q->has_backing) || o->bytes < block_bytes(b)))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "neither overlays nor shrunk images can be preallocated");
	return true;
}

static bool resize(struct block *b, const struct image_resize_opts *o, GError **error)
{
	struct qcow2 *q = qcow2_of(block_top(b));

	if (!resize_check(b, o, q, error))
		return false;
	if (!q)
		return resize_raw(b, o, error);
	if (o->bytes == q->bytes)
		return true;
	if (!qcow2_snapshots_keep_size(q, error))
		return false;
	if (bitmaps_stale(q) < 0)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "image '%s': its bitmaps cannot be marked as stale", o->path);
	return o->bytes > q->bytes ? grow_qcow2(b, o, error) : shrink_qcow2(b, o, error);
}

bool image_resize(const struct image_resize_opts *o, GError **error)
{
	g_autoptr(block) b = NULL;

	if (!image_format_given(o->path, o->format, error))
		return false;
	b = image_open(o->path, o->format, false, false, error);
	return b && resize(b, o, error);
}

bool block_grow(struct block *b, uint64_t bytes, GError **error)
{
	const struct image_resize_opts o = { .path = block_path(b), .bytes = bytes };

	if (block_is_read_only(b))
		return error_set(error, VMM_ERR_OPERATION_INVALID, "disk '%s' is read-only",
				 o.path);
	if (bytes < block_bytes(b))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s': a disk in use can't become smaller", o.path);
	if (!resize(b, &o, error))
		return false;
	block_set_bytes(b, bytes);
	return true;
}
