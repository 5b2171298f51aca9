/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a job does to the images of a chain.
 *
 * base is written through its one struct layer, which the disk reads, too: so
 * there is one map of it in memory.  Host clusters that it gives up are not
 * used again before the job is over (piece.c, block_synced()).
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/job-priv.h"
#include "libvmm/block/stack.h"
#include "libvmm/util/error.h"

/* ---- which layers ---- */

static bool layer_is(const struct layer *l, const char *path)
{
	g_autofree char *a = g_canonicalize_filename(l->file->path, "/");
	g_autofree char *b = g_canonicalize_filename(path, "/");

	return g_str_equal(a, b);
}

static struct layer *layer_find(struct layer *l, const char *path, struct layer **ret_above)
{
	for (; l; *ret_above = l, l = l->backing)
		if (layer_is(l, path))
			return l;
	return NULL;
}

static bool layers_find(struct block_job *job, GError **error)
{
	const struct block_job_opts *o = &job->opts;
	struct layer *above = NULL;

	job->from = job->b->top;
	if (o->kind == BLOCK_JOB_PULL) {
		job->above = job->from;
		job->from = job->from->backing;
	} else if (o->kind == BLOCK_JOB_COMMIT) {
		job->from = layer_find(job->b->top, o->top, &job->above);
		if (!job->from || !job->above)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' is not behind the head of the disk's chain",
					 o->top);
	}
	if (!job->from)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "image '%s' has no backing file", job->b->top->file->path);
	if (!o->base)
		return true;
	job->base = layer_find(job->from, o->base, &above);
	if (!job->base || (!above && o->kind != BLOCK_JOB_PULL))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' is not behind '%s' in the disk's chain", o->base,
				 job->from->file->path);
	return true;
}

int job_part(const struct block_job *job, uint64_t off, uint64_t *bytes, enum job_part *ret)
{
	*ret = PART_SKIP;
	for (struct layer *l = job->from; l != job->base; l = l->backing) {
		struct extent ext;
		int r;

		*ret = PART_ZERO;
		if (off >= l->bytes)
			return 0;
		r = l->ops->map(l, off, MIN(*bytes, l->bytes - off), &ext);
		if (r < 0)
			return r;
		*bytes = ext.bytes;
		if (ext.type == EXTENT_BACKING) {
			*ret = PART_SKIP;
			continue;
		}
		if (ext.type == EXTENT_ZERO)
			return 0;
		*ret = PART_COPY;
		if (!l->priv && image_raw_hole(l->file, ext.host_off, bytes))
			*ret = PART_ZERO;
		return 0;
	}
	return 0;
}

/* ---- an image that was for reading is for writing, and back ---- */

static int give_fd(void *opaque, const char *path, int flags, GError **error)
{
	int *fd = opaque;

	if (*fd < 0 || fcntl(*fd, F_SETFL, flags & (O_DIRECT | O_NONBLOCK)) < 0) {
		error_errno(error, *fd < 0 ? EBADF : errno, "open image '%s'", path);
		return -1;
	}
	return TAKE_FD(*fd);
}

static void layer_take_file(struct layer *l, struct file *f)
{
	f->end = MAX(f->end, l->file->end);
	l->file = f;
	if (l->priv)
		qcow2_set_file(l, f);
	else
		l->zero_bytes = MAX(f->align, 512);
}

/* Frozen, as a layer that others may read. */
static int layer_close_for_writing(struct layer *l, struct file *read_only)
{
	g_autoptr(GError) error = NULL;
	struct file *f = l->file;
	int r = l->priv ? qcow2_freeze(l) : file_sync(f);

	l->read_only = true;
	layer_take_file(l, read_only);
	file_close(f);
	if (!lock_image(read_only->fd, read_only->path, true, &error))
		g_warning("%s", error->message);
	return r;
}

