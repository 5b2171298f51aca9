/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A struct block without an image: bytes in memory, completed by the loop, or
 * when the test says so, with the error that it says.
 */
#pragma once

#include "libvmm/block/block.h"

struct fake_block {
	uint8_t *bytes;
	uint64_t n_bytes;
	bool read_only, can_discard;
	uint32_t cluster_bytes;
	bool hold;			/* complete nothing until fake_release() */
	bool at_once;			/* complete within block_submit() */
	int error;			/* the result of what completes from now on: 0 or -errno */
	unsigned n_kicks, n_flushes, n_submitted;
	unsigned last_flags;
	uint64_t room;		/* what block_room() says, of 1000 */
	bool closed;			/* as a test may see after the device is gone */
	GQueue pending;
	unsigned n_kicked;		/* of pending: what block_kick() has handed on */
	GSource *source;
};

struct fake_block *fake_block_new(uint64_t bytes);
struct block *fake_block(struct fake_block *f);
void fake_block_release(struct fake_block *f);	/* completes what was kicked */
void fake_block_free(struct fake_block *f);
