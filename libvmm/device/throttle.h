/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Limits of bytes and requests per second, of one disk or of several that
 * share them.  Any thread.
 *
 * A disk asks for the first of its line of reads and for the first of its line
 * of writes, and for the next when that one has begun: so those who wait take
 * turns, be they lines of one disk or of several.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

/* What may be done in a second; burst: for burst_s seconds, before it is held to the rate. */
struct blk_limit {
	uint64_t rate;		/* 0: no limit */
	uint64_t burst, burst_s;
};

/* Of bytes, then of requests: all, reads, writes. */
struct blk_limits {
	struct blk_limit limits[6];
	uint64_t op_bytes;	/* a request counts as one for each so many bytes; 0: as one */
};

enum throttle_line { THROTTLE_READS, THROTTLE_WRITES, N_THROTTLE_LINES };

struct throttle;

/* NULL: there is no limit in them. */
struct throttle *throttle_new(const struct blk_limits *limits, int64_t now_us);
struct throttle *throttle_ref(struct throttle *t);
void throttle_unref(struct throttle *t);

/*
 * When a request may begin, in g_get_monotonic_time(), perhaps at once; its
 * part of the limits is used up by asking.
 */
int64_t throttle_take(struct throttle *t, enum throttle_line line, uint64_t bytes,
		      int64_t now_us);
/* It asked, and is not to begin any more. */
void throttle_put_back(struct throttle *t, enum throttle_line line, uint64_t bytes);
