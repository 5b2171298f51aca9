/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guest RAM: one mapping, 2 MiB aligned on both sides, in at most two regions
 * (below the 32-bit device hole, and from 4 GiB on).  Works without KVM, so
 * that devices and fuzz targets can be tested on it.
 *
 * Immutable after guest_memory_new(): any thread may translate addresses.
 * The bytes belong to the guest, who changes them at any moment: read once
 * into a local, check, then use.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* RAM fills [0, GUEST_LOW_RAM_END), then goes on at GUEST_HIGH_RAM. */
#define GUEST_LOW_RAM_END UINT64_C(0xc0000000)
#define GUEST_HIGH_RAM UINT64_C(0x100000000)

struct guest_memory;

struct guest_region {
	uint64_t gpa;
	uint64_t bytes;
	void *hva;
	uint64_t fd_off;	/* in the memfd, if there is one */
};

struct guest_memory_opts {
	uint64_t bytes;		/* a multiple of 4 KiB */
	bool hugetlb;		/* <hugepages/>: 2 MiB pages from the host's pool, or an error */
	const char *name;	/* shown in /proc/PID/maps */
};

struct guest_memory *guest_memory_new(const struct guest_memory_opts *opts, GError **error);
void guest_memory_free(struct guest_memory *mem);
typedef struct guest_memory guest_memory;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(guest_memory, guest_memory_free)

/* The bytes [gpa, gpa + len) as one piece of our address space, or NULL if they are not all RAM. */
void *guest_ptr(const struct guest_memory *mem, uint64_t gpa, uint64_t len);

uint64_t guest_memory_bytes(const struct guest_memory *mem);
const struct guest_region *guest_memory_regions(const struct guest_memory *mem, unsigned *ret_n);

/*
 * We have written these bytes through a pointer: after the write, and before
 * the driver is told.  KVM's dirty log knows of the vCPUs' writes only.  While
 * nobody watches (dirty.h) it costs a load.  Any thread.
 */
void guest_memory_wrote(const struct guest_memory *mem, const void *hva, uint64_t bytes);
bool guest_memory_is_watched(const struct guest_memory *mem);

/*
 * From a file, at file_off, byte for byte (memory-save.h): once, before the
 * guest runs.  Its pages are mapped, not read; the file must not become shorter
 * while the memory is used, unless guest_memory_prefetch() has taken all of it.
 */
bool guest_memory_restore(struct guest_memory *mem, int fd, uint64_t file_off, GError **error);
/* Takes the pages of the file in the background, from now on. */
void guest_memory_prefetch(struct guest_memory *mem);

/* Give the host back [gpa, gpa + len): reads as zeroes afterwards.  0 or -errno. */
int guest_memory_discard(struct guest_memory *mem, uint64_t gpa, uint64_t len);
/* All of it: a cold reset. */
int guest_memory_clear(struct guest_memory *mem);
