/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image convert -B": an overlay gets what its backing file shows differently. */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

/* Both show the same bytes of the same file. */
static bool same_place(const struct extent *a, const struct extent *b)
{
	const struct file *fa = a->layer->file, *fb = b->layer->file;

	if (a->type == EXTENT_ZERO || b->type == EXTENT_ZERO)
		return a->type == b->type;
	return a->type == EXTENT_DATA && b->type == EXTENT_DATA && a->host_off == b->host_off &&
	       fa->dev == fb->dev && fa->ino == fb->ino;
}

static bool difference_want(void *opaque, uint64_t off, uint64_t *bytes, bool *ret_read,
			    bool *ret_stop, GError **error)
{
	const struct image_copy *o = opaque;
	struct extent have, want;
	int r = image_map_data(block_top(o->from), off, *bytes, &want);

	if (r == 0)
		r = image_map_data(block_top(o->to), off, want.bytes, &have);
	if (r < 0)
		return error_errno(error, r, "map '%s' at %" G_GUINT64_FORMAT, o->source, off);
	*bytes = have.bytes;
	*ret_read = !same_place(&have, &want);
	if (*ret_read)
		*bytes = MIN(*bytes, IMAGE_PAIR_BYTES);
	return image_shown(&want, *bytes, error);
}

/* Zeroes need not be written out. */
static int difference_write(const struct image_copy *o, uint64_t off, const uint8_t *want,
			    uint64_t n)
{
	if (buffer_is_zero(want, n))
		return block_pwrite_zeroes(o->to, off, n, BLOCK_REQ_UNMAP);
	return block_pwrite(o->to, off, want, n);
}

static int difference_have(void *opaque, uint64_t off, const uint8_t *want, const uint8_t *have,
			   uint64_t bytes)
{
	const struct image_copy *o = opaque;
	uint64_t unit = MAX(block_cluster_bytes(o->to), IMAGE_SPARSE_BYTES);
	int r = 0;

	for (uint64_t pos = 0, n; pos < bytes && r == 0; pos += n) {
		n = MIN(unit - (off + pos) % unit, bytes - pos);
		if (memcmp(have + pos, want + pos, n) != 0)
			r = difference_write(o, off + pos, want + pos, n);
	}
	return r;
}

bool image_copy_difference(const struct image_copy *o, GError **error)
{
	g_autofree char *what = g_strdup_printf("copy '%s' into '%s'", o->source, o->target);
	const struct image_pair pair = { .a = o->from, .b = o->to, .end = block_bytes(o->to),
					 .what = what, .want = difference_want,
					 .have = difference_have, .opaque = (void *)o,
					 .progress = o->progress };

	return image_pair(&pair, error);
}
