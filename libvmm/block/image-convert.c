/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image convert" and "image dd".
 *
 * The target is made as a file without a name, brought to the disk, then gets
 * its name: nobody ever sees half an image, and nothing is left of a process
 * that was killed.  Where there are no files without names (or there is another
 * at the target's, which only rename() replaces) it has a hidden one beside it,
 * which the next conversion to the same target takes away.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

#define HIDDEN_NAME_MAX 200	/* of the target's own name */

struct target {
	const char *path;
	char *folder, *hidden;
	int fd;
	bool is_hidden;		/* it has that name now */
};

/* ---- the file ---- */

static bool target_free(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || error_errno(error, errno, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "'%s' is not a regular file: cannot be replaced by an image; use "
				 "-n to write into it", path);
	return lock_image(fd, path, false, error);
}

/* The hidden name, left over or new, for us alone: a descriptor, or -1 and *error. */
static int hidden_take(const struct target *t, GError **error)
{
	const int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

	for (unsigned budget = 100; budget > 0; budget--) {
		auto_close int fd = open(t->hidden, flags, 0644);
		struct stat mine, named;

		if (fd < 0) {
			error_errno(error, errno, "create '%s'", t->hidden);
			return -1;
		}
		if (!lock_image(fd, t->hidden, false, error))
			return -1;
		/* else somebody renamed or removed it before we had the lock */
		if (fstat(fd, &mine) == 0 && lstat(t->hidden, &named) == 0 &&
		    mine.st_dev == named.st_dev && mine.st_ino == named.st_ino)
			return TAKE_FD(fd);
	}
	error_errno(error, EBUSY, "create '%s'", t->hidden);
	return -1;
}

static char *fd_name(const struct target *t)
{
	return g_strdup_printf("/proc/self/fd/%d", t->fd);
}

static bool target_open(struct target *t, GError **error)
{
	g_autofree char *base = g_path_get_basename(t->path), *proc = NULL;

	t->folder = g_path_get_dirname(t->path);
	t->hidden = g_strdup_printf("%s/.%.*s.converting", t->folder, HIDDEN_NAME_MAX, base);
	t->fd = open(t->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0644);
	proc = fd_name(t);
	if (t->fd >= 0 && access(proc, F_OK) == 0)
		return true;
	if (t->fd >= 0)		/* without /proc it could not get a name */
		close(t->fd);
	t->fd = hidden_take(t, error);
	t->is_hidden = t->fd >= 0;
	return t->is_hidden;
}

static bool target_hide(struct target *t, const char *proc, GError **error)
{
	int old = -1;

	if (linkat(AT_FDCWD, proc, AT_FDCWD, t->hidden, AT_SYMLINK_FOLLOW) == 0)
		return true;
	if (errno == EEXIST)
		old = hidden_take(t, error);
	else
		error_errno(error, errno, "create '%s'", t->hidden);
	if (old < 0)
		return false;
	unlink(t->hidden);
	close(old);
	return linkat(AT_FDCWD, proc, AT_FDCWD, t->hidden, AT_SYMLINK_FOLLOW) == 0 ||
	       error_errno(error, errno, "create '%s'", t->hidden);
}

static bool target_publish(struct target *t, GError **error)
{
	g_autofree char *proc = fd_name(t);

	if (fsync(t->fd) < 0)
		return error_errno(error, errno, "sync '%s'", t->path);
	if (!t->is_hidden && linkat(AT_FDCWD, proc, AT_FDCWD, t->path, AT_SYMLINK_FOLLOW) == 0)
		return image_sync_path(t->folder, error);
	if (!t->is_hidden && !target_hide(t, proc, error))
		return false;
	t->is_hidden = true;
	if (rename(t->hidden, t->path) < 0)
		return error_errno(error, errno, "rename '%s' to '%s'", t->hidden, t->path);
	t->is_hidden = false;
	return image_sync_path(t->folder, error);
}

static void target_close(struct target *t)
{
	if (t->is_hidden)
		unlink(t->hidden);
	if (t->fd >= 0)
		close(t->fd);
	g_free(t->folder);
	g_free(t->hidden);
}

/* Its path means the new file; what is behind an overlay is opened as always. */
static int target_dup(void *opaque, const char *path, int flags, GError **error)
{
	const struct target *t = opaque;
	bool mine = !strcmp(path, t->path);
	int fd = mine ? fcntl(t->fd, F_DUPFD_CLOEXEC, 0) : open(path, flags, 0644);

	if (fd < 0)
		error_errno(error, errno, "open image '%s'", path);
	return fd;
}

/* ---- the copy ---- */

/* What stands at the target's name will be gone: an overlay of it would stand on itself. */
static bool backing_stays(const struct target *t, struct block *to, GError **error)
{
	struct stat st;

	if (stat(t->path, &st) < 0)
		return true;
	for (struct layer *l = block_top(to)->backing; l; l = l->backing)
		if (l->file->dev == st.st_dev && l->file->ino == st.st_ino)
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "image '%s' would be an overlay of itself", t->path);
	return true;
}

