/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The vCPUs of one machine: a thread each, run, paused and reset together.
 *
 * Owner: the thread of opts.owner, which makes every call below except where
 * "any thread" is said.  No call waits for a vCPU: a vCPU thread inside a
 * device handler may owner_call() the owner, so vcpus_pause() answers by a
 * callback.  vcpus_free() alone waits, and iterates the owner's context
 * meanwhile: never call it from a handler on a vCPU thread.
 *
 *	parked (after new) --vcpus_run--> running --vcpus_pause/hold--> parked
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/kvm/bus.h"
#include "libvmm/kvm/cpu.h"
#include "libvmm/kvm/kvm.h"
#include "libvmm/util/state.h"

struct vcpus;

enum vcpu_cause {
	VCPU_TRIPLE_FAULT,	/* the guest's: KVM_EXIT_SHUTDOWN */
	VCPU_SYSTEM_RESET,	/* KVM_EXIT_SYSTEM_EVENT */
	VCPU_SYSTEM_OFF,
	VCPU_SYSTEM_CRASH,	/* the guest said that it crashed */
	VCPU_KVM_ERROR,		/* the host's: internal error, failed entry, unknown exit, ioctl */
};

struct vcpu_stop {
	enum vcpu_cause cause;
	unsigned index;		/* which vCPU */
	const char *detail;	/* one line */
	const char *registers;	/* several lines, or "" */
};

struct vcpus_opts {
	const char *name;	/* of the domain: threads are "NAME/vcpuN", NAME cut to fit 15 */
	unsigned n;
	const struct cpu_model *model;	/* used by vcpus_new() only */
	struct bus *pio;
	struct bus *mmio;
	GMainContext *owner;
	/*
	 * A vCPU cannot go on.  Called on the owner's thread; all vCPUs are
	 * held: none runs guest code any more, or will until vcpus_run().
	 */
	void (*stopped)(void *opaque, const struct vcpu_stop *why);
	void *opaque;
};

typedef void vcpus_done_fn(void *arg);

/* vCPUs in their power-on state, parked. */
struct vcpus *vcpus_new(struct kvm *kvm, const struct vcpus_opts *opts, GError **error);
/* Stops and joins the threads; calls nothing back any more when it has returned. */
void vcpus_free(struct vcpus *vcpus);

/* The boot processor starts there at the next vcpus_run(); only while parked. */
bool vcpus_set_entry(struct vcpus *vcpus, const struct cpu_entry *entry, GError **error);

void vcpus_run(struct vcpus *vcpus);
/*
 * done(arg) on the owner's thread, from its main loop, when every vCPU is
 * parked with its last exit finished.  Calls add up.  A vcpus_run() in between
 * wins over the pause; done is still called.
 */
void vcpus_pause(struct vcpus *vcpus, vcpus_done_fn *done, void *arg);
/*
 * Any thread: no vCPU enters the guest again until vcpus_run().  For device
 * handlers: the calling vCPU parks as soon as its handler returns.
 */
void vcpus_hold(struct vcpus *vcpus);
bool vcpus_parked(struct vcpus *vcpus);

/*
 * Back to the power-on state, irqchip too; only while parked.  Memory and
 * devices are the caller's.
 */
bool vcpus_reset(struct vcpus *vcpus, GError **error);

/*
 * All vCPUs, the irqchip and the guest's clocks, in sections of `s`; only
 * while parked.  Load: into vCPUs of the same model that have not run.  The
 * clocks go on as if they had run all the time, by the host's real time.
 */
bool vcpus_save(struct vcpus *vcpus, struct state_file *s, GError **error);
bool vcpus_load(struct vcpus *vcpus, const struct state_file *s, GError **error);

struct vcpu_stats {
	bool running;		/* not parked */
	uint64_t cpu_ns;
	uint64_t exits;		/* returns of KVM_RUN: pio + mmio + signals + others */
	uint64_t pio;
	uint64_t mmio;
	uint64_t signals;	/* woken to be paused */
};

/* Any thread. */
void vcpus_stats(struct vcpus *vcpus, unsigned index, struct vcpu_stats *ret);
