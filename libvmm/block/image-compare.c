/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image compare": what guests see of two images. */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES (2u << 20)

struct pair {
	struct block *a, *b;
	uint8_t *buf_a, *buf_b;
	bool strict;
};

static int pair_map(struct block *b, uint64_t off, uint64_t *bytes, bool *ret_zero)
{
	struct extent ext;
	int r = image_map_data(block_top(b), off, *bytes, &ext);

	if (r < 0)
		return r;
	*bytes = MIN(*bytes, ext.bytes);
	*ret_zero = ext.type == EXTENT_ZERO;
	return 0;
}

static uint64_t first_difference(const uint8_t *a, const uint8_t *b, uint64_t n)
{
	uint64_t i = 0;

	while (i < n && a[i] == b[i])
		i++;
	return i;
}

/* Bytes that are equal from off on, at most *bytes, which is cut to what was looked at. */
static int pair_chunk(struct pair *p, uint64_t off, uint64_t *bytes, uint64_t *ret_same)
{
	bool za, zb;
	int r = pair_map(p->a, off, bytes, &za);

	if (r == 0)
		r = pair_map(p->b, off, bytes, &zb);
	if (r < 0)
		return r;
	*ret_same = *bytes;
	if (za && zb)
		return 0;
	*ret_same = *bytes = MIN(*bytes, CHUNK_BYTES);
	if (p->strict && za != zb) {
		*ret_same = 0;
		return 0;
	}
	r = block_pread(p->a, off, p->buf_a, *bytes);
	if (r == 0)
		r = block_pread(p->b, off, p->buf_b, *bytes);
	if (r == 0)
		*ret_same = first_difference(p->buf_a, p->buf_b, *bytes);
	return r;
}

/* Only one has it: it must read as zeroes. */
static int tail_chunk(struct pair *p, struct block *b, uint64_t off, uint64_t *bytes,
		      uint64_t *ret_same)
{
	bool zero;
	int r = pair_map(b, off, bytes, &zero);

	if (r < 0)
		return r;
	*ret_same = *bytes;
	if (zero)
		return 0;
	*ret_same = *bytes = MIN(*bytes, CHUNK_BYTES);
	memset(p->buf_b, 0, *bytes);
	r = block_pread(b, off, p->buf_a, *bytes);
	if (r == 0)
		*ret_same = first_difference(p->buf_a, p->buf_b, *bytes);
	return r;
}

static bool compare_all(struct pair *p, const struct image_progress *progress,
			struct image_compare *ret, GError **error)
{
	static const struct image_progress silent;
	uint64_t small = MIN(block_bytes(p->a), block_bytes(p->b));
	uint64_t large = MAX(block_bytes(p->a), block_bytes(p->b));
	struct block *longer = block_bytes(p->a) > small ? p->a : p->b;

	for (uint64_t off = 0; off < large && ret->equal;) {
		uint64_t n = (off < small ? small : large) - off, same;
		int r = off < small ? pair_chunk(p, off, &n, &same) :
				      tail_chunk(p, longer, off, &n, &same);

		if (r < 0)
			return error_errno(error, r, "compare at %" G_GUINT64_FORMAT, off);
		ret->equal = same == n;
		ret->offset = off + same;
		off += n;
		if (!image_tick(progress ? progress : &silent, off, large, error))
			return false;
	}
	return true;
}

bool image_compare(const char *a, const char *a_format, const char *b, const char *b_format,
		   bool strict, const struct image_progress *progress, struct image_compare *ret,
		   GError **error)
{
	struct pair p = { .strict = strict };
	bool ok = false;

	*ret = (struct image_compare){ .equal = true };
	p.a = image_open(a, a_format, true, false, error);
	p.b = p.a ? image_open(b, b_format, true, false, error) : NULL;
	if (p.b) {
		ret->sizes_differ = block_bytes(p.a) != block_bytes(p.b);
		ret->equal = !(strict && ret->sizes_differ);
		p.buf_a = g_malloc(CHUNK_BYTES);
		p.buf_b = g_malloc(CHUNK_BYTES);
		ok = compare_all(&p, progress, ret, error);
		g_free(p.buf_a);
		g_free(p.buf_b);
	}
	block_close(p.b);
	block_close(p.a);
	return ok;
}
