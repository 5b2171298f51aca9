/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A 16550A UART whose line is a console hub.  Eight byte registers for either
 * bus; sends at once, takes input while RTS is asserted (so what is typed
 * before the guest opens the port is kept for it, not lost).
 */
#pragma once

#include <glib.h>

#include "libvmm/kvm/bus.h"

#define SERIAL_BYTES 8

struct device;
struct hub;
struct serial;

/*
 * irq_fd is an eventfd that raises the (edge) interrupt, hub the line; both
 * stay the caller's and outlive the UART.  hub may be NULL: nobody listens.
 */
struct serial *serial_new(const char *name, struct hub *hub, int irq_fd);
/* To reset and free it. */
struct device *serial_device(struct serial *s);

/* Its bus handlers; dev is the struct serial. */
extern const struct bus_ops serial_ops;
