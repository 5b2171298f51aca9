/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupt lines and doorbells as eventfds.  A GSI is a pin of the in-kernel
 * IOAPIC, edge-triggered: one write to its eventfd is one interrupt (several
 * before the guest looks may be one).  No pin reaches the 8259.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/kvm/kvm.h"
#include "libvmm/util/state.h"

#define IRQ_GSIS 24

/* Routes every GSI to its IOAPIC pin; once, before the guest runs.  kvm_new() does it. */
bool irq_init(struct kvm *kvm, GError **error);

/*
 * Writes to event_fd raise gsi.  The descriptor stays the caller's, who
 * may close it: KVM keeps it.
 */
bool irq_attach(struct kvm *kvm, unsigned gsi, int event_fd, GError **error);
/* A new eventfd, attached: the caller's.  -1 and *error on failure. */
int irq_new(struct kvm *kvm, unsigned gsi, GError **error);

/* A 4-byte guest write of `value` to gpa writes to event_fd and does not exit to us. */
bool irq_attach_kick(struct kvm *kvm, uint64_t gpa, uint32_t value, int event_fd, GError **error);

/* PIC, IOAPIC (and PIT where there is one) as they are now.  No vCPU runs meanwhile. */
struct irq_state;
struct irq_state *irq_state_save(struct kvm *kvm, GError **error);
bool irq_state_load(struct kvm *kvm, const struct irq_state *state, GError **error);
void irq_state_put(const struct irq_state *state, struct state_out *out);
struct irq_state *irq_state_get(struct state_in *in);
void irq_state_free(struct irq_state *state);
typedef struct irq_state irq_state;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(irq_state, irq_state_free)
