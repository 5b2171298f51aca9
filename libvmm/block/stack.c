/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Another image on top of a disk at work. */
#include "config.h"
#include "libvmm/block/stack.h"

#include <string.h>

#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

struct block_over {
	struct block *b;	/* the new image alone */
	struct file *below;	/* what it says is behind it, for reading */
};

/* ---- the new image ---- */

static struct file *below_open(const struct block_opts *o, const struct layer *top, GError **error)
{
	const char *name = top->priv ? qcow2_backing_name(top) : NULL;
	g_autofree char *path = NULL;

	if (!name || !qcow2_backing_format(top)) {
		error_set(error, VMM_ERR_INVALID_ARG,
			  "image '%s' is no overlay: it must be qcow2 and store the name and the "
			  "format of its backing file", o->path);
		return NULL;
	}
	path = chain_resolve(o->path, name, error);
	if (!path)
		return NULL;
	return file_open(&(struct file_opts){ .path = path, .read_only = true, .cache = o->cache,
					      .direct_optional = true, .opener = o->opener },
			 error);
}

struct block_over *block_over_open(const struct block_opts *opts, GError **error)
{
	struct block_opts o = *opts;
	struct block_over *over = g_new0(struct block_over, 1);

	o.no_backing = true;
	over->b = block_open(&o, error);
	if (over->b)
		over->below = below_open(&o, over->b->top, error);
	if (over->below)
		return over;
	block_over_free(over);
	return NULL;
}

void block_over_free(struct block_over *over)
{
	if (!over)
		return;
	block_close(over->b);
	file_close(over->below);
	g_free(over);
}

/* ---- the old head ---- */

static bool over_fits(const struct block *b, const struct block_over *over, GError **error)
{
	const struct layer *new = over->b->top, *old = b->top;
	unsigned depth = 1;

	for (const struct layer *l = old; l; l = l->backing)
		depth++;
	if (b->read_only)
		return error_set(error, VMM_ERR_OPERATION_INVALID, "disk '%s' is read-only",
				 old->file->path);
	if (over->below->dev != old->file->dev || over->below->ino != old->file->ino)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' has the backing file '%s', but the disk's image is "
				 "'%s'", new->file->path, over->below->path, old->file->path);
	if (strcmp(qcow2_backing_format(new), old->format))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' says that its backing file is %s, but '%s' is %s",
				 new->file->path, qcow2_backing_format(new), old->file->path,
				 old->format);
	if (over->b->bytes != b->bytes)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' has %" G_GUINT64_FORMAT " bytes, the disk '%s' has "
				 "%" G_GUINT64_FORMAT, new->file->path, over->b->bytes,
				 old->file->path, b->bytes);
	if (depth > CHAIN_MAX)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "image '%s': more than %d backing files behind each other; "
				 "shorten the chain first (blockpull, blockcommit)",
				 new->file->path, CHAIN_MAX);
	return true;
}

static int layer_freeze(struct layer *l)
{
	return l->priv ? qcow2_freeze(l) : file_sync(l->file);
}

bool block_freeze(struct block *b, struct block_over *over, GError **error)
{
	struct layer *l = b->top;
	int r;

	if (!over_fits(b, over, error))
		return false;
	r = layer_freeze(l);
	if (r < 0)
		return error_errno(error, r, "bring image '%s' to the disk", l->file->path);
	lock_downgrade(l->file->fd);
	l->read_only = true;
	if (lock_image(over->below->fd, l->file->path, true, error))
		return true;
	block_thaw(b, over);
	return false;
}

/*
 * Somebody may have begun to read the image meanwhile: then we write all the
 * same, as we did before; it is he who came too early.
 */
void block_thaw(struct block *b, struct block_over *over)
{
	struct layer *l = b->top;
	g_autoptr(GError) error = NULL;

	g_clear_pointer(&over->below, file_close);	/* its lock is in our way */
	l->read_only = false;
	if (!lock_image(l->file->fd, l->file->path, false, &error))
		g_warning("%s", error->message);
	g_clear_error(&error);
	if (l->priv && !qcow2_thaw(l, &error)) {
		g_warning("%s", error->message);
		b->read_only = true;
	}
}

/* From here on the old head is open for reading only: not even a bug can change it. */
static void layer_set_file(struct layer *l, struct file *f)
{
	f->end = MAX(f->end, l->file->end);
	file_close(l->file);
	l->file = f;
	if (l->priv)
		qcow2_set_file(l, f);
}

void block_push(struct block *b, struct block_over *over)
{
	struct layer *old = b->top, *new = over->b->top;

	layer_set_file(old, g_steal_pointer(&over->below));
	new->backing = old;
	over->b->top = NULL;
	b->top = new;
	b->serial_bytes = MAX(new->file->align, 512);
	b->write_back_armed = false;
	pieces_fit(b);
	block_over_free(over);
}

const char *block_path(const struct block *b)
{
	return b->top->file->path;
}
