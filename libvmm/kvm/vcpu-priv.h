/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between vcpu.c (threads, pause, reset) and vcpu-run.c (exits). */
#pragma once

#include <linux/kvm.h>
#include <pthread.h>
#include <time.h>

#include "libvmm/kvm/irq.h"
#include "libvmm/kvm/vcpu.h"

enum vcpu_target { TARGET_HELD, TARGET_RUN, TARGET_QUIT };

/* Written by the vCPU's thread alone, read by any. */
struct vcpu_counters {
	uint64_t exits, pio, mmio, signals;
};

struct vcpu {
	struct vcpus *set;
	unsigned index;
	int fd;
	struct kvm_run *run;	/* the thread's; others write immediate_exit only */
	size_t run_bytes;
	struct cpu_state *power_on;
	GThread *thread;
	pthread_t id;		/* valid once begun */
	clockid_t clock;	/* likewise, until it has left */
	struct vcpu_counters counters;
	bool begun, parked, left;	/* set->lock */
	uint64_t cpu_ns;	/* set->lock; final, once left */
};

struct vcpu_stopped {		/* what a vCPU thread tells the owner */
	enum vcpu_cause cause;
	unsigned index;
	char *detail, *registers;
};

struct vcpus {
	struct kvm *kvm;
	struct bus *pio, *mmio;
	GMainContext *owner;
	void (*stopped)(void *opaque, const struct vcpu_stop *why);
	void *opaque;
	char *name;
	GSource *source;	/* wakes the owner: something below has changed */
	struct irq_state *power_on;

	GMutex lock;		/* protects what follows, and the fields of a vCPU that say so */
	GCond changed;		/* target, or a vCPU has parked */
	enum vcpu_target target;
	unsigned n_parked, n_left;
	GQueue stops;		/* of struct vcpu_stopped */
	GQueue pauses;		/* of struct pause */

	unsigned n;
	struct vcpu vcpus[];
};

/* Runs the guest until it is woken or cannot go on; on its thread. */
void vcpu_run(struct vcpu *v);
/* Tells the owner that v cannot go on; holds the others. */
void vcpu_report_stop(struct vcpu *v, enum vcpu_cause cause, const char *format, ...)
	G_GNUC_PRINTF(3, 4);
