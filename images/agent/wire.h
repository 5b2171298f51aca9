/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Frames out of a stream of bytes and into one; no system calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "images/agent/proto.h"

/* Bytes that wait; take from the front, add behind. */
struct bytes {
	uint8_t *data;
	size_t start, end, size;
};

static inline size_t bytes_count(const struct bytes *b)
{
	return b->end - b->start;
}

void bytes_add(struct bytes *b, const void *data, size_t n);
/* Room for n bytes at the end; bytes_added() says how many were put there. */
uint8_t *bytes_room(struct bytes *b, size_t n);
void bytes_added(struct bytes *b, size_t n);
void bytes_drop(struct bytes *b, size_t n);
void bytes_clear(struct bytes *b);

struct frame {
	uint8_t type;
	uint32_t channel;
	const uint8_t *data; /* in the bytes that were looked at; until they change */
	uint32_t n;
};

enum wire_result {
	WIRE_MORE, /* there is no whole frame yet */
	WIRE_FRAME,
	WIRE_BROKEN, /* what came is no frame; see wire_skip() */
};

/* *ret_used: how many bytes to drop when the frame was dealt with; of MORE, those of padding. */
enum wire_result wire_next(const uint8_t *data, size_t n, struct frame *ret, size_t *ret_used);

/*
 * After WIRE_BROKEN: how many of the bytes belong to nothing.  zeroes counts
 * those in a row, from 0 on; true when frames may be looked for again.
 */
bool wire_skip(const uint8_t *data, size_t n, size_t *zeroes, size_t *ret_used);

/* Bytes that come in pieces, and the frames in them. */
struct wire_reader {
	struct bytes unread;
	size_t used;		/* of them, by the frame that was given last */
	bool lost;		/* looks for where frames begin: wire_skip() */
	size_t zeroes;
};

/* The next frame in r->unread, good until the next call. */
enum wire_result wire_read(struct wire_reader *r, struct frame *ret);

void wire_put(struct bytes *out, uint8_t type, uint32_t channel, const void *data, uint32_t n);
uint32_t wire_u32(const uint8_t *p);
