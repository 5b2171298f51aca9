/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A MC146818 clock with battery-backed RAM, at ports 0x70 (index) and 0x71 (data). */
#pragma once

#include <glib.h>

#include "libvmm/kvm/bus.h"

#define RTC_BYTES 2
#define RTC_CENTURY 0x32	/* index of the century, for the FADT */

struct device;
struct rtc;

struct rtc_opts {
	bool localtime;		/* <clock offset='localtime'/>; else UTC */
	int64_t offset_s;	/* <clock offset='variable' adjustment=>: added to the above */
	GMainContext *owner;	/* where alarms run */
	int irq_fd;		/* raises GSI 8 (edge); -1: there is no interrupt.  The caller's */
};

struct rtc *rtc_new(const struct rtc_opts *opts);
/* To reset (interrupts go off, the time and the RAM stay) and free it. */
struct device *rtc_device(struct rtc *rtc);

/* Its bus handlers; dev is the struct rtc. */
extern const struct bus_ops rtc_ops;

/* How far the guest has set its clock from the host's UTC. */
int64_t rtc_offset_s(struct rtc *rtc);
