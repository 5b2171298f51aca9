/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rings a doorbell: value 1 at 0x50 is an ioeventfd, value 2 is not and exits. */
#include "tests/payload/payload.h"

PAYLOAD(kick)
	mov	$PAYLOAD_MMIO, %ebx
	movl	$1, 0x50(%rbx)
	movl	$1, 0x50(%rbx)
	movl	$2, 0x50(%rbx)
	mov	$0, %al
	out	%al, $PAYLOAD_EXIT
1:	hlt
	jmp	1b
PAYLOAD_END(kick)
