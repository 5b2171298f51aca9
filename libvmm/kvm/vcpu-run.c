/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The run loop of one vCPU: enter the guest, see why it came out, ask a bus.
 *
 * KVM finishes an access that it gave us only when KVM_RUN is called again.
 * So a vCPU that is to park calls it once more with immediate_exit set: the
 * access is finished, no guest code runs, the result is EINTR.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/vcpu-priv.h"

static void count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/* The results of what follows: does the vCPU go on? */

static bool exit_pio(struct vcpu *v)
{
	const uint32_t size = v->run->io.size, n = v->run->io.count;
	const uint64_t at = v->run->io.data_offset;
	const uint16_t port = v->run->io.port;
	const bool out = v->run->io.direction == KVM_EXIT_IO_OUT;
	uint8_t *data = (uint8_t *)v->run + at;

	count(&v->counters.pio);
	if (at > v->run_bytes || (uint64_t)size * n > v->run_bytes - at) {
		vcpu_report_stop(v, VCPU_KVM_ERROR, "KVM_EXIT_IO with %u accesses of %u bytes", n,
				 size);
		return false;
	}
	for (uint32_t i = 0; i < n; i++, data += size) {
		if (out)
			bus_write(v->set->pio, port, data, size);
		else
			bus_read(v->set->pio, port, data, size);
	}
	return true;
}

static bool exit_mmio(struct vcpu *v)
{
	unsigned len = MIN(v->run->mmio.len, sizeof(v->run->mmio.data));

	count(&v->counters.mmio);
	if (v->run->mmio.is_write)
		bus_write(v->set->mmio, v->run->mmio.phys_addr, v->run->mmio.data, len);
	else
		bus_read(v->set->mmio, v->run->mmio.phys_addr, v->run->mmio.data, len);
	return true;
}

static bool exit_system(struct vcpu *v)
{
	switch (v->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		vcpu_report_stop(v, VCPU_SYSTEM_OFF, "the guest asked to be powered off");
		break;
	case KVM_SYSTEM_EVENT_RESET:
		vcpu_report_stop(v, VCPU_SYSTEM_RESET, "the guest asked to be reset");
		break;
	case KVM_SYSTEM_EVENT_CRASH:
		vcpu_report_stop(v, VCPU_SYSTEM_CRASH, "the guest reported a crash");
		break;
	default:
		vcpu_report_stop(v, VCPU_KVM_ERROR, "KVM_EXIT_SYSTEM_EVENT of type %u",
				 v->run->system_event.type);
	}
	return false;
}

/* Newer kernels give the bytes that they could not emulate. */
static char *failed_instruction(const struct kvm_run *run)
{
	GString *text = g_string_new(NULL);
	unsigned n;

	if (run->emulation_failure.ndata < 3 ||
	    !(run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES))
		return g_string_free(text, FALSE);
	n = MIN(run->emulation_failure.insn_size, G_N_ELEMENTS(run->emulation_failure.insn_bytes));
	g_string_append(text, ", bytes");
	for (unsigned i = 0; i < n; i++)
		g_string_append_printf(text, " %02x", run->emulation_failure.insn_bytes[i]);
	return g_string_free(text, FALSE);
}

static bool exit_internal(struct vcpu *v)
{
	static const char *const names[] = {
		[KVM_INTERNAL_ERROR_EMULATION] = "an instruction that it cannot emulate",
		[KVM_INTERNAL_ERROR_SIMUL_EX] = "simultaneous exceptions",
		[KVM_INTERNAL_ERROR_DELIVERY_EV] = "a fault while it delivered an event",
		[KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON] = "an unexpected exit of the processor",
	};
	const uint32_t sub = v->run->internal.suberror;
	const char *name = sub < G_N_ELEMENTS(names) ? names[sub] : NULL;
	g_autofree char *bytes =
		sub == KVM_INTERNAL_ERROR_EMULATION ? failed_instruction(v->run) : NULL;

	vcpu_report_stop(v, VCPU_KVM_ERROR, "KVM met %s (internal error %u%s)",
			 name ? name : "a problem", sub, bytes ? bytes : "");
	return false;
}

static bool exit_failed_entry(struct vcpu *v)
{
	vcpu_report_stop(v, VCPU_KVM_ERROR,
			 "the processor refuses to enter the guest (reason 0x%" PRIx64 ")",
			 (uint64_t)v->run->fail_entry.hardware_entry_failure_reason);
	return false;
}

static bool exit_handle(struct vcpu *v)
{
	switch (v->run->exit_reason) {
	case KVM_EXIT_IO:
		return exit_pio(v);
	case KVM_EXIT_MMIO:
		return exit_mmio(v);
	case KVM_EXIT_SHUTDOWN:
		vcpu_report_stop(v, VCPU_TRIPLE_FAULT, "triple fault");
		return false;
	case KVM_EXIT_SYSTEM_EVENT:
		return exit_system(v);
	case KVM_EXIT_INTERNAL_ERROR:
		return exit_internal(v);
	case KVM_EXIT_FAIL_ENTRY:
		return exit_failed_entry(v);
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_SET_TPR:
		return true;
	default:
		vcpu_report_stop(v, VCPU_KVM_ERROR, "unexpected KVM exit %u", v->run->exit_reason);
		return false;
	}
}

/*
 * Whatever the reason of EINTR, vcpu_main() looks at the target again under
 * the lock, and clears immediate_exit: a pause that was taken back before we
 * saw it has left that set, and KVM_RUN would never enter the guest.
 */
static bool run_failed(struct vcpu *v, int err)
{
	/* EAGAIN: a processor that waits for INIT or SIPI was woken. */
	if (err == EINTR || err == EAGAIN)
		count(&v->counters.signals);
	else
		vcpu_report_stop(v, VCPU_KVM_ERROR, "KVM_RUN: %s%s", g_strerror(err),
				 err == EFAULT ? " (the host cannot give a page of guest memory)"
					       : "");
	return false;
}

void vcpu_run(struct vcpu *v)
{
	bool go_on = true;

	while (go_on) {
		int r = ioctl(v->fd, KVM_RUN, 0);

		count(&v->counters.exits);
		go_on = r < 0 ? run_failed(v, errno) : exit_handle(v);
	}
}
