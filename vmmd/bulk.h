/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many domains' statistics, asked for side by side. */
#pragma once

#include "libvmm/rpc/remote.h"
#include "vmmd/domain.h"

enum stats_groups {
	STATS_STATE = 1, STATS_CPU = 2, STATS_BALLOON = 4, STATS_VCPU = 8, STATS_INTERFACE = 0x10,
	STATS_BLOCK = 0x20,
	STATS_OURS = 0x3f, STATS_KNOWN = 0x7ff,
};

struct bulks;
void bulks_free(struct bulks *bulks);

struct bulk_record {
	remote_domain ref;
	GArray *params;			/* of remote_param: "cpu.time", "block.0.rd.bytes" */
	GBytes *packed;			/* what `each` makes of it, if it likes; else NULL */
};

/* A record has all its params: work on it here is done in turns, too. */
typedef void bulk_each(struct bulk_record *record, void *opaque);

/*
 * records: of struct bulk_record, valid during the call.  Runs once, perhaps
 * before bulk_ask() returns.
 */
typedef void bulk_done(const GPtrArray *records, void *opaque);

/*
 * each may be NULL.  A worker that does not answer leaves its domain with what
 * vmmd knows itself.
 */
void bulk_ask(struct daemon *daemon, const GPtrArray *domains, unsigned groups, bulk_each *each,
	      bulk_done *done, void *opaque);
