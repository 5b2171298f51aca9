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

struct rebase {
	const struct image_rebase_opts *o;
	struct block *top;		/* the overlay alone, for writing */
	/* what is behind it and what shall be; either may be NULL */
	struct block *old, *new;
	uint64_t unit;
};

/* What the overlay leaves to those behind it. */
static bool rebase_want(void *opaque, uint64_t off, uint64_t *bytes, bool *ret_read,
			bool *ret_stop, GError **error)
{
	struct rebase *r = opaque;
	struct layer *top = block_top(r->top);
	struct extent ext;
	int e = top->ops->map(top, off, *bytes, &ext);

	if (e < 0)
		return error_errno(error, e, "rebase image '%s'", r->o->path);
	*bytes = MIN(*bytes, ext.bytes);
	*ret_read = ext.type == EXTENT_BACKING;
	return true;
}

static int rebase_unit(struct rebase *r, uint64_t off, const uint8_t *old, const uint8_t *new,
		       uint64_t n)
{
	if (memcmp(old, new, n) == 0)
		return 0;
	/*
	 * Version 2 has no zero flag: zeroes are written out, the
	 * engine would see none to write.
	 */
	if (v3(qcow2_of(block_top(r->top))) && buffer_is_zero(old, n))
		return block_pwrite_zeroes(r->top, off, n, BLOCK_REQ_UNMAP);
	return block_pwrite(r->top, off, old, n);
}

/*
 * Whole clusters (subclusters): the top is open without what is behind it, so
 * a part of one would be filled up with zeroes in place of the old contents.
 */
static int rebase_have(void *opaque, uint64_t off, const uint8_t *old, const uint8_t *new,
		       uint64_t bytes)
{
	struct rebase *r = opaque;
	int e = 0;

	for (uint64_t at = 0; at < bytes && e == 0; at += r->unit)
		e = rebase_unit(r, off + at, old + at, new + at, MIN(r->unit, bytes - at));
	return e;
}

static bool rebase_copy(struct rebase *r, GError **error)
{
	g_autofree char *what = g_strdup_printf("rebase image '%s'", r->o->path);
	const uint32_t unit = block_top(r->top)->zero_bytes;
	const struct image_pair pair = { .a = r->old, .b = r->new, .end = block_bytes(r->top),
					 .chunk = MAX(unit, IMAGE_PAIR_BYTES), .what = what,
					 .want = rebase_want, .have = rebase_have, .opaque = r,
					 .progress = &r->o->progress };

	r->unit = unit;
	return image_pair(&pair, error);
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
	if (!image_format_given(o.path, o.format, error))
		return false;
	r.top = image_open_alone(o.path, o.format, false, error);
	ok = r.top && rebase_run(&r, error);
	block_close(r.old);
	block_close(r.new);
	block_close(r.top);
	return ok;
}
