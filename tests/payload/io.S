/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Port and memory accesses of every size: the test's device answers a read at
 * offset n with bytes n, n+1, ... and notes what is written.
 */
#include "tests/payload/payload.h"

PAYLOAD(io)
	mov	$PAYLOAD_MMIO, %ebx
	movb	$0x11, 0x10(%rbx)
	movw	$0x2222, 0x20(%rbx)
	movl	$0x33333333, 0x30(%rbx)
	movabs	$0x4444444444444444, %rax
	mov	%rax, 0x40(%rbx)
	mov	%eax, 0xffe(%rbx)		/* crosses the end of the page */

	mov	$1, %ecx
	movzbl	0x05(%rbx), %eax
	cmp	$0x05, %eax
	jne	out
	inc	%ecx
	mov	0x08(%rbx), %eax
	cmp	$0x0b0a0908, %eax
	jne	out
	inc	%ecx
	mov	0x10(%rbx), %rax
	movabs	$0x1716151413121110, %rdx
	cmp	%rdx, %rax
	jne	out
	inc	%ecx
	mov	$0x500, %edx			/* the same device on ports */
	in	%dx, %ax
	cmp	$0x0100, %ax
	jne	out
	inc	%ecx
	add	$4, %edx
	in	%dx, %eax
	cmp	$0x07060504, %eax
	jne	out
	inc	%ecx
	mov	$0x700, %edx			/* nobody there */
	in	%dx, %eax
	cmp	$-1, %eax
	jne	out
	xor	%ecx, %ecx
out:	mov	%cl, %al			/* 0, or the number of the check that failed */
	out	%al, $PAYLOAD_EXIT
1:	hlt
	jmp	1b
PAYLOAD_END(io)
