/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * New images.
 *
 * A new qcow2 file is laid out as header, refcount table, refcount blocks,
 * L1 table; everything else is added by the code that also serves machines.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

struct layout {
	struct qcow2_header h;
	uint64_t cluster, reft, blocks, l1;	/* bytes of a cluster; clusters of each */
};

static bool bad(GError **error, const char *what)
{
	return error_set(error, VMM_ERR_INVALID_ARG, "%s", what);
}

/* ---- what is asked for ---- */

static bool opts_check_qcow2(const struct image_create_opts *o, bool v2, GError **error)
{
	uint32_t cluster = o->cluster_bytes ? o->cluster_bytes : 65536;
	unsigned bits = o->refcount_bits ? o->refcount_bits : 16;

	if (o->compat && strcmp(o->compat, "1.1") && strcmp(o->compat, "v3") && !v2)
		return bad(error, "compat is 0.10 or 1.1");
	if (cluster & (cluster - 1) || cluster < 1u << QCOW2_CLUSTER_BITS_MIN ||
	    cluster > 1u << QCOW2_CLUSTER_BITS_MAX)
		return bad(error, "cluster_size must be a power of two between 512 and 2M");
	if (bits & (bits - 1) || bits > 64)
		return bad(error, "refcount_bits must be a power of two and at most 64");
	if (v2 && (bits != 16 || o->lazy_refcounts || o->extended_l2 || o->compression_type))
		return bad(error, "compat=0.10 has no refcount_bits, lazy_refcounts, extended_l2, "
				  "compression_type; use compat=1.1");
	if (o->extended_l2 && cluster < 16384)
		return bad(error, "extended_l2 needs a cluster_size of at least 16k");
	if (o->compression_type && strcmp(o->compression_type, "zlib") &&
	    strcmp(o->compression_type, "zstd"))
		return bad(error, "compression_type is zlib or zstd");
	return true;
}

bool image_is_v2(const struct image_create_opts *o)
{
	return o->compat && (!strcmp(o->compat, "0.10") || !strcmp(o->compat, "v2"));
}

bool image_create_check(const struct image_create_opts *o, GError **error)
{

	if (!image_format(o->path, o->format ? o->format : "?", error))
		return false;
	if (o->bytes > 1ull << 61)
		return bad(error, "the image would be too large");
	if (!strcmp(o->format, "raw"))
		return o->backing_file ? bad(error, "a raw image has no backing file; use qcow2") :
		       o->preallocation == IMAGE_PREALLOC_METADATA ?
					 bad(error, "a raw image has no metadata to preallocate") :
					 true;
	if (o->backing_file && !o->backing_format)
		return bad(error, "name the format of the backing file: -F raw or -F qcow2");
	if (o->backing_file && !image_format(o->path, o->backing_format, error))
		return false;
	if (o->backing_file && o->preallocation != IMAGE_PREALLOC_OFF)
		return bad(error, "an overlay cannot be preallocated");
	if (o->backing_unchecked && o->backing_file && !o->bytes)
		return bad(error, "without opening the backing file the size must be given");
	return opts_check_qcow2(o, image_is_v2(o), error);
}

/* An overlay without a size is as large as what is behind it. */
static bool backing_bytes(const struct image_create_opts *o, uint64_t *bytes, GError **error)
{
	g_autofree char *path = NULL;
	g_autoptr(block) b = NULL;

	if (!o->backing_file || o->backing_unchecked)
		return true;
	path = chain_resolve(o->path, o->backing_file, error);
	b = path ? image_open(path, o->backing_format, true, true, error) : NULL;
	if (!b)
		return false;
	if (!*bytes)
		*bytes = block_bytes(b);
	return true;
}

/* ---- qcow2 ---- */

static struct qcow2_header header_from_opts(const struct image_create_opts *o, uint64_t bytes)
{
	bool v2 = image_is_v2(o);
	bool zstd = o->compression_type && !strcmp(o->compression_type, "zstd");

