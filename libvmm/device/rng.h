/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-rng (virtio 1.2, 5.4): the host's getrandom(2) for the guest. */
#pragma once

#include <glib.h>
#include <stdint.h>

struct guest_memory;
struct virtio_device;

struct rng_opts {
	const char *name;	/* alias: "rng0" */
	uint64_t rate_bytes;	/* <rate bytes= period=>: at most so many; 0: no limit */
	unsigned rate_period_ms;/* in so long; 0: 1000 */
};

struct virtio_device *rng_new(const struct rng_opts *opts, struct guest_memory *mem,
			      GMainContext *ctx, GError **error);
