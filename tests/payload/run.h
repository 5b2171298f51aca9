/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine with no devices but a collector, to run payload guests on.
 *
 *	struct payload p;
 *	if (!payload_open(&p, 1))
 *		return;			// skipped, and said why
 *	... bus_add(p.mmio, ...) ...
 *	payload_start(&p, PAYLOAD_OF(hi));
 *	g_assert_cmpint(payload_wait(&p, 5000), ==, 42);
 *	payload_close(&p);
 *
 * The test's thread is the owner of the vCPUs.
 */
#pragma once

#include <glib.h>

#include "libvmm/kvm/bus.h"
#include "libvmm/kvm/irq.h"
#include "libvmm/kvm/kvm.h"
#include "libvmm/kvm/vcpu.h"
#include "tests/payload/payload.h"

enum {
	PAYLOAD_TIMEOUT = -1,
	PAYLOAD_STOPPED = -2, /* see cause and detail */
};

struct payload {
	struct guest_memory *mem;
	struct kvm *kvm;
	struct cpu_model *model;
	struct bus *pio, *mmio;
	struct vcpus *vcpus;
	unsigned n_vcpus;
	GMainContext *ctx;
	void (*event)(struct payload *p, uint8_t value); /* on the vCPU's thread */
	void *opaque;

	GMutex lock;   /* protects what follows */
	int exit_code; /* -1: none yet */
	bool stopped;
	enum vcpu_cause cause;
	char *detail;
	char *registers;
	GString *serial;
};

/* False: this host has no /dev/kvm for us, and the test is skipped. */
bool payload_open(struct payload *p, unsigned n_vcpus);
/* Makes the vCPUs, loads the code, runs it. */
void payload_start(struct payload *p, const uint8_t *start, const uint8_t *end);
/* Loads code for parked vCPUs and runs it: after a reset, say. */
void payload_restart(struct payload *p, const uint8_t *start, const uint8_t *end);
/* The exit code, PAYLOAD_TIMEOUT or PAYLOAD_STOPPED; then every vCPU is parked (or told to). */
int payload_wait(struct payload *p, unsigned timeout_ms);
/* Pauses and returns when all are parked; the time that took. */
gint64 payload_pause_us(struct payload *p);
void payload_close(struct payload *p);
