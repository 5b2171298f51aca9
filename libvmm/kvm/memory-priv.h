/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between memory.c (the mapping), memory-file.c, memory-save.c and dirty.c. */
#pragma once

#include "libvmm/kvm/memory.h"

#define HUGE_BYTES (UINT64_C(2) << 20)
#define PAGE_BYTES UINT64_C(4096)

struct guest_memory {
	uint8_t *base;
	uint64_t bytes;
	int fd;			/* -1: anonymous */
	bool hugetlb;
	struct guest_region regions[2];
	unsigned n_regions;

	/* dirty.c: a bit a page that we wrote while it was watched; NULL until the first watch. */
	uint64_t *wrote;
	bool watched;		/* atomic */

	/* Restored: which blocks of HUGE_BYTES are mapped from file_fd; else NULL. */
	bool *file_blocks;
	int file_fd;
	uint64_t file_off;
	GThread *prefetch;
	int prefetch_quit;	/* atomic */
};

/* memory_drop() where some of it is mapped from a file. */
int memory_file_drop(struct guest_memory *mem, uint64_t off, uint64_t len);
void memory_file_done(struct guest_memory *mem);
