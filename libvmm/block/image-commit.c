/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image commit": an overlay's contents go into what is behind it.
 *
 * The copy is on the disk before the overlay is emptied: killed at any moment,
 * the overlay reads as it did.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

/* until: the layer of `from` that is not copied any more; NULL: all there are. */
static bool commit_copy(const struct image_commit_opts *o, struct block *from,
			const struct layer *until, struct block *base, GError **error)
{
	const struct image_copy copy = { .from = from, .to = base, .source = o->path,
					 .target = block_top(base)->file->path, .over = true,
					 .partial = true, .until = until,
					 .progress = &o->progress };
	int r;

	if (!image_copy(&copy, error))
		return false;
	r = block_flush(base);
	return r == 0 || error_errno(error, r, "commit image '%s'", o->path);
}

/* Every cluster of the overlay is given up: it shows its backing file again. */
static int forget_all(struct block *b)
{
	struct layer *l = block_top(b);
	struct qcow2 *q = qcow2_of(l);
	int r = 0;

	for (uint64_t off = 0; off < q->bytes && r == 0;) {
		struct extent ext;

		r = l->ops->map(l, off, q->bytes - off, &ext);
		if (r == 0 && (ext.type != EXTENT_BACKING || ext.allocated))
			r = map_forget(q, off, ext.bytes);
		off += ext.bytes;
	}
	return r < 0 ? r : block_flush(b);
}

static bool commit_into(const struct image_commit_opts *o, struct block *from,
			const struct layer *until, const char *path, const char *format,
			GError **error)
{
	struct image_resize_opts grow = { .path = path,
					  .format = format,
					  .bytes = block_bytes(from) };
	g_autoptr(block) base = image_open(path, format, false, false, error);

	if (!base)
		return false;
	if (block_bytes(base) < block_bytes(from)) {
		g_clear_pointer(&base, block_close);
		if (!image_resize(&grow, error))
			return false;
		base = image_open(path, format, false, false, error);
	}
	return base && commit_copy(o, from, until, base, error);
}

/* The layer behind the top one that the user means, by any name of its file. */
static struct layer *chain_find(struct block *chain, const struct image_commit_opts *o,
				GError **error)
{
	struct stat st;

	if (stat(o->base, &st) < 0) {
		error_errno(error, errno, "image '%s'", o->base);
		return NULL;
	}
	for (struct layer *l = block_top(chain)->backing; l; l = l->backing)
		if (l->file->dev == st.st_dev && l->file->ino == st.st_ino)
			return l;
	error_set(error, VMM_ERR_INVALID_ARG,
		  "'%s' is no backing file of image '%s'; see 'vmsh image info --backing-chain'",
		  o->base, o->path);
	return NULL;
}

/* The overlay is locked by the caller; those behind it are only read. */
static bool commit_chain(const struct image_commit_opts *o, GError **error)
{
	struct block_opts bo = { .path = o->path, .format = "qcow2", .read_only = true,
				 .share = true };
	g_autoptr(block) chain = block_open(&bo, error);
	struct layer *base = chain ? chain_find(chain, o, error) : NULL;
	g_autofree char *path = base ? g_strdup(base->file->path) : NULL;

	return base && commit_into(o, chain, base, path, base->format, error);
}

static bool commit_check(const struct image_commit_opts *o, const struct qcow2 *q, GError **error)
{
	if (!q || !q->backing || !q->backing_format)
		return error_set(
			error, VMM_ERR_OPERATION_INVALID,
			"image '%s' has no backing file (with a stored format) to commit to",
			o->path);
	if (q->n_snapshots && !o->keep && !o->base)
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"image '%s' has internal snapshots; it can only be committed with -d",
			o->path);
	return true;
}

bool image_commit(const struct image_commit_opts *o, GError **error)
{
	g_autoptr(block) top = NULL;
	g_autofree char *path = NULL;
	struct qcow2 *q;
	int r = 0;

	if (!image_format_given(o->path, o->format, error))
		return false;
	top = image_open_alone(o->path, o->format, false, error);
	q = top ? qcow2_of(block_top(top)) : NULL;
	if (!top || !commit_check(o, q, error))
		return false;
	if (o->base)
		return commit_chain(o, error);
	path = chain_resolve(o->path, q->backing, error);
	if (!path || !commit_into(o, top, NULL, path, q->backing_format, error))
		return false;
	if (!o->keep)
		r = forget_all(top);
	return r == 0 || error_errno(error, r, "empty image '%s'", o->path);
}