	return (struct qcow2_header){
		.magic = QCOW2_MAGIC,
		.version = v2 ? 2 : 3,
		.cluster_bits = __builtin_ctz(o->cluster_bytes ? o->cluster_bytes : 65536),
		.size = bytes,
		.incompat = (zstd ? INCOMPAT_COMPRESSION : 0) |
			    (o->extended_l2 ? INCOMPAT_EXTENDED_L2 : 0),
		.compat = o->lazy_refcounts ? COMPAT_LAZY_REFCOUNTS : 0,
		.refcount_order = __builtin_ctz(o->refcount_bits ? o->refcount_bits : 16),
		.header_bytes = v2 ? QCOW2_HEADER_BYTES_V2 : sizeof(struct qcow2_header),
		.compression_type = zstd,
	};
}

static bool layout_make(struct layout *lay, GError **error)
{
	struct qcow2_header *h = &lay->h;
	uint64_t reach, per_block, entries;

	lay->cluster = 1ull << h->cluster_bits;
	reach = lay->cluster * (lay->cluster / (h->incompat & INCOMPAT_EXTENDED_L2 ? 16 : 8));
	entries = h->size / reach + (h->size % reach != 0);
	if (entries > QCOW2_L1_BYTES_MAX / 8)
		return bad(error, "the image is too large for this cluster_size");
	h->l1_size = entries;
	lay->l1 = MAX(round_up(entries * 8, lay->cluster) / lay->cluster, 1);
	per_block = lay->cluster * 8 >> h->refcount_order;
	lay->reft = lay->blocks = 1;
	for (unsigned budget = 64; budget > 0; budget--) {
		uint64_t total = 1 + lay->reft + lay->blocks + lay->l1;
		uint64_t blocks = (total + per_block - 1) / per_block;
		uint64_t reft = round_up(blocks * 8, lay->cluster) / lay->cluster;

		if (blocks <= lay->blocks && reft <= lay->reft)
			break;
		lay->blocks = MAX(blocks, lay->blocks);
		lay->reft = MAX(reft, lay->reft);
	}
	h->reft_off = lay->cluster;
	h->reft_clusters = lay->reft;
	h->l1_off = (1 + lay->reft + lay->blocks) * lay->cluster;
	return true;
}

static int layout_write(struct file *f, const struct layout *lay)
{
	uint64_t total = 1 + lay->reft + lay->blocks + lay->l1;
	uint64_t per_block = lay->cluster * 8 >> lay->h.refcount_order;
	g_autofree uint8_t *data = g_malloc(lay->cluster);
	int r = file_zero(f, 0, total * lay->cluster, false);

	for (uint64_t k = 0; k < lay->blocks && r == 0; k++) {
		uint64_t off = (1 + lay->reft + k) * lay->cluster, be = GUINT64_TO_BE(off);

		memset(data, 0, lay->cluster);
		for (uint64_t i = 0; i < per_block && k * per_block + i < total; i++)
			refcount_encode(lay->h.refcount_order, data, i, 1);
		r = file_pwrite(f, off, data, lay->cluster);
		if (r == 0)
			r = file_pwrite(f, lay->h.reft_off + k * 8, &be, 8);
	}
	return r;
}

/* The header last: before that the file is no qcow2 image at all. */
static bool create_qcow2(struct file *f, const struct image_create_opts *o, uint64_t bytes,
			 GError **error)
{
	struct layout lay = { .h = header_from_opts(o, bytes) };
	g_autoptr(GByteArray) header = NULL;
	int r;

	if (!layout_make(&lay, error))
		return false;
	header = header_encode(&lay.h, o->backing_file, o->backing_format, error);
	if (!header)
		return false;
	r = layout_write(f, &lay);
	if (r == 0)
		r = file_pwrite(f, 0, header->data, header->len);
	return r == 0 || error_errno(error, r, "write image '%s'", o->path);
}

/* ---- preallocation ---- */

