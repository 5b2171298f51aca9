/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a domain's consoles said and say: from the journal, then live, each byte
 * once.  Journal and live stream are put together by their positions: the live
 * one is attached first, so what the journal's copy lacks is in it.
 */
#pragma once

#include "libvmm/util/conlog.h"
#include "libvmm/vmm.h"

struct feed;

enum { FEED_ALL_BOOTS = -1 };

struct feed_opts {
	const char *device;	/* alias; NULL: the first */
	unsigned flags;		/* VMM_CONSOLE_...; of live */
	bool live;		/* attach; else the journal is all */
	bool journal;		/* else what the daemon replays */
	int64_t since_us;	/* real time; 0: all that there is */
	int boot;		/* how many boots ago, 0: the last; or FEED_ALL_BOOTS */
};

struct feed_bit {
	int64_t time_us;
	uint64_t boot;		/* number; 0: not known */
	int64_t boot_us;
	enum conlog_cause cause;
	const char *device;
	uint64_t missed;	/* bytes before it that nobody has */
	const void *data;
	size_t len;
};

struct feed_ops {
	void (*bit)(const struct feed_bit *bit, void *opaque);
	/* Once, if it is live: the guest has gone, or an error. */
	void (*ended)(const GError *error, void *opaque);
};

/*
 * Returns when the journal has been told; callbacks run in here, and then on
 * context.
 */
struct feed *feed_open(vmm_domain *dom, const struct feed_opts *opts, GMainContext *context,
		       const struct feed_ops *ops, void *opaque, GError **error);
void feed_free(struct feed *f);
typedef struct feed feed;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(feed, feed_free)

/* The live stream, for what is typed. */
vmm_stream *feed_stream(struct feed *f);
const char *feed_device(const struct feed *f);
