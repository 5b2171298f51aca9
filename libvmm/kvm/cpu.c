/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * CPUID of the guest: what KVM supports, less what cannot move with the guest
 * by default, with a topology of our own and the domain's policies on top.
 *
 * APIC ids are packed bit fields (socket | die | core | thread), each as wide
 * as its count needs, as leaf 0xB explains them.  KVM takes the id as the
 * vCPU's number, so vcpu.c creates vCPUs by cpu_model_apic_id().
 */
#include "config.h"
#include "libvmm/kvm/cpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <string.h>
#include <sys/ioctl.h>

#include "libvmm/kvm/cpu-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MAX_ENTRIES		256

#define MSR_MISC_ENABLE		0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEF_TYPE	0x2ff
#define MTRR_ENABLE		(1 << 11)
#define MTRR_WRITE_BACK		6
#define MCG_CTL_P		(UINT64_C(1) << 8)
/* A kernel reads and writes several MSRs of each bank while it boots: few are enough. */
#define MCE_BANKS 2

struct cpu_model {
	struct cpu_opts opts; /* topology filled in; no features */
	unsigned thread_bits, core_bits, die_bits;
	bool amd; /* AMD's or Hygon's leaves */
	bool has_mce;
	struct kvm_cpuid2 *cpuid; /* of vCPU 0; MAX_ENTRIES allocated */
};

static struct kvm_cpuid_entry2 *entry_find(struct kvm_cpuid2 *cpuid, uint32_t leaf,
					   uint32_t subleaf)
{
	for (unsigned i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == leaf &&
		    (e->index == subleaf || !(e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX)))
			return e;
	}
	return NULL;
}

static void leaf_remove(struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	unsigned n = 0;

	for (unsigned i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function != leaf)
			cpuid->entries[n++] = cpuid->entries[i];
	cpuid->nent = n;
}

static void entry_add(struct kvm_cpuid2 *cpuid, struct kvm_cpuid_entry2 entry)
{
	if (cpuid->nent < MAX_ENTRIES)
		cpuid->entries[cpuid->nent++] = entry;
}

static struct kvm_cpuid2 *cpuid_alloc(void)
{
	struct kvm_cpuid2 *cpuid =
		g_malloc0(sizeof(*cpuid) + MAX_ENTRIES * sizeof(struct kvm_cpuid_entry2));

	cpuid->nent = MAX_ENTRIES;
	return cpuid;
}

static uint32_t *reg_of(struct kvm_cpuid_entry2 *e, unsigned reg)
{
	switch (reg) {
	case CPUID_EAX:
		return &e->eax;
	case CPUID_EBX:
		return &e->ebx;
	case CPUID_ECX:
		return &e->ecx;
	default:
		return &e->edx;
	}
}

/* The register with the feature's bit, or NULL where the leaf does not exist. */
static uint32_t *bit_reg(struct kvm_cpuid2 *cpuid, const struct cpu_bit *b)
{
	struct kvm_cpuid_entry2 *e = entry_find(cpuid, b->leaf, b->subleaf);

	return e ? reg_of(e, b->reg) : NULL;
}

static void bit_put(struct kvm_cpuid2 *cpuid, const char *name, bool on)
{
	const struct cpu_bit *b = cpu_bit_find(name);
	uint32_t *reg = bit_reg(cpuid, b);

	if (reg)
		*reg = on ? *reg | 1u << b->bit : *reg & ~(1u << b->bit);
}

static bool feature_apply(struct kvm_cpuid2 *cpuid, const struct kvm_cpuid2 *host,
			  const struct cpu_feature *f, GError **error)
{
	const struct cpu_bit *b = cpu_bit_find(f->name);
	uint32_t *reg, *host_reg;
	bool has;

	if (!b)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "CPU feature '%s' is not known: use libvirt's names, as 'avx2', "
				 "'x2apic', 'vmx'",
				 f->name);
	reg = bit_reg(cpuid, b);
	host_reg = bit_reg((struct kvm_cpuid2 *)host, b);
	has = host_reg && *host_reg & 1u << b->bit;
	if (f->policy == CPU_REQUIRE && !has)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"CPU feature '%s' is required, but this host's KVM does not offer it",
			f->name);
	if (f->policy == CPU_FORBID && has)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "CPU feature '%s' is forbidden, but this host has it", f->name);
	if (f->policy == CPU_FORCE && !reg)
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"CPU feature '%s' cannot be forced: this host's CPUID has no leaf 0x%x",
			f->name, b->leaf);
	if (reg && (f->policy == CPU_FORCE || (has && f->policy <= CPU_OPTIONAL)))
		*reg |= 1u << b->bit;
	else if (reg)
		*reg &= ~(1u << b->bit);
	return true;
}

