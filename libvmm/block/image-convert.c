/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "image convert".
 *
 * The target is made under a name of its own beside the final one, brought to
 * the disk, then renamed: nobody ever sees half an image.
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

static bool target_free(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || error_errno(error, errno, "open '%s'", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "'%s' is not a regular file: cannot be replaced by an image",
				 path);
	return lock_image(fd, path, false, error);
}

static bool convert_to(const struct image_convert_opts *o, struct block *from, const char *path,
		       GError **error)
{
	struct image_create_opts t = o->target;
	struct block_opts bo = { .path = path, .format = t.format, .cache = BLOCK_CACHE_UNSAFE };
	struct image_copy copy = { .from = from, .source = o->source, .target = o->target.path,
				   .compress = o->compress, .progress = &o->progress };
	bool ok;

	t.path = path;
	t.exclusive = true;
	t.bytes = t.bytes ? t.bytes : block_bytes(from);
	if (!image_create(&t, error))
		return false;
	copy.to = block_open(&bo, error);
	if (!copy.to)
		return false;
	ok = t.backing_file ? image_copy_difference(&copy, error) : image_copy(&copy, error);
	if (ok) {
		int r = block_flush(copy.to);

		ok = r == 0 || error_errno(error, r, "write image '%s'", o->target.path);
	}
	block_close(copy.to);
	return ok && image_sync_path(path, error);
}

static bool target_publish(const char *temp, const char *path, GError **error)
{
	g_autofree char *folder = g_path_get_dirname(path);

	if (rename(temp, path) < 0)
		return error_errno(error, errno, "rename '%s' to '%s'", temp, path);
	return image_sync_path(folder, error);
}

static bool convert_check(const struct image_convert_opts *o, GError **error)
{
	if (o->target.backing_file && (o->compress || o->target.bytes))
		return error_set(
			error, VMM_ERR_INVALID_ARG,
			"an overlay is as large as its source and its clusters are not compressed");
	if (o->compress && strcmp(o->target.format ? o->target.format : "", "qcow2"))
		return error_set(error, VMM_ERR_INVALID_ARG, "only qcow2 images can be compressed");
	return true;
}

bool image_convert(const struct image_convert_opts *o, GError **error)
{
	g_autofree char *temp = g_strdup_printf("%s.%d.tmp", o->target.path, (int)getpid());
	g_autoptr(block) from = NULL;
	bool ok;

	if (!convert_check(o, error))
		return false;
	from = image_open(o->source, o->source_format, true, o->share_source, error);
	if (!from || !target_free(o->target.path, error))
		return false;
	unlink(temp);	/* of a process with our number that is no more */
	ok = convert_to(o, from, temp, error) && target_publish(temp, o->target.path, error);
	if (!ok)
		unlink(temp);
	return ok;
}
