/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Records of data and holes, cut anywhere: the pieces say the same as the whole. */
#include "config.h"

#include <errno.h>

#include "libvmm/util/sparse.h"
#include "tests/fuzz/fuzz.h"

struct seen {
	GByteArray *data;
	uint64_t holes, sum;
};

static bool on_data(const uint8_t *data, size_t bytes, void *opaque)
{
	struct seen *s = opaque;

	g_byte_array_append(s->data, data, (guint)bytes);
	return true;
}

static bool on_hole(uint64_t bytes, void *opaque)
{
	struct seen *s = opaque;

	if (bytes == 0 || bytes > INT64_MAX)
		g_error("a hole of %" G_GUINT64_FORMAT " bytes", bytes);
	s->holes++;
	s->sum = s->sum * 31 + bytes + s->data->len;
	return true;
}

static int read_in(const uint8_t *data, size_t size, size_t step, struct seen *s, bool *ret_whole)
{
	static const struct sparse_ops ops = { on_data, on_hole };
	struct sparse_reader r = { .have = 0 };
	int err = 0;

	for (size_t at = 0, n; at < size && !err; at += n) {
		n = MIN(step, size - at);
		err = sparse_read(&r, data + at, n, &ops, s);
	}
	*ret_whole = sparse_is_whole(&r);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen a = { .data = g_byte_array_new() }, b = { .data = g_byte_array_new() };
	const size_t step = size ? data[0] % 40 + 1 : 1;
	bool whole_a, whole_b;
	int err_a, err_b;

	fuzz_quiet();
	err_a = read_in(data, size, size ?: 1, &a, &whole_a);
	err_b = read_in(data, size, step, &b, &whole_b);
	if (err_a != err_b || whole_a != whole_b || a.holes != b.holes || a.sum != b.sum ||
	    a.data->len != b.data->len || a.data->len > size ||
	    (a.data->len && memcmp(a.data->data, b.data->data, a.data->len)))
		g_error("the same bytes in pieces of %zu say something else", step);
	g_byte_array_unref(a.data);
	g_byte_array_unref(b.data);
	return 0;
}
