/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The CPUID of a saved vCPU.  The guest has looked once and remembers: a
 * restored one shows what the saved one did, and a host that cannot do all of
 * it is refused by the feature that is missing.
 */
#include "config.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/cpu-priv.h"
#include "libvmm/kvm/cpu.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MAX_ENTRIES 256

/* Registers of feature bits; state_bits show a state and no feature. */
static const struct {
	uint32_t leaf, subleaf;
	enum cpuid_reg reg;
	uint32_t state_bits;
} feature_regs[] = {
	{ 1, 0, CPUID_ECX, 1u << 27 | 1u << 3 },	/* OSXSAVE, MONITOR (by an MSR) */
	{ 1, 0, CPUID_EDX, 1u << 9 },			/* APIC (by an MSR) */
	{ 7, 0, CPUID_EBX, 0 },
	{ 7, 0, CPUID_ECX, 1u << 4 },			/* OSPKE */
	{ 7, 0, CPUID_EDX, 0 },
	{ 7, 1, CPUID_EAX, 0 },
	{ 0xd, 0, CPUID_EAX, 0 },
	{ 0xd, 1, CPUID_EAX, 0 },
	{ 0x40000001, 0, CPUID_EAX, 0 },
	{ 0x80000001, 0, CPUID_ECX, 0 },
	{ 0x80000001, 0, CPUID_EDX, 1u << 9 },
	{ 0x80000008, 0, CPUID_EBX, 0 },
};

static struct kvm_cpuid2 *cpuid_read(int vcpu_fd)
{
	struct kvm_cpuid2 *c = g_malloc0(sizeof(*c) + MAX_ENTRIES * sizeof(c->entries[0]));

	c->nent = MAX_ENTRIES;
	if (ioctl(vcpu_fd, KVM_GET_CPUID2, c) < 0)
		c->nent = 0;
	return c;
}

void cpuid_put(int vcpu_fd, struct state_out *out)
{
	g_autofree struct kvm_cpuid2 *c = cpuid_read(vcpu_fd);

	state_put_u32(out, c->nent);
	state_put(out, c->entries, c->nent * sizeof(c->entries[0]));
}

static uint32_t reg_value(const struct kvm_cpuid2 *c, uint32_t leaf, uint32_t subleaf,
			  enum cpuid_reg reg)
{
	for (unsigned i = 0; i < c->nent; i++) {
		const struct kvm_cpuid_entry2 *e = &c->entries[i];
		const uint32_t values[] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == leaf && e->index == subleaf)
			return values[reg];
	}
	return 0;
}

static bool features_fit(const struct kvm_cpuid2 *saved, const struct kvm_cpuid2 *here,
			 GError **error)
{
	for (unsigned i = 0; i < ARRAY_SIZE(feature_regs); i++) {
		uint32_t leaf = feature_regs[i].leaf, sub = feature_regs[i].subleaf;
		enum cpuid_reg reg = feature_regs[i].reg;
		uint32_t lack = reg_value(saved, leaf, sub, reg) &
				~reg_value(here, leaf, sub, reg) & ~feature_regs[i].state_bits;
		unsigned bit = lack ? (unsigned)__builtin_ctz(lack) : 0;
		const char *name = cpu_bit_name(leaf, sub, reg, bit);

		if (lack)
			return error_set(error, VMM_ERR_OPERATION_FAILED,
					 "saved state: the guest uses the CPU feature '%s' (CPUID "
					 "0x%x, bit %u), which this host does not offer",
					 name ? name : "?", leaf, bit);
	}
	return true;
}

bool cpuid_get(int vcpu_fd, struct state_in *in, GError **error)
{
	g_autofree struct kvm_cpuid2 *here = cpuid_read(vcpu_fd);
	g_autofree struct kvm_cpuid2 *saved =
		g_malloc0(sizeof(*saved) + MAX_ENTRIES * sizeof(saved->entries[0]));

	saved->nent = state_get_max(in, MAX_ENTRIES);
	state_get(in, saved->entries, saved->nent * sizeof(saved->entries[0]));
	if (in->bad)
		return state_done(in, error);
	if (!saved->nent || !here->nent)
		return true;
	if (!features_fit(saved, here, error))
		return false;
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, saved) < 0)
		return error_errno(error, errno, "saved state: KVM_SET_CPUID2");
	return true;
}
