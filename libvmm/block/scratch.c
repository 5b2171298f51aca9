/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An overlay in a file without a name: what is written is gone with its last
 * descriptor, whoever dies.  So nothing of it need ever reach the disk.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

struct scratch {
	const struct block_opener *below;
	const char *name;
	int fd;
};

static int scratch_open(void *opaque, const char *path, int flags, GError **error)
{
	const struct scratch *s = opaque;

	if (!strcmp(path, s->name)) {
		int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);

		if (fd < 0)
			error_errno(error, errno, "open '%s'", path);
		return fd;
	}
	if (s->below && s->below->open)
		return s->below->open(s->below->opaque, path, flags, error);
	int fd = open(path, flags);

	if (fd < 0)
		error_errno(error, errno, "open image '%s'", path);
	return fd;
}

static bool base_bytes(const struct block_opts *opts, uint64_t *ret, GError **error)
{
	g_autoptr(block) b = block_open(opts, error);

	if (b)
		*ret = block_bytes(b);
	return b != NULL;
}

struct block *block_open_scratch(const struct block_opts *opts, int fd, GError **error)
{
	auto_close int taken = fd;
	g_autofree char *name = g_strdup_printf("%s (its transient overlay)", opts->path);
	struct scratch s = { opts->opener, name, taken };
	const struct block_opener opener = { scratch_open, &s };
	struct image_create_opts create = {
		.path = name,
		.format = "qcow2",
		.backing_file = opts->path,
		.backing_format = opts->format,
		.backing_unchecked = true,
	};
	struct block_opts base = *opts, over = *opts;

	base.read_only = true;
	over.path = name;
	over.format = "qcow2";
	over.cache = BLOCK_CACHE_UNSAFE;
	over.opener = &opener;
	return base_bytes(&base, &create.bytes, error) && image_create_by(&create, &opener, error) ?
		       block_open(&over, error) : NULL;
}
