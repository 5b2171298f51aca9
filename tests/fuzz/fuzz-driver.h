/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a hostile driver does, whatever the device. */
#pragma once

#include "fuzz.h"
#include "tests/unit/virtio-driver.h"

#define FUZZ_BUFS_MAX 6
#define FUZZ_ALLOC_END 0x80000

/* A chain of what the input says, its first buffer filled with what follows. */
static inline void fuzz_chain(struct driver *d, struct fuzz_input *in, unsigned queue)
{
	unsigned n = 1 + (unsigned)fuzz_take(in, 1) % FUZZ_BUFS_MAX;
	struct driver_buf bufs[FUZZ_BUFS_MAX];

	if (queue >= DRIVER_QUEUES || !d->q[queue].size || d->alloc_gpa > FUZZ_ALLOC_END)
		return;
	for (unsigned i = 0; i < n; i++) {
		unsigned shape = (unsigned)fuzz_take(in, 1);

		bufs[i] = (struct driver_buf){ .len = (uint32_t)fuzz_take(in, shape & 2 ? 2 : 1),
					       .in = shape & 1 };
		bufs[i].gpa = shape & 4 ? fuzz_take(in, 3) : driver_alloc(d, 256);
	}
	uint8_t *first = guest_ptr(d->mem, bufs[0].gpa, 16);
	for (unsigned i = 0; first && i < 16; i++)
		first[i] = (uint8_t)fuzz_take(in, 1);
	if (n & 1)
		driver_add(d, queue, bufs, n);
	else
		driver_add_indirect(d, queue, bufs, n);
	driver_kick(d, queue);
}

/* One byte of the rings. */
static inline void fuzz_poke(struct driver *d, struct fuzz_input *in)
{
	uint64_t gpa = 0x10000 + (fuzz_take(in, 2) & 0x3fff);
	uint8_t v = (uint8_t)fuzz_take(in, 1);

	memcpy(guest_ptr(d->mem, gpa, 1), &v, 1);
}

static inline void fuzz_loop(unsigned turns)
{
	while (turns-- && g_main_context_iteration(NULL, FALSE))
		;
}
