/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What payload guests are written with.  A payload is position-dependent code
 * that the runner puts at PAYLOAD_BASE and enters in long mode: flat segments,
 * the first 4 GiB mapped one to one, a stack, interrupts off, rdi 0.
 *
 *	PAYLOAD(name)
 *		mov	$1, %al
 *		out	%al, $PAYLOAD_EXIT
 *	PAYLOAD_END(name)
 *
 * AT(label) is a label's address in the guest.
 */
#pragma once

#define PAYLOAD_BASE 0x100000
#define PAYLOAD_EXIT 0xf4	/* a byte written here ends the run with that code */
#define PAYLOAD_EVENT 0xf5	/* a byte written here is given to the test, on the vCPU's thread */
#define PAYLOAD_SERIAL 0x3f8	/* collected */
#define PAYLOAD_DATA 0x10000	/* a page for payload and test to share */
#define PAYLOAD_MMIO 0xd0000000	/* 4 KiB that the test answers for */

#define SEL_CODE 0x10
#define SEL_DATA 0x18

#ifdef __ASSEMBLER__
#define PAYLOAD(name) \
	.section .rodata.payload, "a", @progbits; \
	.balign 16; \
	.globl payload_##name, payload_##name##_end; \
	.set payload_start, .; \
	payload_##name:

#define PAYLOAD_END(name) \
	payload_##name##_end:; \
	.section .note.GNU-stack, "", @progbits

#define AT(label) (label - payload_start + PAYLOAD_BASE)
#else
#include <stdint.h>

#define PAYLOAD_DECLARE(name) extern const uint8_t payload_##name[], payload_##name##_end[]
#define PAYLOAD_OF(name) payload_##name, payload_##name##_end
#endif
