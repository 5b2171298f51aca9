/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A whole guest in one page, for tests of vmmd and the worker on any KVM: an
 * ELF kernel with a PVH note.  Says "ready", then sleeps and echoes what is
 * typed on COM1, driven by its interrupt.  Typed "q" powers off (ACPI sleep
 * register), "r" resets, "c" is a triple fault; the power button (GSI 5)
 * says "button" and powers off too.  In a copy of a saved machine it says "copy".
 */
#define SEL_CODE 0x10
#define LAPIC 0xfee00000
#define IOAPIC 0xfec00000
#define COM1 0x3f8
#define POWER 0x600
#define VECTOR_SERIAL 0x41
#define VECTOR_BUTTON 0x42
#define IDT 0x110000

	.section .note.pvh, "a", @note
	.long	4, 4, 18		/* "Xen", XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz	"Xen"
	.long	_start

	.text
	.code32
	.globl	_start
_start:
	mov	$0x120000, %esp
	mov	$VECTOR_SERIAL, %eax
	mov	$serial, %ebx
	call	gate
	mov	$VECTOR_BUTTON, %eax
	mov	$button, %ebx
	call	gate
	lidt	idtr
	mov	$LAPIC, %edi
	movl	$0x1ff, 0xf0(%edi)	/* on */
	mov	$4, %eax
	mov	$VECTOR_SERIAL, %ebx
	call	pin
	mov	$5, %eax
	mov	$VECTOR_BUTTON, %ebx
	call	pin
	mov	$COM1 + 2, %edx		/* FIFO on */
	mov	$1, %al
	out	%al, %dx
	mov	$COM1 + 4, %edx		/* DTR, RTS, OUT2 */
	mov	$0x0b, %al
	out	%al, %dx
	mov	$COM1 + 1, %edx		/* interrupt when something is typed */
	mov	$1, %al
	out	%al, %dx
	mov	$ready, %esi
	call	say
sleep:	sti
	hlt
	jmp	sleep

gate:	/* eax: vector, ebx: handler; a 32-bit interrupt gate */
	mov	%bx, IDT(, %eax, 8)
	movw	$SEL_CODE, IDT + 2(, %eax, 8)
	movw	$0x8e00, IDT + 4(, %eax, 8)
	shr	$16, %ebx
	mov	%bx, IDT + 6(, %eax, 8)
	ret

pin:	/* eax: GSI, ebx: vector; fixed, physical, edge, to APIC 0 */
	mov	$IOAPIC, %ecx
	lea	0x11(, %eax, 2), %edx
	mov	%edx, (%ecx)
	movl	$0, 0x10(%ecx)
	dec	%edx
	mov	%edx, (%ecx)
	mov	%ebx, 0x10(%ecx)
	ret

say:	/* esi: text */
	mov	$COM1, %edx
1:	lodsb
	test	%al, %al
	jz	2f
	out	%al, %dx
	jmp	1b
2:	ret

serial:
1:	mov	$COM1 + 5, %edx
	in	%dx, %al
	test	$1, %al
	jz	9f
	mov	$COM1, %edx
	in	%dx, %al
	out	%al, %dx
	cmp	$'q', %al
	je	off
	cmp	$'c', %al
	je	crash
	cmp	$'r', %al
	jne	1b
	mov	$POWER + 3, %edx
	mov	$1, %al
	out	%al, %dx
	jmp	1b
9:
asleep:	movl	$0, LAPIC + 0xb0
	mov	$0x120000, %esp		/* it was asleep: nothing to go back to, and iret is */
	jmp	sleep			/* what some software KVMs lack */

button:
	mov	$POWER, %edx
	in	%dx, %al
	test	$1, %al
	jnz	2f
	test	$2, %al			/* the machine is a copy of one that was saved */
	jz	asleep
	mov	$copied, %esi
	call	say
	jmp	asleep
2:	mov	$pressed, %esi
	call	say
off:	mov	$POWER + 1, %edx
	mov	$(5 << 2 | 0x20), %al
	out	%al, %dx
1:	hlt
	jmp	1b

crash:	lidt	nothing
	ud2

	.balign	8
idtr:	.word	256 * 8 - 1
	.long	IDT
nothing: .word	0
	.long	0
ready:	.asciz	"ready\n"
pressed: .asciz	"button\n"
copied:	.asciz	"copy\n"
	.section .note.GNU-stack, "", @progbits
