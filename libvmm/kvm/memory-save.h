/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM into a file, in one pass or in several while the guest runs.
 *
 * Raw: byte for byte; pages of zeroes are holes.  zstd: each block of
 * MEMORY_BLOCK_BYTES lies packed where it would lie raw, and behind it is a
 * hole: so a later pass can replace it, whatever its length.  How long each
 * block is stands in a section (memory_saver_put()).
 */
#pragma once

#include "libvmm/kvm/dirty.h"
#include "libvmm/util/state.h"

#define MEMORY_BLOCK_BYTES (UINT64_C(256) << 10)

enum memory_format { MEMORY_RAW, MEMORY_ZSTD, N_MEMORY_FORMATS };

struct memory_saver;

struct memory_saver_opts {
	const struct guest_memory *mem;
	int fd;			/* empty at file_off, a multiple of 4 KiB; the caller's */
	uint64_t file_off;
	enum memory_format format;
	const int *cancel;	/* atomic; not 0: give up, with VMM_ERR_ABORTED */
	uint64_t *left_bytes;	/* atomic: what the pass has still to do */
};

struct memory_saver *memory_saver_new(const struct memory_saver_opts *opts);
void memory_saver_free(struct memory_saver *s);

/* Any thread, one at a time.  log NULL: all of it, and nobody changes it meanwhile. */
bool memory_saver_pass(struct memory_saver *s, struct dirty_log *log, GError **error);
/* What memory_packed_restore() wants; nothing when raw. */
void memory_saver_put(const struct memory_saver *s, struct state_out *out);

/*
 * Into memory that the guest has not seen: all of it is read and unpacked.
 * `in` is what was put; whatever it says, and the file, memory alone is changed.
 */
bool memory_packed_restore(struct guest_memory *mem, int fd, uint64_t file_off,
			   struct state_in *in, GError **error);
