/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Faults with no IDT: fault, double fault, triple fault. */
#include "tests/payload/payload.h"

PAYLOAD(triple)
	lidt	AT(nothing)
	ud2
1:	hlt
	jmp	1b
	.balign 8
nothing: .word	0
	.quad	0
PAYLOAD_END(triple)
