/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of data and of holes. */
#include "config.h"
#include "libvmm/util/sparse.h"

#include <errno.h>
#include <glib.h>
#include <string.h>

void sparse_head(enum sparse_kind kind, uint64_t bytes, uint8_t ret[SPARSE_HEAD_BYTES])
{
	const uint64_t words[2] = { kind, bytes };

	G_STATIC_ASSERT(sizeof(words) == SPARSE_HEAD_BYTES);
	memcpy(ret, words, sizeof(words));
}

static int head_take(struct sparse_reader *r, const struct sparse_ops *ops, void *opaque)
{
	uint64_t words[2];

	memcpy(words, r->head, sizeof(words));
	r->have = 0;
	if (words[1] == 0 || words[1] > INT64_MAX)
		return -EPROTO;
	if (words[0] == SPARSE_DATA)
		r->left = words[1];
	else if (words[0] != SPARSE_HOLE)
		return -EPROTO;
	else if (!ops->hole(words[1], opaque))
		return -ECANCELED;
	return 0;
}

int sparse_read(struct sparse_reader *r, const uint8_t *in, size_t bytes,
		const struct sparse_ops *ops, void *opaque)
{
	while (bytes > 0) {
		size_t n = r->left ? MIN(r->left, bytes) : MIN(SPARSE_HEAD_BYTES - r->have, bytes);
		int err = 0;

		if (r->left) {
			r->left -= n;
			err = ops->data(in, n, opaque) ? 0 : -ECANCELED;
		} else {
			memcpy(r->head + r->have, in, n);
			r->have += (unsigned)n;
			if (r->have == SPARSE_HEAD_BYTES)
				err = head_take(r, ops, opaque);
		}
		if (err)
			return err;
		in += n;
		bytes -= n;
	}
	return 0;
}

bool sparse_is_whole(const struct sparse_reader *r)
{
	return r->have == 0 && r->left == 0;
}
