/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the guest's processors say that they are. */
#include "config.h"

#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libvmm/kvm/cpu.h"
#include "libvmm/util/cleanup.h"

struct fixture {
	struct kvm *kvm;
	struct cpu_model *model;
	int vcpu_fd;
	struct kvm_cpuid2 *cpuid;
};

static bool kvm_open(struct fixture *f)
{
	g_autoptr(GError) error = NULL;

	*f = (struct fixture){ .vcpu_fd = -1 };
	f->kvm = kvm_new(-1, NULL, &error);
	if (!f->kvm)
		g_test_skip(error->message);
	return f->kvm != NULL;
}

/* A model and vCPU `index` made by it, with the CPUID that KVM then has. */
static bool fixture_open(struct fixture *f, const struct cpu_opts *opts, unsigned index)
{
	g_autoptr(GError) error = NULL;

	if (!kvm_open(f))
		return false;
	f->model = cpu_model_new(f->kvm, opts, &error);
	g_assert_no_error(error);
	f->vcpu_fd =
		ioctl(kvm_vm_fd(f->kvm), KVM_CREATE_VCPU, (long)cpu_model_apic_id(f->model, index));
	g_assert_cmpint(f->vcpu_fd, >=, 0);
	cpu_model_apply(f->model, f->vcpu_fd, index, &error);
	g_assert_no_error(error);
	f->cpuid = g_malloc0(sizeof(*f->cpuid) + 256 * sizeof(f->cpuid->entries[0]));
	f->cpuid->nent = 256;
	g_assert_cmpint(ioctl(f->vcpu_fd, KVM_GET_CPUID2, f->cpuid), ==, 0);
	return true;
}

static void fixture_close(struct fixture *f)
{
	if (f->vcpu_fd >= 0)
		close(f->vcpu_fd);
	g_free(f->cpuid);
	cpu_model_free(f->model);
	kvm_free(f->kvm);
}

static const struct kvm_cpuid_entry2 *leaf(const struct fixture *f, uint32_t function,
					   uint32_t index)
{
	for (unsigned i = 0; i < f->cpuid->nent; i++)
		if (f->cpuid->entries[i].function == function &&
		    f->cpuid->entries[i].index == index)
			return &f->cpuid->entries[i];
	return NULL;
}

static void a_plain_guest_is_one_socket_with_a_hypervisor_bit(void)
{
	const struct cpu_opts opts = { .n_vcpus = 4 };
	const struct kvm_cpuid_entry2 *one;
	struct fixture f;

	if (!fixture_open(&f, &opts, 3))
		return;
	one = leaf(&f, 1, 0);
	g_assert_nonnull(one);
	g_assert_cmpuint(one->ebx >> 24, ==, 3);		       /* APIC id */
	g_assert_cmpuint(one->ebx >> 16 & 0xff, ==, 4);		       /* ids in the package */
	g_assert_true(one->ecx & 1u << 31);			       /* hypervisor */
	g_assert_true(one->ecx & 1u << 21);			       /* x2apic */
	g_assert_true(one->edx & 1u << 28);			       /* ht */
	g_assert_cmphex(leaf(&f, 0x40000000, 0)->ebx, ==, 0x4b4d564b); /* "KVMK" */
	fixture_close(&f);
}

static void the_topology_leaf_tells_threads_from_cores(void)
{
	const struct cpu_opts opts = { .n_vcpus = 12, .sockets = 2, .cores = 3, .threads = 2 };
	const struct kvm_cpuid_entry2 *smt, *core;
	struct fixture f;

	if (!fixture_open(&f, &opts, 11))
		return;
	g_assert_cmpuint(cpu_model_apic_id(f.model, 1), ==, 1);
	g_assert_cmpuint(cpu_model_apic_id(f.model, 2), ==, 2);
	g_assert_cmpuint(cpu_model_apic_id(f.model, 6), ==, 8);
	g_assert_cmpuint(cpu_model_apic_id(f.model, 11), ==, 13);
	smt = leaf(&f, 0xb, 0);
	core = leaf(&f, 0xb, 1);
	if (smt && core) {
		g_assert_cmpuint(smt->eax, ==, 1);
		g_assert_cmpuint(smt->ebx, ==, 2);
		g_assert_cmpuint(core->eax, ==, 3);
		g_assert_cmpuint(core->ebx, ==, 6);
		g_assert_cmpuint(core->edx, ==, 13);
		g_assert_cmpuint(leaf(&f, 0xb, 2)->ecx, ==, 2);
	}
	fixture_close(&f);
}

static void a_topology_too_small_is_refused(void)
{
	const struct cpu_opts opts = { .n_vcpus = 5, .sockets = 1, .cores = 2, .threads = 2 };
	const struct cpu_opts none = { .n_vcpus = 0 };
	const struct cpu_opts many = { .n_vcpus = 100000 };
	g_autoptr(GError) error = NULL;
	struct fixture f;

	if (!kvm_open(&f))
		return;
	g_assert_null(cpu_model_new(f.kvm, &opts, &error));
	g_assert_nonnull(strstr(error->message, "does not hold 5 vCPUs"));
	g_assert_null(cpu_model_new(f.kvm, &none, NULL));
	g_assert_null(cpu_model_new(f.kvm, &many, NULL));
	fixture_close(&f);
}

