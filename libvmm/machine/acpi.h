/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ACPI tables from a list of what the machine has.  Addresses and lines are layout.h's. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/kvm/memory.h"

struct acpi_virtio {
	uint64_t base;
	uint32_t bytes;
	unsigned gsi;
};

struct acpi_serial {
	uint16_t port;		/* eight ports from here */
	unsigned gsi;
};

struct acpi_opts {
	unsigned n_vcpus;
	const uint32_t *apic_ids;
	const struct acpi_virtio *virtio;
	unsigned n_virtio;
	const struct acpi_serial *serial;	/* COM1 first */
	unsigned n_serial;
	bool rtc;
	bool power;		/* the power block: button, sleep, reset */
};

/* The bytes as they stand from `gpa` on, RSDP first. */
GByteArray *acpi_build(const struct acpi_opts *opts, uint64_t gpa, GError **error);
/* Builds them at LAYOUT_ACPI; the RSDP's address for boot_opts. */
bool acpi_write(struct guest_memory *mem, const struct acpi_opts *opts, uint64_t *ret_rsdp_gpa,
		GError **error);
