/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between probe.c and its guest, probe-guest.S. */
#pragma once

#define PROBE_PORT 0xf4
#define PROBE_CODE 0x100000
#define PROBE_PAGE_TABLES 0x1000	/* 6 pages */
#define PROBE_IDT 0x8000
#define PROBE_GDT 0x9000
#define PROBE_TSS 0xa000
#define PROBE_AREA 0xb000		/* for xsave */
#define PROBE_STACK 0x20000
#define PROBE_STACK_RING0 0x30000	/* when ring 3 is left */
#define PROBE_STACK_RING3 0x40000
#define PROBE_MEMORY_BYTES 0x200000

/* What the guest writes to the port. */
#define PROBE_SAYS_PASS 1
#define PROBE_SAYS_WRONG 2
#define PROBE_SAYS_ABSENT 3
#define PROBE_SAYS_START 4		/* of the timed loop */
#define PROBE_SAYS_FAULT 0x40		/* plus the vector */

#define PROBE_TURNS 150000

/* Tests in the order of enum probe_test; the number comes in rsi. */
