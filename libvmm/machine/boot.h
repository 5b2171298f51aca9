/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A kernel, an initrd and a command line put into guest memory, and where the
 * boot processor starts.  The files are foreign: everything in them is bounded
 * before it is used.  Loading again after guest_memory_clear() is a cold reset.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/kvm/cpu.h"
#include "libvmm/kvm/memory.h"

/* The guest's agent; the command line is then as boot_agent_cmdline() made it. */
struct boot_agent_opts {
	int fd;
	const char *init;		/* whom it becomes */
	unsigned outbound_port;		/* of the guest's loopback, leads out; 0: none */
};

struct boot_opts {
	int kernel_fd;			/* a regular file; read by offset, stays the caller's */
	const char *kernel_name;	/* for messages */
	int initrd_fd;			/* -1: none */
	const char *initrd_name;
	const char *cmdline;		/* NULL: empty */
	const struct boot_agent_opts *agent;	/* behind the initrd, if there is one; or NULL */
	bool unpack;			/* a bzImage's payload is unpacked here and booted as ELF */
	uint64_t rsdp_gpa;		/* as acpi_write() gave it; 0: none */
};

enum boot_protocol { BOOT_LINUX64, BOOT_PVH, BOOT_ELF64 };

struct boot_result {
	struct cpu_entry entry;
	enum boot_protocol protocol;
	uint64_t kernel_gpa, kernel_bytes;	/* as placed, with what it needs to start */
	uint64_t initrd_gpa, initrd_bytes;
};

bool boot_load(struct guest_memory *mem, const struct boot_opts *opts, struct boot_result *ret,
	       GError **error);

/* The command line with which the agent runs first.  *ret_init: whom the guest meant to be. */
char *boot_agent_cmdline(const char *cmdline, char **ret_init);

/* What a file is, judged by its first bytes: "a qcow2 image", "an ELF shared library".  Static. */
const char *boot_describe(const uint8_t *head, size_t len, uint64_t file_bytes);
