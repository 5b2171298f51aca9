/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is left of the keyboard controller: its reset line, at port 0x64.
 * The FADT says that there is no 8042, so nobody looks for a keyboard; whoever
 * looks all the same sees a controller stuck with output and gives up at once.
 */
#pragma once

#include "libvmm/kvm/bus.h"

#define I8042_PORTS 1

struct device;
struct i8042;

/* reset is called on a vCPU's thread, maybe more than once: only note it and wake. */
struct i8042 *i8042_new(void (*reset)(void *arg), void *arg);
/* To free it. */
struct device *i8042_device(struct i8042 *k);

/* Its bus handlers; dev is the struct i8042. */
extern const struct bus_ops i8042_ops;
