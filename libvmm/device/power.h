/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ACPI power management of a hardware-reduced platform (ACPI 6.4, 4.8.3.7 and
 * 5.6.9): reset register, sleep control and status, and a register of events
 * that the Generic Event Device's _EVT method reads.  Byte registers for
 * either bus; where they are is the machine's choice (layout.h says the same
 * numbers), and its FADT and DSDT tell the guest.
 */
#pragma once

#include <glib.h>

#include "libvmm/kvm/bus.h"

#define POWER_PORTS 8		/* LAYOUT_POWER_PORTS, and so on: the machine asserts it */
#define POWER_EVENTS 0		/* reading gives what happened since, and clears it */
#define POWER_SLEEP_CONTROL 1
#define POWER_SLEEP_STATUS 2
#define POWER_RESET 3		/* write POWER_RESET_VALUE */

#define POWER_EVENT_BUTTON 0x01
#define POWER_EVENT_GENERATION 0x02	/* the machine is a copy: its generation id has changed */
#define POWER_SLP_TYP_S5 5	/* soft off */
#define POWER_RESET_VALUE 0x01

struct device;
struct power;

/* Called on a vCPU's thread, maybe several times and by several vCPUs: only note it and wake. */
struct power_calls {
	void (*off)(void *arg);
	void (*reset)(void *arg);
	void *arg;
};

/* irq_fd raises the GED's (edge) interrupt; the caller's. */
struct power *power_new(const struct power_calls *calls, int irq_fd);
/* To reset (events not yet seen are gone) and free it. */
struct device *power_device(struct power *p);

/* Its bus handlers; dev is the struct power. */
extern const struct bus_ops power_ops;

/* Any thread: the button is pressed and let go. */
void power_press(struct power *p);
void power_tell_generation(struct power *p);
