/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * /dev/kvm and one VM made from it: the in-kernel irqchip, the guest's RAM,
 * what KVM can do.  Owner: the thread that builds the machine; everything a
 * vCPU thread reads here is immutable after kvm_new().
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "libvmm/kvm/memory.h"

struct kvm;

/*
 * dev_fd: an open /dev/kvm, taken in any case; -1: opened here.  Checks the
 * API version and each capability that the machine needs, by name.  mem: the
 * guest's (kvm_set_memory()), or NULL: that comes later, and takes longer.
 */
struct kvm *kvm_new(int dev_fd, const struct guest_memory *mem, GError **error);
void kvm_free(struct kvm *kvm);

int kvm_dev_fd(const struct kvm *kvm);
int kvm_vm_fd(const struct kvm *kvm);
/* KVM_CHECK_EXTENSION's answer for the VM; 0: not there. */
int kvm_cap(const struct kvm *kvm, int capability);
unsigned kvm_max_vcpus(const struct kvm *kvm);

/* Maps every region of mem into the guest; once, mem outlives the VM. */
bool kvm_set_memory(struct kvm *kvm, const struct guest_memory *mem, GError **error);
/* From now on KVM notes which pages the vCPUs write, or no more (dirty.h).  Any thread. */
bool kvm_log_memory(struct kvm *kvm, const struct guest_memory *mem, bool on, GError **error);
