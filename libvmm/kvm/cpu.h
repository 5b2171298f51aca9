/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the guest's processors are: CPUID by model and feature policies,
 * topology, registers at entry, and the whole state of one vCPU saved and
 * loaded.  Works on a vCPU descriptor whose vCPU does not run.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/kvm/kvm.h"
#include "libvmm/util/state.h"

enum cpu_feature_policy {		/* libvirt's <feature policy=> */
	CPU_REQUIRE,		/* the host must have it */
	CPU_OPTIONAL,		/* if the host has it */
	CPU_FORCE,		/* shown to the guest whether the host has it or not */
	CPU_DISABLE,		/* hidden from the guest */
	CPU_FORBID,		/* an error if the host has it */
};

struct cpu_feature {
	const char *name;	/* libvirt's: "avx2", "x2apic", "invtsc", "vmx" */
	enum cpu_feature_policy policy;
};

struct cpu_opts {
	unsigned n_vcpus;
	/* All zero: one socket of n_vcpus cores.  Else the product is n_vcpus or more. */
	unsigned sockets, dies, cores, threads;
	const struct cpu_feature *features;
	unsigned n_features;
};

struct cpu_model;

/* KVM_GET_SUPPORTED_CPUID with the topology made right and the policies applied. */
struct cpu_model *cpu_model_new(struct kvm *kvm, const struct cpu_opts *opts, GError **error);
void cpu_model_free(struct cpu_model *model);
typedef struct cpu_model cpu_model;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(cpu_model, cpu_model_free)

uint32_t cpu_model_apic_id(const struct cpu_model *model, unsigned index);
/* CPUID and start-up MSRs of vCPU `index`. */
bool cpu_model_apply(const struct cpu_model *model, int vcpu_fd, unsigned index, GError **error);

/* Is this a feature name that policies may use? */
bool cpu_feature_known(const char *name);

/* Where the boot processor starts.  The tables and structures are in guest memory already. */
struct cpu_entry {
	enum {
		CPU_ENTRY_LONG,		/* 64-bit Linux boot protocol: arg in rsi */
		CPU_ENTRY_PVH,		/* 32-bit, flat, paging off: arg in ebx */
	} mode;
	uint64_t rip;
	uint64_t arg;			/* boot_params, or hvm_start_info */
	uint64_t gdt_gpa;		/* where cpu_entry_gdt() has been written */
	uint64_t cr3;			/* LONG: identity page tables */
	uint64_t stack;
};

#define CPU_GDT_ENTRIES 5
/* The descriptors that boot.c writes at gdt_gpa for this entry mode. */
void cpu_entry_gdt(const struct cpu_entry *entry, uint64_t gdt[CPU_GDT_ENTRIES]);
bool cpu_set_entry(int vcpu_fd, const struct cpu_entry *entry, GError **error);

/* Registers, FPU and extended state, LAPIC, events, MSRs of one vCPU. */
struct cpu_state;
struct cpu_state *cpu_state_save(struct kvm *kvm, int vcpu_fd, GError **error);
/* with_tsc: also the time stamp counter (a snapshot's; a reset leaves it running). */
bool cpu_state_load(int vcpu_fd, const struct cpu_state *state, bool with_tsc, GError **error);
/*
 * To and from a saved machine.  Whatever it says, KVM is given no more than
 * what is there; KVM itself checks the values.
 */
void cpu_state_put(const struct cpu_state *state, struct state_out *out);
struct cpu_state *cpu_state_get(struct kvm *kvm, struct state_in *in);
/* Time has gone on by so many cycles since it was saved. */
void cpu_state_advance_tsc(struct cpu_state *state, uint64_t cycles);
void cpu_state_free(struct cpu_state *state);
typedef struct cpu_state cpu_state;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(cpu_state, cpu_state_free)

/* General, control and segment registers as lines of text, for a log.  The caller's. */
char *cpu_format_registers(int vcpu_fd);