static uint32_t features_ecx(const struct cpu_feature *features, unsigned n, bool *ret_ok)
{
	const struct cpu_opts opts = { .n_vcpus = 1, .features = features, .n_features = n };
	struct fixture f;
	uint32_t ecx = 0;

	*ret_ok = fixture_open(&f, &opts, 0);
	if (*ret_ok)
		ecx = leaf(&f, 1, 0)->ecx;
	fixture_close(&f);
	return ecx;
}

static void policies_show_and_hide_features(void)
{
	const struct cpu_feature hide[] = { { "x2apic", CPU_DISABLE },
					    { "hypervisor", CPU_DISABLE } };
	const struct cpu_feature force[] = { { "dca", CPU_FORCE }, { "x2apic", CPU_REQUIRE } };
	const struct cpu_feature optional[] = { { "dca", CPU_OPTIONAL } };
	uint32_t ecx;
	bool ok;

	ecx = features_ecx(hide, 2, &ok);
	if (!ok)
		return;
	g_assert_cmphex(ecx & (1u << 21 | 1u << 31), ==, 0);
	ecx = features_ecx(force, 2, &ok);
	g_assert_cmphex(ecx & (1u << 18 | 1u << 21), ==, 1u << 18 | 1u << 21);
	g_assert_cmphex(features_ecx(optional, 1, &ok) & 1u << 18, ==, 0);
}

static void a_policy_that_cannot_hold_is_an_error(void)
{
	static const struct {
		struct cpu_feature feature;
		const char *text;
	} cases[] = {
		{ { "dca", CPU_REQUIRE }, "does not offer" },
		{ { "x2apic", CPU_FORBID }, "has it" },
		{ { "warp-drive", CPU_OPTIONAL }, "not known" },
	};
	struct fixture f;

	if (!kvm_open(&f))
		return;
	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct cpu_opts opts = { .n_vcpus = 1,
					       .features = &cases[i].feature,
					       .n_features = 1 };
		g_autoptr(GError) error = NULL;

		g_assert_null(cpu_model_new(f.kvm, &opts, &error));
		g_assert_nonnull(strstr(error->message, cases[i].text));
		g_assert_nonnull(strstr(error->message, cases[i].feature.name));
	}
	fixture_close(&f);
}

static void saved_state_loads_again(void)
{
	const struct cpu_opts opts = { .n_vcpus = 1 };
	g_autoptr(cpu_state) state = NULL;
	g_autoptr(GError) error = NULL;
	struct kvm_regs before, after;
	struct fixture f;

	if (!fixture_open(&f, &opts, 0))
		return;
	state = cpu_state_save(f.kvm, f.vcpu_fd, &error);
	g_assert_no_error(error);
	g_assert_cmpint(ioctl(f.vcpu_fd, KVM_GET_REGS, &before), ==, 0);
	after = before;
	after.rax = 0x1234;
	after.rip = 0x5678;
	g_assert_cmpint(ioctl(f.vcpu_fd, KVM_SET_REGS, &after), ==, 0);
	cpu_state_load(f.vcpu_fd, state, false, &error);
	g_assert_no_error(error);
	g_assert_cmpint(ioctl(f.vcpu_fd, KVM_GET_REGS, &after), ==, 0);
	g_assert_cmpmem(&before, sizeof(before), &after, sizeof(after));
	fixture_close(&f);
}

static void libvirts_names_are_known(void)
{
	static const char *const names[] = {
		"vmx",	    "svm",	"avx",	   "avx2",	   "avx512f",	 "sse4.1",
		"sse4.2",   "ssse3",	"x2apic",  "tsc-deadline", "hypervisor", "invtsc",
		"aes",	    "pclmuldq", "pdpe1gb", "rdtscp",	   "spec-ctrl",	 "ssbd",
		"md-clear", "topoext",	"npt",	   "nrip-save",	   "xsaves",	 "la57",
		"pku",	    "smep",	"smap",	   "umip",	   "ibpb",
	};

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (!cpu_feature_known(names[i]))
			g_error("'%s' is not known", names[i]);
	g_assert_false(cpu_feature_known(""));
	g_assert_false(cpu_feature_known("AVX"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/cpu/a_plain_guest_is_one_socket_with_a_hypervisor_bit",
			a_plain_guest_is_one_socket_with_a_hypervisor_bit);
	g_test_add_func("/cpu/the_topology_leaf_tells_threads_from_cores",
			the_topology_leaf_tells_threads_from_cores);
	g_test_add_func("/cpu/a_topology_too_small_is_refused", a_topology_too_small_is_refused);
	g_test_add_func("/cpu/policies_show_and_hide_features", policies_show_and_hide_features);
	g_test_add_func("/cpu/a_policy_that_cannot_hold_is_an_error",
			a_policy_that_cannot_hold_is_an_error);
	g_test_add_func("/cpu/saved_state_loads_again", saved_state_loads_again);
	g_test_add_func("/cpu/libvirts_names_are_known", libvirts_names_are_known);
	return g_test_run();
}
