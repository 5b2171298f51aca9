/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Counts in shared memory without end, and never exits by itself. */
#include "tests/payload/payload.h"

PAYLOAD(spin)
	mov	$PAYLOAD_DATA, %ebx
1:	incl	(%rbx)
	jmp	1b
PAYLOAD_END(spin)
