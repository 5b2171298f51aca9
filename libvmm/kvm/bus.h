/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Address ranges and who answers them: one bus for ports, one for MMIO.
 * Filled while the machine is built and immutable once a vCPU runs, so that
 * vCPU threads look things up without a lock.  Handlers run on the vCPU's
 * thread; several may be in one handler at a time.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct bus;

struct bus_ops {
	/*
	 * off counts from the start of the range; len is 1, 2, 4 or 8 and
	 * off + len lies inside it.
	 */
	void (*read)(void *dev, uint64_t off, void *data, unsigned len);
	void (*write)(void *dev, uint64_t off, const void *data, unsigned len);
};

struct bus *bus_new(const char *name);
void bus_free(struct bus *bus);

/* Fails when the range is empty, wraps, or overlaps another (both are named). */
bool bus_add(struct bus *bus, uint64_t base, uint64_t bytes, const char *name,
	     const struct bus_ops *ops, void *dev, GError **error);

/* Nobody there: reads give ones, writes are dropped, and the result is false. */
bool bus_read(struct bus *bus, uint64_t addr, void *data, unsigned len);
bool bus_write(struct bus *bus, uint64_t addr, const void *data, unsigned len);
