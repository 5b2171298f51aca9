/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the disks of two snapshots differ. */
#pragma once

#include "vmmd/domain.h"

#define SNAPSHOT_DIFF_MAX 65536u	/* ranges in one answer */

struct diff_range {
	const char *target;
	uint64_t start, length;		/* bytes of what the guest sees */
};

/* ranges (of struct diff_range, by disk and place) are valid during the call; NULL: error. */
typedef void snapshot_diff_done(const GArray *ranges, bool truncated, const GError *error,
				void *opaque);

/* done runs once, perhaps before the call returns. */
void snapshot_diff(struct domain *dom, const char *name_a, const char *name_b,
		   snapshot_diff_done *done, void *opaque);