static unsigned bits_for(unsigned count)
{
	return count <= 1 ? 0 : 32 - __builtin_clz(count - 1);
}

static bool topology_init(struct cpu_model *m, struct kvm *kvm, GError **error)
{
	struct cpu_opts *o = &m->opts;

	if (!o->sockets && !o->dies && !o->cores && !o->threads)
		o->cores = o->n_vcpus;
	o->sockets = MAX(o->sockets, 1u);
	o->dies = MAX(o->dies, 1u);
	o->cores = MAX(o->cores, 1u);
	o->threads = MAX(o->threads, 1u);
	if (!o->n_vcpus || o->n_vcpus > kvm_max_vcpus(kvm))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%u vCPUs: this host's KVM can do 1 to %u", o->n_vcpus,
				 kvm_max_vcpus(kvm));
	if (o->sockets > 1024 || o->dies > 64 || o->cores > 1024 || o->threads > 64 ||
	    (uint64_t)o->sockets * o->dies * o->cores * o->threads < o->n_vcpus)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "CPU topology of %u sockets, %u dies, %u cores, %u threads does "
				 "not hold %u vCPUs",
				 o->sockets, o->dies, o->cores, o->threads, o->n_vcpus);
	m->thread_bits = bits_for(o->threads);
	m->core_bits = bits_for(o->cores);
	m->die_bits = bits_for(o->dies);
	return true;
}

static struct kvm_cpuid2 *host_cpuid(struct kvm *kvm, GError **error)
{
	g_autofree struct kvm_cpuid2 *cpuid = cpuid_alloc();

