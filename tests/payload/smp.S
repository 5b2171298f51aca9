/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts the second processor by INIT and SIPI; it says so from real mode. */
#include "tests/payload/payload.h"

#define LAPIC 0xfee00000
#define TRAMPOLINE 0x8000
#define TURNS 20000

PAYLOAD(smp)
	mov	$AT(ap), %esi
	mov	$TRAMPOLINE, %edi
	mov	$(ap_end - ap), %ecx
	cld
	rep movsb
	movl	$0, PAYLOAD_DATA
	mov	$LAPIC, %ebx
	movl	$0x1ff, 0xf0(%rbx)
	movl	$(1 << 24), 0x310(%rbx)
	movl	$0x4500, 0x300(%rbx)			/* INIT, assert */
	movl	$(0x4600 | TRAMPOLINE >> 12), 0x300(%rbx)	/* SIPI */
	mov	$TURNS, %ecx
1:	out	%al, $PAYLOAD_EVENT		/* an exit: time passes on every kind of host */
	cmpw	$0xbeef, PAYLOAD_DATA
	je	2f
	loop	1b
	mov	$1, %al
	jmp	3f
2:	mov	$0, %al
3:	out	%al, $PAYLOAD_EXIT
4:	hlt
	jmp	4b

	.code16
ap:	mov	$(PAYLOAD_DATA >> 4), %ax
	mov	%ax, %ds
	movw	$0xbeef, 0
5:	hlt
	jmp	5b
ap_end:
	.code64
PAYLOAD_END(smp)
