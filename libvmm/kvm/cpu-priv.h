/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the cpu-*.c files: where a named feature is in CPUID. */
#pragma once

#include <stdint.h>

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
