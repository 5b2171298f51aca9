/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One of each device that needs no KVM, for tests of their saved state. */
#pragma once

#include <sys/eventfd.h>

#include "libvmm/device/balloon.h"
#include "libvmm/device/blk.h"
#include "libvmm/device/console.h"
#include "libvmm/device/device.h"
#include "libvmm/device/hub.h"
#include "libvmm/device/power.h"
#include "libvmm/device/rng.h"
#include "libvmm/device/rtc.h"
#include "libvmm/device/serial.h"
#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "libvmm/util/cleanup.h"
#include "tests/unit/fake-block.h"
#include "tests/unit/virtio-driver.h"

enum saved_kind { SAVED_RNG, SAVED_BALLOON, SAVED_BLK, SAVED_CONSOLE, SAVED_SERIAL, SAVED_RTC,
		  SAVED_POWER, N_SAVED_KINDS };

#define SAVED_RAM_BYTES (1u << 20)

struct saved_device {
	enum saved_kind kind;
	struct driver *d;	/* of the virtio ones; else NULL */
	struct virtio_device *vdev;
	struct device *dev;
	struct serial *serial;
	struct rtc *rtc;
	struct power *power;
	struct fake_block *fake;
	struct hub *hub;
	int irq_fd;
};

static inline struct virtio_device *saved_virtio_new(struct saved_device *s)
{
	const struct rng_opts rng = { .name = "rng", .rate_bytes = 4096, .rate_period_ms = 60000 };
	const struct balloon_opts balloon = { .name = "balloon", .stats_period_s = 1000 };
	const struct blk_opts blk = { .name = "blk", .n_queues = 2,
				      .write_policy = BLK_POLICY_STOP };
	const struct console_port port = { .hub = s->hub };
	const struct console_opts console = { .name = "console", .ports = &port, .n_ports = 1 };

	switch (s->kind) {
	case SAVED_RNG:
		return rng_new(&rng, s->d->mem, NULL, NULL);
	case SAVED_BALLOON:
		return balloon_new(&balloon, s->d->mem, NULL, NULL);
	case SAVED_BLK:
		return blk_new(fake_block(s->fake), &blk, s->d->mem, NULL, NULL);
	default:
		return console_new(&console, s->d->mem, NULL, NULL);
	}
}

static inline struct saved_device *saved_new(enum saved_kind kind)
{
	struct saved_device *s = g_new0(struct saved_device, 1);
	const struct power_calls calls = { 0 };

	s->kind = kind;
	s->irq_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->hub = hub_new("hub", NULL);
	if (kind <= SAVED_CONSOLE) {
		s->fake = fake_block_new(8192);
		s->d = driver_new(1);
		s->vdev = saved_virtio_new(s);
		driver_attach(s->d, s->vdev);
		s->dev = virtio_mmio_device(s->d->mmio);
	} else if (kind == SAVED_SERIAL) {
		s->serial = serial_new("COM1", s->hub, s->irq_fd);
		s->dev = serial_device(s->serial);
	} else if (kind == SAVED_RTC) {
		s->rtc = rtc_new(&(struct rtc_opts){ .irq_fd = s->irq_fd });
		s->dev = rtc_device(s->rtc);
	} else {
		s->power = power_new(&calls, s->irq_fd);
		s->dev = power_device(s->power);
	}
	return s;
}

static inline void saved_free(struct saved_device *s)
{
	if (s->d)
		driver_free(s->d);
	else
		device_free(s->dev);
	if (s->fake)
		fake_block_free(s->fake);
	hub_free(s->hub);
	fd_close(&s->irq_fd);
	g_free(s);
}
