/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What comes to the guest's agent: frames in pieces, JSON in them, the way back from garbage. */
#include "config.h"
#include "fuzz.h"

#include "images/agent/object.h"
#include "images/agent/wire.h"

static void look(const struct frame *f, const uint8_t *begin, const uint8_t *end)
{
	g_assert_true(f->n <= AGENT_DATA_MAX && f->data >= begin && f->data + f->n <= end);
	struct json_object *o = object_read(f->data, f->n);
	bool bad = false;

	if (o) {
		object_text(o, "do");
		object_flag(o, "network");
		g_free(object_texts(o, "args"));
		int64_t n = object_number(o, "uid", 5, 0, 9, &bad);
		g_assert_true(n >= 0 && n <= 9);
	}
	json_object_put(o);
}

/* Returns how many of the bytes are dealt with. */
static size_t step(const struct bytes *b, bool *lost, size_t *zeroes)
{
	const uint8_t *data = b->data + b->start;
	struct frame f;
	size_t used;

	if (*lost) {
		*lost = !wire_skip(data, bytes_count(b), zeroes, &used);
		return used;
	}
	switch (wire_next(data, bytes_count(b), &f, &used)) {
	case WIRE_FRAME:
		look(&f, data, data + bytes_count(b));
		g_assert_true(used > 0);
		break;
	case WIRE_BROKEN:
		*lost = true;
		*zeroes = 0;
		break;
	case WIRE_MORE:
		break;
	}
	return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { 0 };
	bool lost = false;
	size_t zeroes = 0;

	while (size > 0) {
		size_t n = MIN(size, (size_t)(data[0] & 63) + 1);
		bytes_add(&b, data, n);
		data += n;
		size -= n;
		for (;;) {
			bool was = lost;
			size_t used = bytes_count(&b) ? step(&b, &lost, &zeroes) : 0;
			g_assert_true(used <= bytes_count(&b));
			bytes_drop(&b, used);
			if (!used && was == lost)
				break;
		}
	}
	bytes_clear(&b);
	return 0;
}
