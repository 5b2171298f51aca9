/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames out of a stream of bytes and into one. */
#include "config.h"

#include "images/agent/wire.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint32_t wire_u32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = v >> 8 * i;
}

uint8_t *bytes_room(struct bytes *b, size_t n)
{
	if (b->start && b->size - b->end < n) {
		memmove(b->data, b->data + b->start, bytes_count(b));
		b->end -= b->start;
		b->start = 0;
	}
	if (b->size - b->end < n) {
		b->size = b->end + n + 4096;
		b->data = realloc(b->data, b->size);
		if (!b->data)
			abort(); /* all callers are bounded; there is no memory for a process either
				  */
	}
	return b->data + b->end;
}

void bytes_added(struct bytes *b, size_t n)
{
	assert(n <= b->size - b->end);
	b->end += n;
}

void bytes_add(struct bytes *b, const void *data, size_t n)
{
	if (!n)
		return;
	memcpy(bytes_room(b, n), data, n);
	bytes_added(b, n);
}

void bytes_drop(struct bytes *b, size_t n)
{
	assert(n <= bytes_count(b));
	b->start += n;
	if (b->start == b->end)
		b->start = b->end = 0;
}

void bytes_clear(struct bytes *b)
{
	free(b->data);
	*b = (struct bytes){ 0 };
}

enum wire_result wire_next(const uint8_t *data, size_t n, struct frame *ret, size_t *ret_used)
{
	size_t pad = 0;

	while (pad < n && data[pad] == AGENT_PAD)
		pad++;
	*ret_used = pad;
	data += pad;
	n -= pad;
	if (n < AGENT_HEADER)
		return WIRE_MORE;

	uint32_t rest = wire_u32(data + 1);
	if (data[0] > AGENT_CLOSED || (data[0] > AGENT_CREDIT && data[0] < AGENT_REPLY) ||
	    rest < AGENT_CHANNEL || rest > AGENT_REST_MAX)
		return WIRE_BROKEN;
	if (n < AGENT_HEADER + rest)
		return WIRE_MORE;
	*ret = (struct frame){
		.type = data[0],
		.channel = wire_u32(data + AGENT_HEADER),
		.data = data + AGENT_HEADER + AGENT_CHANNEL,
		.n = rest - AGENT_CHANNEL,
	};
	*ret_used = pad + AGENT_HEADER + rest;
	return WIRE_FRAME;
}

bool wire_skip(const uint8_t *data, size_t n, size_t *zeroes, size_t *ret_used)
{
	for (size_t i = 0; i < n; i++) {
		if (data[i] == AGENT_HELLO && *zeroes >= AGENT_FLUSH) {
			*ret_used = i;
			return true;
		}
		*zeroes = data[i] == 0 ? *zeroes + 1 : 0;
	}
	*ret_used = n;
	return false;
}

void wire_put(struct bytes *out, uint8_t type, uint32_t channel, const void *data, uint32_t n)
{
	uint8_t head[AGENT_HEADER + AGENT_CHANNEL] = { type };

	assert(n <= AGENT_DATA_MAX);
	put_u32(head + 1, AGENT_CHANNEL + n);
	put_u32(head + AGENT_HEADER, channel);
	bytes_add(out, head, sizeof(head));
	bytes_add(out, data, n);
}

static const uint8_t *unread(const struct wire_reader *r)
{
	return r->unread.data + r->unread.start;
}

enum wire_result wire_read(struct wire_reader *r, struct frame *ret)
{
	enum wire_result result;
	size_t used;

	bytes_drop(&r->unread, r->used);
	r->used = 0;
	if (r->lost && bytes_count(&r->unread)) {
		r->lost = !wire_skip(unread(r), bytes_count(&r->unread), &r->zeroes, &used);
		bytes_drop(&r->unread, used);
	}
	if (r->lost || !bytes_count(&r->unread))
		return WIRE_MORE;
	result = wire_next(unread(r), bytes_count(&r->unread), ret, &used);
	if (result == WIRE_FRAME)
		r->used = used;
	else
		bytes_drop(&r->unread, used);
	return result;
}
