/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shared by the offline image tools. */
#pragma once

#include "libvmm/block/block-priv.h"
#include "libvmm/block/image.h"
#include "libvmm/block/qcow2-priv.h"

/* The format itself or, for NULL, what the file says; checked.  NULL and *error. */
const char *image_format(const char *path, const char *format, GError **error);
/* For writing it is never guessed. */
bool image_format_given(const char *path, const char *format, GError **error);
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

/*
 * So much data was found there.  An image in order shows each byte of its file
 * once: one that shows more would make petabytes of a small file.
 */
bool image_shown(const struct extent *ext, uint64_t bytes, GError **error);
/* What an image can be, before anything is made. */
bool image_create_check(const struct image_create_opts *opts, GError **error);
bool image_is_v2(const struct image_create_opts *opts);
/* image_create() of a file that opener gives. */
bool image_create_by(const struct image_create_opts *opts, const struct block_opener *opener,
		     GError **error);

/* image-copy.c: `from` into `to`, which reads as zeroes until now. */
struct image_copy {
	struct block *from, *to;
	const char *source, *target;	/* for messages */
	uint64_t skip;			/* begin there in `from` */
	uint64_t bytes;			/* at most; 0: all of it */
	bool over;			/* to has contents: zeroes must be written */
	/* only what from's layers before `until` (NULL: all there are) say */
	bool partial;
	const struct layer *until;
	bool compress;			/* to is qcow2 */
	bool full;			/* zeroes are data */
	bool any_order;			/* write as it comes */
	uint32_t sparse_bytes;		/* shorter runs of zeroes are data; 0: IMAGE_SPARSE_BYTES */
	unsigned requests;		/* chunks on their way; 0: as many as are good */
	const struct image_progress *progress;
};

#define IMAGE_SPARSE_BYTES 4096u

bool image_copy(const struct image_copy *o, GError **error);

/*
 * image-pair.c: two disks side by side, read ahead.  Either may be NULL or
 * shorter than `end`: zeroes.
 */
#define IMAGE_PAIR_BYTES (1u << 20) /* at a time, of what is read */

struct image_pair {
	struct block *a, *b;
	uint64_t end;
	uint64_t chunk;			/* at a time; 0: IMAGE_PAIR_BYTES */
	const char *what;		/* "compare": for messages */
	/* Cuts *bytes; *ret_read: their contents are wanted.  1: no more.  False: *error. */
	bool (*want)(void *opaque, uint64_t off, uint64_t *bytes, bool *ret_read, bool *ret_stop,
		     GError **error);
	/* In order.  0, 1: no more, or -errno. */
	int (*have)(void *opaque, uint64_t off, const uint8_t *a, const uint8_t *b, uint64_t bytes);
	void *opaque;
	const struct image_progress *progress;
};

bool image_pair(const struct image_pair *o, GError **error);

/* image-overlay.c: `from` into the overlay `to`: only what its backing file shows differently. */
bool image_copy_difference(const struct image_copy *o, GError **error);