/* *ret: the file for reading that it had, to be given back. */
static bool layer_open_for_writing(struct layer *l, int *fd, struct file **ret, GError **error)
{
	const struct block_opener opener = { .open = give_fd, .opaque = fd };
	struct file_opts fo = {
		.path = l->file->path, .opener = &opener,
		.cache = l->file->direct ? BLOCK_CACHE_NONE :
			 l->file->unsafe ? BLOCK_CACHE_UNSAFE : BLOCK_CACHE_WRITEBACK,
	};
	g_autoptr(file) f = file_open(&fo, error);
	struct file *old = l->file;

	if (!f)
		return false;
	if (f->dev != old->dev || f->ino != old->ino)
		return error_set(error, VMM_ERR_INVALID_ARG, "'%s' is another file by now",
				 f->path);
	lock_release(old->fd);
	if (!lock_image(f->fd, f->path, false, error)) {
		lock_image(old->fd, old->path, true, NULL);
		return false;
	}
	layer_take_file(l, g_steal_pointer(&f));
	l->read_only = false;
	if (l->priv && !qcow2_thaw(l, error)) {
		layer_close_for_writing(l, old);
		return false;
	}
	*ret = old;
	return true;
}

/* ---- begin ---- */

static bool base_fits(struct block_job *job, GError **error)
{
	if (job->base->bytes >= job->from->bytes)
		return true;
	return block_grow(job->target, job->from->bytes, error);
}

bool job_chain_begin(struct block_job *job, GError **error)
{
	enum block_job_kind kind = job->opts.kind;

	if (!layers_find(job, error))
		return false;
	if (job->b->read_only)
		return error_set(error, VMM_ERR_OPERATION_INVALID, "disk '%s' is read-only",
				 job->b->top->file->path);
	job->source = job->target = job->b;
	if (kind == BLOCK_JOB_PULL)
		return true;
	if (!layer_open_for_writing(job->base, &job->opts.base_fd, &job->base_file, error))
		return false;
	job->target = lodger_new(job->b, job->base, false);
	if (kind == BLOCK_JOB_COMMIT)
		job->source = lodger_new(job->b, job->from, true);
	return base_fits(job, error);
}

void job_chain_end(struct block_job *job)
{
	if (job->source && job->source != job->b)
		lodger_free(job->source);
	if (job->target && job->target != job->b)
		lodger_free(job->target);
	job->source = job->target = NULL;
	if (job->base_file && layer_close_for_writing(job->base, job->base_file) < 0)
		g_warning("image '%s' could not be brought to the disk", job->base_file->path);
	job->base_file = NULL;
}

/* ---- end ---- */

/* [first, last) go; they were read only. */
static void layers_drop(struct layer *first, struct layer *last)
{
	struct layer *l = first;

	if (first == last)
		return;
	while (l->backing != last)
		l = l->backing;
	l->backing = NULL;
	chain_close(first);
}

static bool above_rewrite(struct block_job *job, GError **error)
{
	const char *base = job->base ? job->backing ?: job->base->file->path : NULL;
	const char *format = job->base ? job->base->format : NULL;
	struct layer *l = job->above;
	struct file *read_only = NULL;
	bool ok;

	if (l == job->b->top)
		return header_set_backing(qcow2_of(l), base, format, error);
	if (!layer_open_for_writing(l, &job->opts.above_fd, &read_only, error))
		return false;
	ok = header_set_backing(qcow2_of(l), base, format, error);
	layer_close_for_writing(l, read_only);
	return ok;
}

bool job_chain_finish(struct block_job *job, GError **error)
{
	if (!above_rewrite(job, error))
		return false;
	job_chain_end(job);
	job->above->backing = job->base;
	layers_drop(job->from, job->base);
	return true;
}

/* Base stays open for writing: it is the head from now on. */
void job_chain_pivot(struct block_job *job)
{
	struct block *b = job->b;
	struct layer *old = b->top;

	lodger_free(g_steal_pointer(&job->target));
	file_close(g_steal_pointer(&job->base_file));
	b->top = job->base;
	b->bytes = round_up(job->base->bytes, 512);
	b->serial_bytes = MAX(b->top->file->align, 512);
	b->write_back_armed = false;
	pieces_fit(b);
	layers_drop(old, job->base);
}