static bool convert_copy(const struct image_convert_opts *o, struct block *from, struct block *to,
			 GError **error)
{
	const struct image_copy copy = {
		.from = from, .to = to, .source = o->source, .target = o->target.path,
		.skip = o->skip, .bytes = o->count, .over = o->no_create, .compress = o->compress,
		.full = o->full, .any_order = o->any_order, .sparse_bytes = o->sparse_bytes,
		.requests = o->requests, .progress = &o->progress,
	};
	int r;

	if (o->part && !o->count)
		return true;
	if (!(o->target.backing_file ? image_copy_difference : image_copy)(&copy, error))
		return false;
	r = block_flush(to);
	return r == 0 || error_errno(error, r, "write image '%s'", o->target.path);
}

static bool convert_to(const struct image_convert_opts *o, struct block *from, struct target *t,
		       GError **error)
{
	const struct block_opener opener = { .open = target_dup, .opaque = t };
	const struct block_opts bo = { .path = t->path, .format = o->target.format,
				       .cache = BLOCK_CACHE_UNSAFE, .opener = &opener };
	struct image_create_opts create = o->target;
	g_autoptr(block) to = NULL;

	create.exclusive = false;
	if (!create.bytes && !o->part)
		create.bytes = block_bytes(from);
	if (!image_create_by(&create, &opener, error))
		return false;
	to = block_open(&bo, error);
	return to && backing_stays(t, to, error) && convert_copy(o, from, to, error);
}

static bool convert_new(const struct image_convert_opts *o, struct block *from, GError **error)
{
	struct target t = { .path = o->target.path, .fd = -1 };
	bool ok = target_free(t.path, error) && target_open(&t, error) &&
		  convert_to(o, from, &t, error) && target_publish(&t, error);

	target_close(&t);
	return ok;
}

static bool convert_into(const struct image_convert_opts *o, struct block *from, GError **error)
{
	g_autoptr(block) to = image_open(o->target.path, o->target.format, false, false, error);

	if (!to)
		return false;
	if (block_bytes(to) < block_bytes(from))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' has %" G_GUINT64_FORMAT " bytes, '%s' has %"
				 G_GUINT64_FORMAT ": it does not fit in there",
				 o->target.path, block_bytes(to), o->source, block_bytes(from));
	return convert_copy(o, from, to, error);
}

/* ---- what is asked for ---- */

static bool convert_check(const struct image_convert_opts *o, GError **error)
{
	if (o->target.backing_file && (o->compress || o->target.bytes || o->full))
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"an overlay is as large as its source, its clusters are not compressed and "
			"it is never fully allocated");
	if (o->no_create && o->target.backing_file)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "an image that is there gets no other backing file by -n");
	if (o->no_create && !o->target.format)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "a format is never guessed for writing: say it with -O FORMAT");
	if (o->compress && strcmp(o->target.format ? o->target.format : "", "qcow2"))
		return error_set(error, VMM_ERR_INVALID_ARG, "only qcow2 images can be compressed");
	if (o->requests > IMAGE_REQUESTS_MAX)
		return error_set(error, VMM_ERR_INVALID_ARG, "at most %u requests at a time",
				 IMAGE_REQUESTS_MAX);
	return true;
}

/* "dd": from o->skip on, o->count bytes at most. */
static void convert_part(struct image_convert_opts *o, const struct block *from)
{
	uint64_t bytes = block_bytes(from);

	o->skip = MIN(o->skip, bytes);
	o->count = MIN(o->count, bytes - o->skip);
	o->target.bytes = o->count;
}

bool image_convert(const struct image_convert_opts *opts, GError **error)
{
	struct image_convert_opts o = *opts;
	g_autoptr(block) from = NULL;

	if (!convert_check(&o, error))
		return false;
	from = image_open(o.source, o.source_format, true, o.share_source, error);
	if (!from)
		return false;
	if (o.part)
		convert_part(&o, from);
	return o.no_create ? convert_into(&o, from, error) : convert_new(&o, from, error);
}
