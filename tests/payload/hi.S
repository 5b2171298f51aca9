/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints "Hi!" by one string instruction: an exit with a count. */
#include "tests/payload/payload.h"

PAYLOAD(hi)
	mov	$AT(text), %esi
	mov	$4, %ecx
	mov	$PAYLOAD_SERIAL, %edx
	cld
	rep outsb
	mov	$42, %al
	out	%al, $PAYLOAD_EXIT
1:	hlt
	jmp	1b
text:	.ascii	"Hi!\n"
PAYLOAD_END(hi)
