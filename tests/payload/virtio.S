/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes nonsense to every register and ring of the virtio devices at
 * PAYLOAD_MMIO (the test has put rng, balloon and blk there, a page each),
 * then drives the first, the rng, as a driver should.
 *
 * Exit: 0, or the number of what failed.
 */
#include "tests/payload/payload.h"

#define RING 0x20000			/* descriptors; what follows has a page each */
#define AVAIL (RING + 0x1000)
#define USED (RING + 0x2000)
#define BUFFER (RING + 0x3000)
#define DEVICES 3
#define ROUNDS 4
#define STATUS 0x70
#define NOTIFY 0x50
#define PATIENCE 2000000

PAYLOAD(virtio)
	mov	$42, %r13d			/* of the random numbers */
	mov	$DEVICES, %r12d
	mov	$PAYLOAD_MMIO, %ebx
device:
	mov	$ROUNDS, %r14d
round:
	call	registers
	call	ring_nonsense
	call	init
	movl	$0, NOTIFY(%rbx)
	movl	$1, NOTIFY(%rbx)
	movl	$0xffffffff, NOTIFY(%rbx)
	call	registers
	movl	$0, STATUS(%rbx)
	mov	$1, %ecx
	cmpl	$0, STATUS(%rbx)		/* when the write is done, so is the reset */
	jne	out
	dec	%r14d
	jnz	round
	add	$0x1000, %ebx
	dec	%r12d
	jnz	device

	mov	$PAYLOAD_MMIO, %ebx
	call	ring_clear
	movl	$BUFFER, RING
	movl	$64, RING + 8
	movl	$2, RING + 12			/* the device writes */
	call	init
	mov	$2, %ecx
	cmpl	$0xf, STATUS(%rbx)
	jne	out
	movw	$1, AVAIL + 2
	movl	$0, NOTIFY(%rbx)
	mov	$3, %ecx
	mov	$PATIENCE, %edx
wait:	cmpw	$1, USED + 2
	je	came
	pause
	dec	%edx
	jnz	wait
	jmp	out
came:	inc	%ecx
	cmpl	$64, USED + 8
	jne	out
	inc	%ecx
	mov	BUFFER, %rax
	or	BUFFER + 8, %rax
	or	BUFFER + 16, %rax
	jz	out
	xor	%ecx, %ecx
out:	mov	%ecx, %eax
	out	%al, $PAYLOAD_EXIT
1:	hlt
	jmp	1b

/* The next random number in eax: as often small as large. */
random:
	imul	$1103515245, %r13d, %r13d
	add	$12345, %r13d
	mov	%r13d, %ecx
	shr	$16, %ecx
	and	$31, %ecx
	mov	%r13d, %eax
	shr	%cl, %eax
	ret

/* Words to all registers and some of the configuration; then all other widths. */
registers:
	xor	%esi, %esi
1:	call	random
	mov	%eax, (%rbx, %rsi)
	mov	(%rbx, %rsi), %edx
	add	$4, %esi
	cmp	$0x140, %esi
	jb	1b
	mov	$0x2c, %esi
2:	call	random
	mov	%al, 1(%rbx, %rsi)
	mov	%ax, 2(%rbx, %rsi)
	mov	%rax, 4(%rbx, %rsi)
	mov	%eax, 3(%rbx, %rsi)
	mov	1(%rbx, %rsi), %dl
	mov	(%rbx, %rsi), %rdx
	add	$0x34, %esi
	cmp	$0x140, %esi
	jb	2b
	ret

ring_clear:
	mov	$RING, %edi
1:	movq	$0, (%rdi)
	add	$8, %edi
	cmp	$BUFFER, %edi
	jb	1b
	ret

/* Four chains of rubbish are on offer. */
ring_nonsense:
	mov	$RING, %edi
1:	call	random
	mov	%eax, (%rdi)
	add	$4, %edi
	cmp	$(RING + 128), %edi
	jb	1b
	movl	$0x00040000, AVAIL
	call	random
	and	$0x00070007, %eax
	mov	%eax, AVAIL + 4
	ret

/* 3.1.1, with eight descriptors in queue 0 and no feature but VERSION_1. */
init:
	movl	$0, STATUS(%rbx)
	movl	$1, STATUS(%rbx)
	movl	$3, STATUS(%rbx)
	movl	$0, 0x24(%rbx)
	movl	$0, 0x20(%rbx)
	movl	$1, 0x24(%rbx)
	movl	$1, 0x20(%rbx)
	movl	$0xb, STATUS(%rbx)
	movl	$0, 0x30(%rbx)
	movl	$8, 0x38(%rbx)
	movl	$RING, 0x80(%rbx)
	movl	$0, 0x84(%rbx)
	movl	$AVAIL, 0x90(%rbx)
	movl	$0, 0x94(%rbx)
	movl	$USED, 0xa0(%rbx)
	movl	$0, 0xa4(%rbx)
	movl	$1, 0x44(%rbx)
	movl	$0xf, STATUS(%rbx)
	ret
PAYLOAD_END(virtio)
