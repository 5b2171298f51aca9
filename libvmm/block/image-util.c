/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the offline image tools have in common. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

const char *image_probe(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint32_t magic = 0;

	if (fd < 0) {
		error_errno(error, errno, "open image '%s'", path);
		return NULL;
	}
	if (pread(fd, &magic, sizeof(magic), 0) < 0) {
		error_errno(error, errno, "read image '%s'", path);
		return NULL;
	}
	return magic == GUINT32_TO_BE(QCOW2_MAGIC) ? "qcow2" : "raw";
}

const char *image_format(const char *path, const char *format, GError **error)
{
	if (!format)
		return image_probe(path, error);
	if (!strcmp(format, "raw") || !strcmp(format, "qcow2"))
		return format;
	error_set(error, VMM_ERR_INVALID_ARG,
		  "image format '%s' is not supported; raw and qcow2 are", format);
	return NULL;
}

bool image_format_given(const char *path, const char *format, GError **error)
{
	return format || error_set(error, VMM_ERR_INVALID_ARG,
				   "image '%s': a format is never guessed for writing: say it with "
				   "-f FORMAT", path);
}

bool image_prealloc_from_name(const char *name, enum image_prealloc *ret, GError **error)
{
	static const char *const names[] = { "off", "metadata", "falloc", "full" };

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(name, names[i])) {
			*ret = i;
			return true;
		}
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "preallocation '%s' is none of off, metadata, falloc, full", name);
}

struct block *image_open(const char *path, const char *format, bool read_only, bool share,
			 GError **error)
{
	struct block_opts o = {
		.path = path, .format = image_format(path, format, error), .read_only = read_only,
		.share = share, .discard = true, .cache = BLOCK_CACHE_WRITEBACK,
	};

	return o.format ? block_open(&o, error) : NULL;
}

struct block *image_open_alone(const char *path, const char *format, bool read_only, GError **error)
{
	struct block_opts o = {
		.path = path, .format = image_format(path, format, error), .read_only = read_only,
		.no_backing = true, .discard = true, .cache = BLOCK_CACHE_WRITEBACK,
	};

	return o.format ? block_open(&o, error) : NULL;
}

bool image_sync_path(const char *path, GError **error)
{
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return error_errno(error, errno, "sync '%s'", path);
	return true;
}

bool image_tick(const struct image_progress *p, uint64_t done, uint64_t total, GError **error)
{
	if (!p->fn || p->fn(p->opaque, MIN(done, total), MAX(total, 1)))
		return true;
	return error_set(error, VMM_ERR_ABORTED, "cancelled");
}

bool buffer_is_zero(const void *buf, size_t bytes)
{
	const uint8_t *p = buf;

	return bytes == 0 || (p[0] == 0 && memcmp(p, p + 1, bytes - 1) == 0);
}

/* Is there data at off?  1 hole, 0 data; *bytes is cut to where that ends. */
int image_raw_hole(const struct file *f, uint64_t off, uint64_t *bytes)
{
	off_t data = lseek(f->fd, off, SEEK_DATA), hole;

	if (data < 0 && errno == ENXIO)
		return 1;
	if (data < 0)		/* a file system that does not tell */
		return 0;
	if ((uint64_t)data > off) {
		*bytes = MIN(*bytes, (uint64_t)data - off);
		return 1;
	}
	hole = lseek(f->fd, off, SEEK_HOLE);
	if (hole > 0)
		*bytes = MIN(*bytes, (uint64_t)hole - off);
	return 0;
}

int image_map_data(struct layer *top, uint64_t off, uint64_t bytes, struct extent *ret)
{
	int r = chain_map(top, off, bytes, ret);

	if (r == 0 && ret->type == EXTENT_DATA && !ret->layer->priv &&
	    image_raw_hole(ret->layer->file, ret->host_off, &ret->bytes))
		ret->type = EXTENT_ZERO;
	return r;
}

bool image_shown(const struct extent *ext, uint64_t bytes, GError **error)
{
	struct layer *l = (struct layer *)ext->layer;

	if (ext->type != EXTENT_DATA)
		return true;
	l->shown += bytes;
	if (l->shown <= round_up(layer_data(l)->end, l->cluster_bytes))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "image '%s' is corrupt: its tables show more data than its file holds; "
			 "see 'vmsh image check'", l->file->path);
}
