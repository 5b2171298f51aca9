/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The probe's guest: position-dependent code at PROBE_CODE, entered in long
 * mode with everything mapped one to one for ring 0 and ring 3.
 */
#include "libvmm/kvm/probe-priv.h"

#define AT(label) (label - probe_guest + PROBE_CODE)

#define KERNEL_CODE 0x10
#define KERNEL_DATA 0x18
#define TSS 0x20
#define USER_DATA (0x30 | 3)
#define USER_CODE (0x38 | 3)
#define SYSRET_BASE 0x28

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084

#define GATE_KERNEL 0x8e00
#define GATE_USER 0xee00

	.section .rodata.probe, "a", @progbits
	.balign 64
	.globl probe_guest, probe_guest_end
probe_guest:
	mov	$PROBE_STACK, %esp
	mov	%esi, %r15d

	/* an IDT whose every exception says its number; vector 0x80 is for ring 3 */
	mov	$AT(stubs), %eax
	mov	$PROBE_IDT, %edi
	mov	$32, %ecx
1:	mov	$GATE_KERNEL, %edx
	call	gate_put
	add	$(stub_end - stubs) / 32, %eax
	add	$16, %edi
	loop	1b
	mov	$AT(on_int3), %eax
	mov	$(PROBE_IDT + 3 * 16), %edi
	mov	$GATE_KERNEL, %edx
	call	gate_put
	mov	$AT(on_user_call), %eax
	mov	$(PROBE_IDT + 0x80 * 16), %edi
	mov	$GATE_USER, %edx
	call	gate_put
	lidt	AT(idtr)

	/* a GDT with ring 3's segments and a TSS that says where ring 0's stack is */
	mov	$AT(gdt), %esi
	mov	$PROBE_GDT, %edi
	mov	$(gdt_end - gdt), %ecx
	cld
	rep movsb
	movq	$PROBE_STACK_RING0, PROBE_TSS + 4
	lgdt	AT(gdtr)
	mov	$KERNEL_DATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	mov	$TSS, %eax
	ltr	%ax

	xor	%ebp, %ebp
	cmp	$0, %r15d
	je	test_int3
	cmp	$1, %r15d
	je	test_xsave
	cmp	$2, %r15d
	je	test_cmpxchg16b
	cmp	$3, %r15d
	je	test_ring3
	cmp	$4, %r15d
	je	test_syscall
	cmp	$5, %r15d
	je	test_speed
wrong:	mov	$PROBE_SAYS_WRONG, %al
say:	out	%al, $PROBE_PORT
1:	hlt
	jmp	1b
absent:	mov	$PROBE_SAYS_ABSENT, %al
	jmp	say
pass:	mov	$PROBE_SAYS_PASS, %al
	jmp	say

/* gate at rdi for the handler at eax, type edx */
gate_put:
	mov	%ax, (%rdi)
	movw	$KERNEL_CODE, 2(%rdi)
	mov	%dx, 4(%rdi)
	mov	%eax, %edx
	shr	$16, %edx
	mov	%dx, 6(%rdi)
	movq	$0, 8(%rdi)
	ret

test_int3:
	int3
	cmp	$0x1234, %ebp
	je	pass
	jmp	wrong
on_int3:
	mov	$0x1234, %ebp
	iretq

test_xsave:
	mov	$1, %eax
	cpuid
	bt	$26, %ecx
	jnc	absent
	mov	%cr4, %rax
	or	$(1 << 9 | 1 << 18), %eax	/* OSFXSR, OSXSAVE */
	mov	%rax, %cr4
	xor	%ecx, %ecx
	xor	%edx, %edx
	mov	$3, %eax			/* x87, SSE */
	xsetbv
	mov	$PROBE_AREA, %edi
	xsave	(%rdi)
	movw	$0x27f, (%rdi)			/* another x87 control word */
	mov	$1, %eax
	xrstor	(%rdi)
	fnstcw	0x400(%rdi)
	cmpw	$0x27f, 0x400(%rdi)
	je	pass
	jmp	wrong

test_cmpxchg16b:
	mov	$1, %eax
	cpuid
	bt	$13, %ecx
	jnc	absent
	mov	$PROBE_AREA, %edi
	movq	$1, (%rdi)
	movq	$2, 8(%rdi)
	mov	$1, %eax
	mov	$2, %edx
	mov	$3, %ebx
	mov	$4, %ecx
	lock cmpxchg16b (%rdi)
	jnz	wrong
	cmpq	$3, (%rdi)
	jne	wrong
	cmpq	$4, 8(%rdi)
	jne	wrong
	lock cmpxchg16b (%rdi)			/* 1, 2 are not there any more */
	jz	wrong
	cmp	$3, %rax
	jne	wrong
	cmp	$4, %rdx
	jne	wrong
	jmp	pass

/* to rbx in ring 3 */
.macro to_user
	pushq	$USER_DATA
	pushq	$PROBE_STACK_RING3
	pushq	$2
	pushq	$USER_CODE
	pushq	%rbx
	iretq
.endm

test_ring3:
	mov	$AT(user_int), %ebx
	to_user
user_int:
	mov	%cs, %ebp
	int	$0x80
	jmp	user_int
on_user_call:
	cmp	$USER_CODE, %ebp
	je	pass
	jmp	wrong

test_syscall:
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$1, %eax			/* SCE */
	wrmsr
	mov	$MSR_STAR, %ecx
	xor	%eax, %eax
	mov	$(SYSRET_BASE << 16 | KERNEL_CODE), %edx
	wrmsr
	mov	$MSR_LSTAR, %ecx
	mov	$AT(on_syscall), %eax
	xor	%edx, %edx
	wrmsr
	mov	$MSR_FMASK, %ecx
	mov	$0x200, %eax
	wrmsr
	mov	$AT(user_syscall), %ebx
	to_user
user_syscall:
	mov	$0x77, %ebp
	syscall
after_syscall:
	mov	%cs, %ebp
	int	$0x80
on_syscall:
	cmp	$AT(after_syscall), %rcx
	jne	wrong
	cmp	$0x77, %ebp
	jne	wrong
	mov	%cs, %eax
	cmp	$KERNEL_CODE, %eax
	jne	wrong
	mov	$PROBE_STACK_RING0, %esp
	sysretq					/* and out again: int 0x80 ends the test */

test_speed:
	mov	$PROBE_SAYS_START, %al
	out	%al, $PROBE_PORT
	mov	$PROBE_TURNS, %ecx
1:	dec	%ecx
	jnz	1b
	jmp	pass

	.balign 16
stubs:
	.set	vector, 0
	.rept	32
	.balign	16
	mov	$(PROBE_SAYS_FAULT + vector), %al
	.byte	0xe9				/* jmp, always with 32 bits of offset */
	.long	say - . - 4
	.set	vector, vector + 1
	.endr
	.balign	16
stub_end:

	.balign 8
idtr:	.word	0x81 * 16 - 1
	.quad	PROBE_IDT
gdtr:	.word	gdt_end - gdt - 1
	.quad	PROBE_GDT
	.balign 8
gdt:	.quad	0, 0
	.quad	0x00af9b000000ffff		/* ring 0 code */
	.quad	0x00cf93000000ffff		/* ring 0 data */
	.quad	0x0000890000000067 | PROBE_TSS << 16, 0
	.quad	0x00cff3000000ffff		/* ring 3 data */
	.quad	0x00affb000000ffff		/* ring 3 code */
gdt_end:
probe_guest_end:

	.section .note.GNU-stack, "", @progbits
