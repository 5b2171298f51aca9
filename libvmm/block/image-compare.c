/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image compare": what guests see of two images. */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

struct compare {
	struct block *a, *b;
	uint64_t small;		/* bytes that both have */
	bool strict;
	bool mismatch;		/* the maps show that they differ at mismatch_at */
	uint64_t mismatch_at;
	struct image_compare *ret;
};

/* Nothing to map behind the shorter one's end. */
static bool compare_map(struct block *b, uint64_t off, uint64_t *bytes, struct extent *ret,
			GError **error)
{
	int r;

	*ret = (struct extent){ .type = EXTENT_ZERO };
	if (off >= block_bytes(b))
		return true;
	r = image_map_data(block_top(b), off, *bytes, ret);
	if (r < 0)
		return error_errno(error, r, "compare at %" G_GUINT64_FORMAT, off);
	*bytes = MIN(*bytes, ret->bytes);
	return true;
}

static bool compare_want(void *opaque, uint64_t off, uint64_t *bytes, bool *ret_read,
			 bool *ret_stop, GError **error)
{
	struct compare *c = opaque;
	struct extent a, b;

	if (off < c->small)
		*bytes = MIN(*bytes, c->small - off);
	if (!compare_map(c->a, off, bytes, &a, error) || !compare_map(c->b, off, bytes, &b, error))
		return false;
	*ret_read = a.type != EXTENT_ZERO || b.type != EXTENT_ZERO;
	if (*ret_read)
		*bytes = MIN(*bytes, IMAGE_PAIR_BYTES);
	if (c->strict && (a.type == EXTENT_ZERO) != (b.type == EXTENT_ZERO)) {
		*ret_stop = c->mismatch = true;
		c->mismatch_at = off;
	}
	return image_shown(&a, *bytes, error) && image_shown(&b, *bytes, error);
}

static int compare_have(void *opaque, uint64_t off, const uint8_t *a, const uint8_t *b,
			uint64_t bytes)
{
	struct compare *c = opaque;
	uint64_t i = 0;

	if (memcmp(a, b, bytes) == 0)
		return 0;
	while (a[i] == b[i])
		i++;
	c->ret->equal = false;
	c->ret->offset = off + i;
	return 1;
}

static bool compare_all(struct compare *c, const struct image_progress *progress, GError **error)
{
	static const struct image_progress silent;
	uint64_t large = MAX(block_bytes(c->a), block_bytes(c->b));
	const struct image_pair pair = { .a = c->a, .b = c->b, .end = large, .what = "compare",
					 .want = compare_want, .have = compare_have, .opaque = c,
					 .progress = progress ? progress : &silent };

	c->small = MIN(block_bytes(c->a), block_bytes(c->b));
	c->ret->sizes_differ = c->small != large;
	c->ret->equal = !(c->strict && c->ret->sizes_differ);
	if (!c->ret->equal)
		return true;
	if (!image_pair(&pair, error))
		return false;
	if (c->ret->equal && c->mismatch) {
		c->ret->equal = false;
		c->ret->offset = c->mismatch_at;
	}
	return true;
}

bool image_compare(const char *a, const char *a_format, const char *b, const char *b_format,
		   bool strict, const struct image_progress *progress, struct image_compare *ret,
		   GError **error)
{
	struct compare c = { .strict = strict, .ret = ret };
	bool ok;

	*ret = (struct image_compare){ .equal = true };
	c.a = image_open(a, a_format, true, false, error);
	c.b = c.a ? image_open(b, b_format, true, false, error) : NULL;
	ok = c.b && compare_all(&c, progress, error);
	block_close(c.b);
	block_close(c.a);
	return ok;
}
