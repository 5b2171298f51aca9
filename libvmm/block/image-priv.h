/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the offline image tools. */
#pragma once

#include "libvmm/block/block-priv.h"
#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"

/* The format itself or, for NULL, what the file says; checked.  NULL and *error. */
const char *image_format(const char *path, const char *format, GError **error);
/* A disk for a tool: whole chain, page cache, no waiting for the disk until the end. */
struct block *image_open(const char *path, const char *format, bool read_only, bool share,
			 GError **error);
/* For changes of one qcow2 image (or reading it), without what is behind it. */
struct block *image_open_alone(const char *path, const char *format, bool read_only,
			       GError **error);
/* All of it on the disk. */
bool image_sync_path(const char *path, GError **error);
bool image_tick(const struct image_progress *progress, uint64_t done, uint64_t total,
		GError **error);
bool buffer_is_zero(const void *buf, size_t bytes);
/* chain_map(), and holes of raw files count as zeroes. */
int image_map_data(struct layer *top, uint64_t off, uint64_t bytes, struct extent *ret);
int image_raw_hole(const struct file *f, uint64_t off, uint64_t *bytes);
/* Tables for [from, to) of a disk that is not in use. */
bool image_preallocate(struct block *b, uint64_t from, uint64_t to, enum image_prealloc how,
		       GError **error);

/* image-copy.c: `from` into `to`, which reads as zeroes until now. */
struct image_copy {
	struct block *from, *to;
	const char *source, *target;	/* for messages */
	bool compress;			/* to is qcow2 */
	const struct image_progress *progress;
};

bool image_copy(const struct image_copy *o, GError **error);
/* The same into an overlay: only what its backing file shows differently. */
bool image_copy_difference(const struct image_copy *o, GError **error);