	if (ioctl(kvm_dev_fd(kvm), KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
		error_errno(error, errno, "KVM_GET_SUPPORTED_CPUID");
		return NULL;
	}
	/* Old kernels leave out what depends on how the VM is made. */
	if (kvm_cap(kvm, KVM_CAP_TSC_DEADLINE_TIMER) > 0)
		bit_put(cpuid, "tsc-deadline", true);
	bit_put(cpuid, "x2apic", true);
	bit_put(cpuid, "hypervisor", true);
	return g_steal_pointer(&cpuid);
}

static void vendor_read(struct cpu_model *m)
{
	const struct kvm_cpuid_entry2 *e = entry_find(m->cpuid, 0, 0);
	char vendor[13] = "";

	if (!e)
		return;
	memcpy(vendor, &e->ebx, 4);
	memcpy(vendor + 4, &e->edx, 4);
	memcpy(vendor + 8, &e->ecx, 4);
	m->amd = strcmp(vendor, "AuthenticAMD") == 0 || strcmp(vendor, "HygonGenuine") == 0;
}

/* KVM's own leaf: what needs no help from us (Documentation/virt/kvm/x86/cpuid.rst). */
static void paravirt_leaf(struct kvm_cpuid2 *cpuid)
{
	struct kvm_cpuid_entry2 *e = entry_find(cpuid, KVM_CPUID_FEATURES, 0);

	if (!e)
		return;
	e->eax &= ~(1u << 15 /* MSI_EXT_DEST_ID */ | 1u << 16 /* HC_MAP_GPA_RANGE */ |
		    1u << 17 /* MIGRATION_CONTROL */);
	e->edx = 0; /* hints: none holds for every host */
}

/* Leaves 0xB and 0x1F: one entry a level, then one that ends the list. */
static void extended_topology(struct cpu_model *m, uint32_t leaf)
{
	const struct cpu_opts *o = &m->opts;
	bool with_dies = leaf == 0x1f && o->dies > 1;
	unsigned package_bits = m->thread_bits + m->core_bits + m->die_bits;
	unsigned per_die = o->cores * o->threads;
	struct kvm_cpuid_entry2 e = {
		.function = leaf,
		.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
	};

	leaf_remove(m->cpuid, leaf);
	e.eax = m->thread_bits;
	e.ebx = o->threads;
	e.ecx = 1 << 8;
	entry_add(m->cpuid, e);
	e.index = 1;
	e.eax = with_dies ? m->thread_bits + m->core_bits : package_bits;
	e.ebx = with_dies ? per_die : per_die * o->dies;
	e.ecx = 1 | 2 << 8;
	entry_add(m->cpuid, e);
	if (with_dies) {
		e.index = 2;
		e.eax = package_bits;
		e.ebx = per_die * o->dies;
		e.ecx = 2 | 5 << 8;
		entry_add(m->cpuid, e);
	}
	e.index++;
	e.eax = e.ebx = 0;
	e.ecx = e.index;
	entry_add(m->cpuid, e);
}

/* Leaf 4 and AMD's 0x8000001D: who shares each cache.  L3 is the die's, the others a core's. */
static void cache_leaf(struct cpu_model *m, uint32_t leaf)
{
	unsigned die_ids = 1u << (m->thread_bits + m->core_bits);

	for (unsigned i = 0; i < m->cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &m->cpuid->entries[i];
		unsigned level = e->eax >> 5 & 7;
		unsigned sharing = level >= 3 ? die_ids : 1u << m->thread_bits;

		if (e->function != leaf || !(e->eax & 0x1f))
			continue;
		e->eax &= 0x3fff;
		e->eax |= (MIN(sharing, 4096u) - 1) << 14;
		if (leaf == 4)
			e->eax |= (MIN(1u << (m->core_bits + m->die_bits), 64u) - 1) << 26;
	}
}

static void amd_topology(struct cpu_model *m)
{
	struct kvm_cpuid_entry2 *e = entry_find(m->cpuid, 0x80000008, 0);
	unsigned package_bits = m->thread_bits + m->core_bits + m->die_bits;
	unsigned per_package = m->opts.dies * m->opts.cores * m->opts.threads;

	/* The newest leaf says the same as 0xB, at length. */
	leaf_remove(m->cpuid, 0x80000026);
	if (e)
		e->ecx = m->amd ? (e->ecx & ~0xf0ffu) | package_bits << 12 |
					  (MIN(per_package, 256u) - 1)
				: 0;
	if (!m->amd)
		return;
	bit_put(m->cpuid, "cmp_legacy", per_package > 1);
	cache_leaf(m, 0x8000001d);
}

static void topology_leaves(struct cpu_model *m)
{
	struct kvm_cpuid_entry2 *base = entry_find(m->cpuid, 0, 0);
	struct kvm_cpuid_entry2 *one = entry_find(m->cpuid, 1, 0);
	unsigned package = 1u << (m->thread_bits + m->core_bits + m->die_bits);

	if (one) {
		one->ebx = (one->ebx & 0x0000ffff) | MIN(package, 255u) << 16;
		bit_put(m->cpuid, "ht", package > 1);
	}
	if (!m->amd)
		cache_leaf(m, 4);
	if (base && base->eax >= 0xb)
		extended_topology(m, 0xb);
	if (base && !m->amd && m->opts.dies > 1)
		base->eax = MAX(base->eax, 0x1fu);
	leaf_remove(m->cpuid, 0x1f);
	if (base && base->eax >= 0x1f)
		extended_topology(m, 0x1f);
	amd_topology(m);
}

struct cpu_model *cpu_model_new(struct kvm *kvm, const struct cpu_opts *opts, GError **error)
{
	g_autoptr(cpu_model) m = g_new0(struct cpu_model, 1);
	g_autofree struct kvm_cpuid2 *host = NULL;
	const struct cpu_bit *mce = cpu_bit_find("mce");
	const uint32_t *reg;

