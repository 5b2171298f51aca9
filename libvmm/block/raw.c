/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The raw format: a byte of the disk is a byte of the file. */
#include "config.h"

#include <errno.h>

#include "libvmm/block/block-priv.h"
#include "libvmm/util/error.h"

static int raw_map(struct layer *l, uint64_t off, uint64_t bytes, struct extent *ret)
{
	*ret = (struct extent){
		.type = EXTENT_DATA, .layer = l, .host_off = off, .bytes = bytes, .allocated = true,
	};
	return 0;
}

static int raw_map_write(struct layer *l, uint64_t off, uint64_t bytes, struct plan *ret)
{
	*ret = (struct plan){ .off = off, .bytes = bytes, .host_off = off };
	return 0;
}

static int raw_link(struct layer *l, const struct plan *plan)
{
	return 0;
}

static void raw_abandon(struct layer *l, const struct plan *plan)
{
}

static int raw_zero(struct layer *l, uint64_t off, uint64_t bytes, enum zero_how how)
{
	if (how == ZERO_DISCARD)
		return file_punch(l->file, off, bytes);
	return file_zero(l->file, off, bytes, how == ZERO_UNMAP && l->discard);
}

static int raw_unpack(struct layer *l, const struct extent *ext, const uint8_t **ret)
{
	return -EIO;
}

static int raw_sync(struct layer *l)
{
	return 0;
}

static void raw_quiesce(struct layer *l, bool begin)
{
}

static void raw_close(struct layer *l)
{
}

static const struct layer_ops raw_ops = {
	.map = raw_map,
	.map_write = raw_map_write,
	.link = raw_link,
	.abandon = raw_abandon,
	.zero = raw_zero,
	.unpack = raw_unpack,
	.sync = raw_sync,
	.quiesce = raw_quiesce,
	.close = raw_close,
};

bool raw_open(struct layer *l, GError **error)
{
	l->ops = &raw_ops;
	l->bytes = l->file->end;
	l->cluster_bytes = 512;
	l->zero_bytes = MAX(l->file->align, 512);
	if (!l->read_only && l->file->direct && l->bytes % l->file->align)
		return error_set(
			error, VMM_ERR_OPERATION_UNSUPPORTED,
			"image '%s': its size is not a multiple of %u, which direct I/O needs "
			"here; use cache='writeback'",
			l->file->path, l->file->align);
	return true;
}