static int fill_host(struct file *f, uint64_t from, uint64_t to, enum image_prealloc how)
{
	g_autofree uint8_t *buf = NULL;
	int r = 0;

	if (how == IMAGE_PREALLOC_FALLOC)
		r = posix_fallocate(f->fd, from, to - from);
	if (how != IMAGE_PREALLOC_FULL)
		return -r;
	buf = g_malloc0(1 << 20);
	for (; from < to && r == 0; from += 1 << 20)
		r = file_pwrite(f, from, buf, MIN(to - from, 1 << 20));
	return r;
}

/* All clusters get a place, unwritten: their files' holes read as zeroes. */
static int preallocate_map(struct block *b, uint64_t from, uint64_t to)
{
	struct layer *l = block_top(b);
	struct qcow2 *q = qcow2_of(l);
	int r = 0;

	from = round_down(from, q->cluster_bytes);
	while (from < to && r == 0) {
		struct plan plan;

		r = l->ops->map_write(l, from, to - from, &plan);
		if (r == 0 && plan.link)
			r = l->ops->link(l, &plan);
		if (r == 0)
			from += plan.bytes;
	}
	if (r == 0 && q->file->end < q->fresh_from << q->cluster_bits)
		r = file_truncate(q->file, q->fresh_from << q->cluster_bits);
	return r;
}

bool image_preallocate(struct block *b, uint64_t from, uint64_t to, enum image_prealloc how,
		       GError **error)
{
	struct file *f = block_top(b)->file;
	uint64_t end = f->end;
	int r = 0;

	if (how == IMAGE_PREALLOC_OFF || from >= to)
		return true;
	if (block_top(b)->priv)
		r = preallocate_map(b, from, to);
	else
		end = from;
	if (r == 0 && how != IMAGE_PREALLOC_METADATA)
		r = fill_host(f, end, MAX(f->end, end), how);
	return r == 0 || error_errno(error, r, "preallocate '%s'", f->path);
}

/* ---- create ---- */

static bool create_in(struct file *f, const struct image_create_opts *o, uint64_t bytes,
		      GError **error)
{
	int r;

	if (!lock_image(f->fd, o->path, false, error))
		return false;
	r = f->is_device ? 0 : file_truncate(f, 0);
	if (r == 0 && !strcmp(o->format, "raw"))
		r = file_truncate(f, bytes);
	if (r < 0)
		return error_errno(error, r, "create image '%s'", o->path);
	if (!strcmp(o->format, "qcow2") && !create_qcow2(f, o, bytes, error))
		return false;
	r = file_sync(f);
	return r == 0 || error_errno(error, r, "write image '%s'", o->path);
}

static bool create_preallocated(const struct image_create_opts *o,
				const struct block_opener *opener, uint64_t bytes, GError **error)
{
	const struct block_opts bo = { .path = o->path, .format = o->format, .no_backing = true,
				       .discard = true, .opener = opener };
	g_autoptr(block) b = NULL;
	int r;

	if (o->preallocation == IMAGE_PREALLOC_OFF)
		return true;
	b = block_open(&bo, error);
	if (!b || !image_preallocate(b, 0, bytes, o->preallocation, error))
		return false;
	r = block_flush(b);
	return r == 0 || error_errno(error, r, "write image '%s'", o->path);
}

bool image_create_by(const struct image_create_opts *o, const struct block_opener *opener,
		     GError **error)
{
	const struct file_opts fo = { .path = o->path, .create = true, .exclusive = o->exclusive,
				      .opener = opener };
	uint64_t bytes = o->bytes;
	struct file *f;
	bool ok;

	if (!image_create_check(o, error) || !backing_bytes(o, &bytes, error))
		return false;
	bytes = round_up(bytes, 512);
	f = file_open(&fo, error);
	if (!f)
		return false;
	ok = create_in(f, o, bytes, error);
	file_close(f);
	return ok && create_preallocated(o, opener, bytes, error);
}

bool image_create(const struct image_create_opts *o, GError **error)
{
	bool existed = access(o->path, F_OK) == 0, ok = image_create_by(o, NULL, error);

	if (!ok && !existed)
		unlink(o->path);
	return ok;
}
