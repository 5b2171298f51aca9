/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the cpu-*.c files: where a named feature is in CPUID, and CPUID saved. */
#pragma once

#include <stdint.h>

#include "libvmm/util/state.h"

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

struct cpu_bit {
	const char *name;
	uint32_t leaf;
	uint8_t subleaf;
	uint8_t reg;		/* enum cpuid_reg */
	uint8_t bit;
};

/* NULL: no feature of that name. */
const struct cpu_bit *cpu_bit_find(const char *name);
/* NULL: that bit has no name. */
const char *cpu_bit_name(uint32_t leaf, uint32_t subleaf, enum cpuid_reg reg, unsigned bit);

/* cpu-save.c: what vCPU shows, to and from a saved machine. */
void cpuid_put(int vcpu_fd, struct state_out *out);
bool cpuid_get(int vcpu_fd, struct state_in *in, GError **error);
