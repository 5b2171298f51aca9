/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One way of a connection that is passed on: what comes from one descriptor
 * goes to another, no more than a buffer of it waits, and the end is passed on
 * when all before it has been.  Both descriptors do not block.
 */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAY_BYTES 32768

struct way {
	int from, to; /* to -1: over */
	size_t start, end;
	uint8_t data[WAY_BYTES];
};

/* Without its buffer's bytes, which nobody has written yet. */
void way_begin(struct way *w, int from, int to);
/* What is to be waited for, of at most one of its ends. */
struct pollfd way_wait(const struct way *w);
/*
 * When that has come.  The end is told by shutdown(2) if `to` is a socket,
 * else by closing it.  false: the connection is broken.
 */
bool way_go(struct way *w, bool to_socket);

/* Two sockets and both ways between them. */
struct join {
	int ends[2];
	struct way ways[2];
};

enum join_result { JOIN_GOES, JOIN_OVER, JOIN_BROKEN };

/* The sockets become the join's.  NULL: no memory, they are closed. */
struct join *join_new(int a, int b);
void join_wait(const struct join *j, struct pollfd ret[2]);
/* By what came of join_wait(). */
enum join_result join_go(struct join *j, const struct pollfd polled[2]);
/* broken: who is at a TCP end sees a reset, not the end of what there is. */
void join_free(struct join *j, bool broken);
