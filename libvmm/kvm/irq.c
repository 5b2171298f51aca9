/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupt lines and doorbells as eventfds.
 *
 * An irqfd without a resample descriptor is a pulse: the IOAPIC sees the line
 * go up and down at once, which is what an edge-triggered pin wants, and loses
 * a level-triggered one.  So the DSDT says Edge for every device.
 */
#include "config.h"
#include "libvmm/kvm/irq.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

struct irq_state {
	struct kvm_irqchip chips[3]; /* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */
	struct kvm_pit_state2 pit;
	bool has_pit;
};

bool irq_init(struct kvm *kvm, GError **error)
{
	union {
		struct kvm_irq_routing head;
		uint8_t bytes[sizeof(struct kvm_irq_routing) +
			      IRQ_GSIS * sizeof(struct kvm_irq_routing_entry)];
	} table = { .head.nr = IRQ_GSIS };

	for (unsigned gsi = 0; gsi < IRQ_GSIS; gsi++)
		table.head.entries[gsi] = (struct kvm_irq_routing_entry){
			.gsi = gsi,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = { .irqchip = KVM_IRQCHIP_IOAPIC, .pin = gsi },
		};
	if (ioctl(kvm_vm_fd(kvm), KVM_SET_GSI_ROUTING, &table) < 0)
		return error_errno(error, errno, "KVM_SET_GSI_ROUTING");
	return true;
}

bool irq_attach(struct kvm *kvm, unsigned gsi, int event_fd, GError **error)
{
	struct kvm_irqfd args = { .fd = event_fd, .gsi = gsi };

	if (gsi >= IRQ_GSIS)
		return error_set(error, VMM_ERR_INTERNAL, "GSI %u: there are %d", gsi, IRQ_GSIS);
	if (ioctl(kvm_vm_fd(kvm), KVM_IRQFD, &args) < 0)
		return error_errno(error, errno, "KVM_IRQFD for GSI %u", gsi);
	return true;
}

int irq_new(struct kvm *kvm, unsigned gsi, GError **error)
{
	auto_close int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (fd < 0) {
		error_errno(error, errno, "eventfd for GSI %u", gsi);
		return -1;
	}
	return irq_attach(kvm, gsi, fd, error) ? TAKE_FD(fd) : -1;
}

bool irq_attach_kick(struct kvm *kvm, uint64_t gpa, uint32_t value, int event_fd, GError **error)
{
	struct kvm_ioeventfd args = {
		.datamatch = value,
		.addr = gpa,
		.len = 4,
		.fd = event_fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	if (ioctl(kvm_vm_fd(kvm), KVM_IOEVENTFD, &args) < 0)
		return error_errno(error, errno, "KVM_IOEVENTFD at 0x%" PRIx64 " for %u", gpa,
				   value);
	return true;
}

struct irq_state *irq_state_save(struct kvm *kvm, GError **error)
{
	g_autoptr(irq_state) state = g_new0(struct irq_state, 1);
	int vm_fd = kvm_vm_fd(kvm);

	for (unsigned i = 0; i < ARRAY_SIZE(state->chips); i++) {
		state->chips[i].chip_id = i;
		if (ioctl(vm_fd, KVM_GET_IRQCHIP, &state->chips[i]) < 0) {
			error_errno(error, errno, "KVM_GET_IRQCHIP %u", i);
			return NULL;
		}
	}
	state->has_pit = ioctl(vm_fd, KVM_GET_PIT2, &state->pit) == 0;
	return g_steal_pointer(&state);
}

bool irq_state_load(struct kvm *kvm, const struct irq_state *state, GError **error)
{
	int vm_fd = kvm_vm_fd(kvm);

	for (unsigned i = 0; i < ARRAY_SIZE(state->chips); i++) {
		struct kvm_irqchip chip = state->chips[i];

		if (ioctl(vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
			return error_errno(error, errno, "KVM_SET_IRQCHIP %u", i);
	}
	if (state->has_pit) {
		struct kvm_pit_state2 pit = state->pit;

		if (ioctl(vm_fd, KVM_SET_PIT2, &pit) < 0)
			return error_errno(error, errno, "KVM_SET_PIT2");
	}
	return true;
}

void irq_state_put(const struct irq_state *state, struct state_out *out)
{
	for (unsigned i = 0; i < ARRAY_SIZE(state->chips); i++)
		state_put(out, &state->chips[i].chip, sizeof(state->chips[i].chip));
	state_put_u8(out, state->has_pit);
	state_put(out, &state->pit, sizeof(state->pit));
}

struct irq_state *irq_state_get(struct state_in *in)
{
	g_autoptr(irq_state) state = g_new0(struct irq_state, 1);

	for (unsigned i = 0; i < ARRAY_SIZE(state->chips); i++) {
		state->chips[i].chip_id = i;
		state_get(in, &state->chips[i].chip, sizeof(state->chips[i].chip));
	}
	state->has_pit = state_get_bool(in);
	state_get(in, &state->pit, sizeof(state->pit));
	return in->bad ? NULL : g_steal_pointer(&state);
}

void irq_state_free(struct irq_state *state)
{
	g_free(state);
}