	m->opts = *opts;
	if (!topology_init(m, kvm, error))
		return NULL;
	host = host_cpuid(kvm, error);
	if (!host)
		return NULL;
	m->cpuid = cpuid_alloc();
	memcpy(m->cpuid, host, sizeof(*host) + host->nent * sizeof(host->entries[0]));
	vendor_read(m);
	paravirt_leaf(m->cpuid);
	/* A saved guest must run on a host with another clock rate: libvirt hides it too, unless
	 * asked. */
	bit_put(m->cpuid, "invtsc", false);
	topology_leaves(m);
	for (unsigned i = 0; i < opts->n_features; i++)
		if (!feature_apply(m->cpuid, host, &opts->features[i], error))
			return NULL;
	m->opts.features = NULL;
	m->opts.n_features = 0;
	reg = bit_reg(m->cpuid, mce);
	m->has_mce = reg && *reg & 1u << mce->bit;
	return g_steal_pointer(&m);
}

void cpu_model_free(struct cpu_model *m)
{
	if (!m)
		return;
	g_free(m->cpuid);
	g_free(m);
}

uint32_t cpu_model_apic_id(const struct cpu_model *m, unsigned index)
{
	const struct cpu_opts *o = &m->opts;
	unsigned thread = index % o->threads;
	unsigned core = index / o->threads % o->cores;
	unsigned die = index / o->threads / o->cores % o->dies;
	unsigned socket = index / o->threads / o->cores / o->dies;

	return ((socket << m->die_bits | die) << m->core_bits | core) << m->thread_bits | thread;
}

/* What differs from one vCPU to the next: its own id. */
static void entry_personalize(const struct cpu_model *m, struct kvm_cpuid_entry2 *e, unsigned index)
{
	uint32_t id = cpu_model_apic_id(m, index);
	const struct cpu_opts *o = &m->opts;

	switch (e->function) {
	case 1:
		e->ebx = (e->ebx & 0x00ffffff) | id << 24;
		break;
	case 0xb:
	case 0x1f:
		e->edx = id;
		break;
	case 0x8000001e:
		if (!m->amd)
			break;
		e->eax = id;
		e->ebx = (o->threads - 1) << 8 | (id >> m->thread_bits & 0xff);
		e->ecx = (MIN(o->dies, 8u) - 1) << 8 |
			 (id >> (m->thread_bits + m->core_bits) & 0xff);
		break;
	}
}

static void msr_write(int vcpu_fd, uint32_t index, uint64_t value)
{
	union {
		struct kvm_msrs head;
		uint8_t bytes[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = { .head.nmsrs = 1 };

	one.head.entries[0] = (struct kvm_msr_entry){ .index = index, .data = value };
	ioctl(vcpu_fd, KVM_SET_MSRS, &one);
}

/*
 * Memory is write-back unless said otherwise: with MTRRs off a kernel gives up
 * PAT as well.  Failure is no error: a KVM without an MSR has nothing to set.
 */
static void msrs_start(const struct cpu_model *m, int vcpu_fd)
{
	uint64_t mcg_cap = MCG_CTL_P | MCE_BANKS;

	msr_write(vcpu_fd, MSR_MISC_ENABLE, MISC_ENABLE_FAST_STRING);
	msr_write(vcpu_fd, MSR_MTRR_DEF_TYPE, MTRR_ENABLE | MTRR_WRITE_BACK);
	if (m->has_mce)
		ioctl(vcpu_fd, KVM_X86_SETUP_MCE, &mcg_cap);
}

bool cpu_model_apply(const struct cpu_model *m, int vcpu_fd, unsigned index, GError **error)
{
	size_t bytes = sizeof(*m->cpuid) + m->cpuid->nent * sizeof(m->cpuid->entries[0]);
	g_autofree struct kvm_cpuid2 *cpuid = g_memdup2(m->cpuid, bytes);

	for (unsigned i = 0; i < cpuid->nent; i++)
		entry_personalize(m, &cpuid->entries[i], index);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid) < 0)
		return error_errno(error, errno, "vCPU %u: KVM_SET_CPUID2", index);
	msrs_start(m, vcpu_fd);
	return true;
}
