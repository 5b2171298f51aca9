/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vol-upload, vol-download: a pipe to a child that has the file. */
#pragma once

#include "vmmd/server.h"
#include "vmmd/volume.h"

struct volume_range {
	uint64_t offset, bytes;		/* 0: to the end */
	bool upload;
	bool sparse;			/* holes are sent as such */
};

/* Answers the call, and opens its stream if that went well. */
void volume_stream_open(struct call *call, struct pool *pool, const char *name,
			const struct volume_range *range);
