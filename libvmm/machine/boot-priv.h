/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files that load a kernel. */
#pragma once

#include <asm/bootparam.h>

#include "libvmm/machine/boot.h"

/* A kernel to be read: a file, or bytes unpacked from one. */
struct boot_file {
	int fd;			/* -1: bytes */
	const uint8_t *bytes;
	uint64_t size;
	const char *name;
};

/* A regular file of bounded size; stays the caller's. */
bool boot_file_open(struct boot_file *f, int fd, const char *name, GError **error);

/* One load in progress. */
struct boot_load {
	struct guest_memory *mem;
	const struct boot_opts *opts;
	struct boot_file kernel;
	struct boot_result ret;
};

/* [off, off + len) of the file; an error names the file. */
bool boot_file_read(const struct boot_file *f, uint64_t off, void *to, uint64_t len,
		    GError **error);
/* The same straight into guest memory, which must be RAM from 1 MiB on. */
bool boot_file_place(const struct boot_load *l, const struct boot_file *f, uint64_t off,
		     uint64_t gpa, uint64_t len, GError **error);

/* The archive with the guest's agent. */
struct boot_agent {
	struct boot_file file;
	GByteArray *head, *tail;	/* before and behind the file's bytes */
	uint64_t bytes;			/* of all */
};
bool boot_agent_measure(struct boot_load *l, struct boot_agent *ret, GError **error);
bool boot_agent_place(const struct boot_load *l, const struct boot_agent *a, uint64_t gpa,
		      GError **error);
void boot_agent_done(struct boot_agent *a);

/* Below 4 GiB: where RAM ends. */
uint64_t boot_low_end(const struct guest_memory *mem);
/* At LAYOUT_CMDLINE, with its NUL; at most max bytes without it. */
bool boot_put_cmdline(struct boot_load *l, uint64_t max, GError **error);
/* As high as it may be: below limit, above the kernel.  Fills ret.initrd_*. */
bool boot_put_initrd(struct boot_load *l, uint64_t limit, GError **error);

#define BOOT_MEMMAP_MAX 8

struct boot_range {
	uint64_t gpa, bytes;
	uint32_t type;		/* E820 numbers, PVH has the same */
};

unsigned boot_memmap(const struct guest_memory *mem, struct boot_range ret[BOOT_MEMMAP_MAX]);

bool boot_is_bzimage(const struct boot_file *f);
bool boot_bzimage(struct boot_load *l, GError **error);
/* The zero page with header hdr, GDT and page tables, for an entry in long mode. */
bool boot_put_zero_page(struct boot_load *l, const struct setup_header *hdr, uint64_t rip,
			GError **error);

bool boot_is_elf(const struct boot_file *f);
bool boot_elf(struct boot_load *l, GError **error);

/* The kernel inside a bzImage: bytes that the caller frees. */
uint8_t *unpack_kernel(const uint8_t *packed, size_t len, size_t *ret_len, GError **error);
