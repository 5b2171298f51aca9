/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * vCPUs saved and loaded, with what they share: irqchip, clocks, CPUID.
 *
 * Time.  The guest has two clocks of KVM: the time stamp counter and the
 * paravirtual clock, which counts nanoseconds.  Both are advanced by the real
 * time that has passed since the save, by one and the same amount, so that a
 * guest finds them as it left them to each other, its wall clock right, and
 * timers that would have fired meanwhile due at once.  KVM_CLOCK_REALTIME
 * would advance the one without telling us by how much, so it is only used to
 * read clock and real time together.  A real time that has gone backwards
 * counts as none.
 *
 * KVM takes counters that are written within a second, and are near each
 * other, for one and the same: the vCPUs' counters stay in step.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/ioctl.h>
#include <time.h>

#include "libvmm/kvm/cpu-priv.h"
#include "libvmm/kvm/vcpu-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define CPU_VERSION 1
#define IRQCHIP_VERSION 1
#define CLOCK_VERSION 1
#define NS_PER_S UINT64_C(1000000000)
/* Ten years in a file: what is longer is a lie. */
#define AWAY_NS_MAX (UINT64_C(10) * 366 * 86400 * NS_PER_S)

#ifndef KVM_CLOCK_REALTIME
#define KVM_CLOCK_REALTIME (1 << 2)
#endif

static uint64_t real_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* --- save --- */

static bool clock_save(struct vcpus *v, struct state_file *s, GError **error)
{
	struct kvm_clock_data clock = { 0 };
	int khz = ioctl(v->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);
	struct state_out out;
	uint64_t real;

	if (ioctl(kvm_vm_fd(v->kvm), KVM_GET_CLOCK, &clock) < 0)
		return error_errno(error, errno, "KVM_GET_CLOCK");
	real = real_ns();
#ifdef KVM_CAP_XSAVE2 /* headers that are new enough to have the field */
	if (clock.flags & KVM_CLOCK_REALTIME)
		real = clock.realtime;
#endif
	state_begin(&out, s, "clock", CLOCK_VERSION);
	state_put_u64(&out, clock.clock);
	state_put_u64(&out, real);
	state_put_u32(&out, khz > 0 ? (uint32_t)khz : 0);
	state_end(&out);
	return true;
}

static bool vcpu_save(struct vcpus *v, unsigned i, struct state_file *s, GError **error)
{
	g_autoptr(cpu_state) cpu = cpu_state_save(v->kvm, v->vcpus[i].fd, error);
	g_autofree char *name = g_strdup_printf("cpu/%u", i);
	struct state_out out;

	if (!cpu)
		return false;
	state_begin(&out, s, name, CPU_VERSION);
	cpuid_put(v->vcpus[i].fd, &out);
	cpu_state_put(cpu, &out);
	state_end(&out);
	return true;
}

bool vcpus_save(struct vcpus *v, struct state_file *s, GError **error)
{
	g_autoptr(irq_state) irqs = NULL;
	struct state_out out;

	for (unsigned i = 0; i < v->n; i++)
		if (!vcpu_save(v, i, s, error))
			return false;
	irqs = irq_state_save(v->kvm, error);
	if (!irqs)
		return false;
	state_begin(&out, s, "irqchip", IRQCHIP_VERSION);
	irq_state_put(irqs, &out);
	state_end(&out);
	return clock_save(v, s, error);
}

/* --- load --- */

struct saved_clock {
	uint64_t clock_ns, away_ns;
	uint32_t tsc_khz;
};

static bool clock_get(const struct state_file *s, struct saved_clock *ret, GError **error)
{
	struct state_in in;
	uint64_t real, now = real_ns();

	if (!state_find(s, "clock", CLOCK_VERSION, &in, error))
		return false;
	ret->clock_ns = state_get_u64(&in);
	real = state_get_u64(&in);
	ret->tsc_khz = state_get_u32(&in);
	ret->away_ns = now > real ? now - real : 0;
	in.bad |= ret->away_ns > AWAY_NS_MAX || ret->clock_ns > UINT64_MAX / 2;
	return state_done(&in, error);
}

/* A counter of another frequency would make each second of the guest a wrong one. */
static bool tsc_match(struct vcpus *v, const struct saved_clock *c, GError **error)
{
	int khz = ioctl(v->vcpus[0].fd, KVM_GET_TSC_KHZ, 0);
	uint32_t off;

	if (khz <= 0 || !c->tsc_khz)
		return true;
	off = (uint32_t)ABS((int64_t)khz - (int64_t)c->tsc_khz);
	/* 250 ppm: what one boot of a host measures otherwise than the next */
	if (off <= c->tsc_khz / 4000)
		return true;
	for (unsigned i = 0; i < v->n; i++)
		if (ioctl(v->vcpus[i].fd, KVM_SET_TSC_KHZ, (unsigned long)c->tsc_khz) < 0)
			return error_set(error, VMM_ERR_OPERATION_FAILED,
					 "saved state: its time stamp counter runs at %u kHz, this "
					 "host's at %d kHz and cannot be scaled",
					 c->tsc_khz, khz);
	return true;
}

static bool vcpu_load(struct vcpus *v, unsigned i, const struct state_file *s, uint64_t cycles,
		      GError **error)
{
	g_autofree char *name = g_strdup_printf("cpu/%u", i);
	g_autoptr(cpu_state) cpu = NULL;
	struct state_in in;

	if (!state_find(s, name, CPU_VERSION, &in, error) ||
	    !cpuid_get(v->vcpus[i].fd, &in, error))
		return false;
	cpu = cpu_state_get(v->kvm, &in);
	if (!state_done(&in, error))
		return false;
	cpu_state_advance_tsc(cpu, cycles);
	if (cpu_state_load(v->vcpus[i].fd, cpu, true, error))
		return true;
	g_prefix_error(error, "saved state: vCPU %u: ", i);
	return false;
}

static bool irqs_load(struct vcpus *v, const struct state_file *s, GError **error)
{
	g_autoptr(irq_state) irqs = NULL;
	struct state_in in;

	if (!state_find(s, "irqchip", IRQCHIP_VERSION, &in, error))
		return false;
	irqs = irq_state_get(&in);
	return state_done(&in, error) && irq_state_load(v->kvm, irqs, error);
}

static bool clock_load(struct vcpus *v, const struct saved_clock *c, GError **error)
{
	struct kvm_clock_data clock = { .clock = c->clock_ns + c->away_ns };

	if (ioctl(kvm_vm_fd(v->kvm), KVM_SET_CLOCK, &clock) < 0)
		return error_errno(error, errno, "KVM_SET_CLOCK");
	return true;
}

bool vcpus_load(struct vcpus *v, const struct state_file *s, GError **error)
{
	g_autofree char *next = g_strdup_printf("cpu/%u", v->n);
	struct saved_clock c;
	uint64_t cycles;

	if (state_file_has(s, next))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "saved state: it has more than the %u vCPUs of the definition",
				 v->n);
	if (!clock_get(s, &c, error) || !tsc_match(v, &c, error))
		return false;
	cycles = (uint64_t)((unsigned __int128)c.away_ns * c.tsc_khz / 1000000);
	for (unsigned i = 0; i < v->n; i++)
		if (!vcpu_load(v, i, s, cycles, error))
			return false;
	return irqs_load(v, s, error) && clock_load(v, &c, error);
}
