/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Takes three interrupts of GSI 5, edge-triggered, through the IOAPIC.  Tells
 * the test when it is ready (event 0) and after each (event 1, 2, 3).
 */
#include "tests/payload/payload.h"

#define IDT 0x11000
#define VECTOR 0x41
#define LAPIC 0xfee00000
#define IOAPIC 0xfec00000
#define PIN 5

PAYLOAD(irq)
	/* a long mode interrupt gate */
	mov	$(IDT + VECTOR * 16), %edi
	mov	$AT(handler), %eax
	mov	%ax, (%rdi)
	movw	$SEL_CODE, 2(%rdi)
	movw	$0x8e00, 4(%rdi)
	shr	$16, %eax
	mov	%ax, 6(%rdi)
	movl	$0, 8(%rdi)
	movl	$0, 12(%rdi)
	lidt	AT(idtr)

	/* the reset test asks: was the LAPIC on when we began? */
	mov	$LAPIC, %ebx
	mov	0xf0(%rbx), %eax
	shr	$8, %eax
	and	$1, %eax
	mov	%eax, PAYLOAD_DATA
	movl	$0x1ff, 0xf0(%rbx)		/* software enable, spurious vector 0xff */
	movl	$0, 0x80(%rbx)			/* TPR */

	mov	$IOAPIC, %ecx
	movl	$(0x10 + PIN * 2 + 1), (%rcx)
	movl	$0, 0x10(%rcx)			/* to APIC 0 */
	movl	$(0x10 + PIN * 2), (%rcx)
	movl	$VECTOR, 0x10(%rcx)		/* fixed, physical, edge, high, unmasked */

	xor	%ebp, %ebp
	mov	%ebp, %eax
	out	%al, $PAYLOAD_EVENT
1:	sti
	hlt
	cli
	cmp	$3, %ebp
	jb	1b
	mov	$7, %al
	out	%al, $PAYLOAD_EXIT
2:	hlt
	jmp	2b

handler:
	inc	%ebp
	movl	$0, 0xb0(%rbx)			/* EOI */
	mov	%ebp, %eax
	out	%al, $PAYLOAD_EVENT
	iretq

	.balign 8
idtr:	.word	256 * 16 - 1
	.quad	IDT
PAYLOAD_END(irq)
