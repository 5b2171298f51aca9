/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image rebase": an overlay gets another backing file.
 *
 * Copies into the overlay what the new backing file would show
 * differently, brings it to the disk, then changes the name in one write:
 * killed before, the overlay reads as it did; killed after, too.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES (2u << 20)

/* ---- rebase ---- */

struct rebase {
	const struct image_rebase_opts *o;
	struct block *top;		/* the overlay alone, for writing */
	/* what is behind it and what shall be; either may be NULL */
	struct block *old, *new;
	uint8_t *buf_old, *buf_new;
};

static int behind_read(struct block *b, uint64_t off, uint8_t *buf, uint64_t n)
{
	uint64_t have = b && off < block_bytes(b) ? MIN(n, block_bytes(b) - off) : 0;

	memset(buf + have, 0, n - have);
	return have ? block_pread(b, off, buf, have) : 0;
}

static int rebase_chunk(struct rebase *r, uint64_t off, uint64_t n)
{
	int e = behind_read(r->old, off, r->buf_old, n);

	if (e == 0)
		e = behind_read(r->new, off, r->buf_new, n);
	if (e < 0 || memcmp(r->buf_old, r->buf_new, n) == 0)
		return e;
	/*
	 * Version 2 has no zero flag: zeroes are written out, the
	 * engine would see none to write.
	 */
	if (v3(qcow2_of(block_top(r->top))) && buffer_is_zero(r->buf_old, n))
		return block_pwrite_zeroes(r->top, off, n, BLOCK_REQ_UNMAP);
	return block_pwrite(r->top, off, r->buf_old, n);
}

/*
 * Whole clusters (subclusters): the top is open without what is behind it, so
 * a part of one would be filled up with zeroes in place of the old contents.
 */
static bool rebase_copy(struct rebase *r, GError **error)
{
	struct layer *top = block_top(r->top);
	uint64_t end = block_bytes(r->top), unit = top->zero_bytes, off = 0;

	while (off < end) {
		struct extent ext;
		uint64_t n;
		int e = top->ops->map(top, off, MIN(CHUNK_BYTES, end - off), &ext);

		if (e == 0 && ext.type == EXTENT_BACKING) {
			n = off + ext.bytes < end ? ext.bytes : end - off;
			for (uint64_t at = 0; at < n && e == 0; at += unit)
				e = rebase_chunk(r, off + at, MIN(unit, n - at));
		}
		if (e < 0)
			return error_errno(error, e, "rebase image '%s'", r->o->path);
		off += ext.bytes;
		if (!image_tick(&r->o->progress, off, end, error))
			return false;
	}
	return true;
}

static struct block *behind_open(const struct rebase *r, const char *name, const char *format,
				 GError **error)
{
	g_autofree char *path = chain_resolve(r->o->path, name, error);
	struct block_opts bo = { .path = path, .format = format, .read_only = true, .share = true };
	struct file *mine = block_top(r->top)->file;
	struct block *b = path ? block_open(&bo, error) : NULL;

	for (struct layer *l = b ? block_top(b) : NULL; l; l = l->backing)
		if (l->file->dev == mine->dev && l->file->ino == mine->ino) {
			block_close(b);
			error_set(error, VMM_ERR_INVALID_ARG,
				  "image '%s' is itself behind '%s': they would form a loop",
				  r->o->path, name);
			return NULL;
		}
	return b;
}

static bool rebase_safely(struct rebase *r, struct qcow2 *q, GError **error)
{
	const char *name = r->o->backing_file;

	if (q->backing && !q->backing_format)
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"image '%s' does not say the format of its backing file '%s'; store it "
			"first: vmsh image rebase -u -b '%s' -F FORMAT '%s'",
			r->o->path, q->backing, q->backing, r->o->path);
	if (q->extended && q->n_snapshots)
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"image '%s' has subclusters and internal snapshots; rebase it with "
			"'qemu-img rebase'",
			r->o->path);
	if (q->backing && !(r->old = behind_open(r, q->backing, q->backing_format, error)))
		return false;
	if (name && !(r->new = behind_open(r, name, r->o->backing_format, error)))
		return false;
	r->buf_old = g_malloc(CHUNK_BYTES);
	r->buf_new = g_malloc(CHUNK_BYTES);
	q->has_backing = true;		/* or will have: zeroes must be said, not left out */
	return rebase_copy(r, error);
}

static bool rebase_run(struct rebase *r, GError **error)
{
	struct qcow2 *q = qcow2_of(block_top(r->top));
	int e;

	if (!q)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s' is raw: it has no backing file", r->o->path);
	if (r->o->backing_file && !r->o->backing_format)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "name the format of the backing file: -F raw or -F qcow2");
	if (r->o->backing_file && !image_format(r->o->path, r->o->backing_format, error))
		return false;
	if (!r->o->unsafe && !rebase_safely(r, q, error))
		return false;
	e = block_flush(r->top);
	if (e < 0)
		return error_errno(error, e, "rebase image '%s'", r->o->path);
	return header_set_backing(q, r->o->backing_file, r->o->backing_format, error);
}

bool image_rebase(const struct image_rebase_opts *opts, GError **error)
{
	struct image_rebase_opts o = *opts;
	struct rebase r = { .o = &o };
	bool ok;

	if (o.backing_file && !o.backing_file[0])
		o.backing_file = NULL;
	r.top = image_open_alone(o.path, o.format, false, error);
	ok = r.top && rebase_run(&r, error);
	g_free(r.buf_old);
	g_free(r.buf_new);
	block_close(r.old);
	block_close(r.new);
	block_close(r.top);
	return ok;
}
