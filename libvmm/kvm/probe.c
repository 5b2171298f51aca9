/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can this host's KVM run Linux?
 *
 * Each test is a run of one guest from power-on, for a test that KVM cannot
 * emulate stops the vCPU.  A timer ends every run: what does not answer has
 * failed.
 */
#include "config.h"
#include "libvmm/kvm/probe.h"

#include <string.h>

#include "libvmm/kvm/probe-priv.h"
#include "libvmm/kvm/vcpu.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define RUN_MS	400
#define PARK_MS 500
/* Processors turn the loop hundreds of millions of times a second; emulators that Linux boots on,
 * tens. */
#define SLOWEST_MIPS   20.0

#define PTE_TABLE_USER 0x007u
#define PTE_HUGE_USER  0x087u

extern const uint8_t probe_guest[], probe_guest_end[];

static const struct {
	const char *name;
	const char *why;
} tests[] = {
	[PROBE_INT3] = { "int3", "Linux patches its own code while it boots" },
	[PROBE_XSAVE] = { "xsave", "each switch of tasks saves the floating point state" },
	[PROBE_CMPXCHG16B] = { "cmpxchg16b", "the memory allocator's fast path" },
	[PROBE_RING3] = { "ring3", "programs run in ring 3 and call by interrupt" },
	[PROBE_SYSCALL] = { "syscall", "programs call the kernel by syscall" },
	[PROBE_SPEED] = { "speed", "a kernel interpreted instruction by instruction does not boot "
				   "in useful time" },
};
static_assert(ARRAY_SIZE(tests) == N_PROBE, "a row for each test");

struct run {
	struct guest_memory *mem;
	struct kvm *kvm;
	struct cpu_model *model;
	struct bus *pio, *mmio;
	struct vcpus *vcpus;
	GMainContext *ctx;
	bool parked;

	int said;		 /* atomic; 0: nothing yet */
	gint64 start_us, end_us; /* written before said */
	bool stopped;
	char detail[120];
};

static void port_read(void *dev, uint64_t off, void *data, unsigned len)
{
}

static void port_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	struct run *r = dev;
	uint8_t value = *(const uint8_t *)data;

	if (value == PROBE_SAYS_START) {
		r->start_us = g_get_monotonic_time();
		return;
	}
	r->end_us = g_get_monotonic_time();
	g_atomic_int_set(&r->said, value);
	vcpus_hold(r->vcpus);
	g_main_context_wakeup(r->ctx);
}

static const struct bus_ops port_ops = { port_read, port_write };

static void on_stopped(void *opaque, const struct vcpu_stop *why)
{
	struct run *r = opaque;

	r->stopped = true;
	g_strlcpy(r->detail, why->detail, sizeof(r->detail));
}

static bool run_open(struct run *r, int dev_fd, GError **error)
{
	const struct guest_memory_opts mem = { .bytes = PROBE_MEMORY_BYTES, .name = "probe" };
	const struct cpu_opts cpu = { .n_vcpus = 1 };
	struct vcpus_opts opts = { .name = "probe", .n = 1, .stopped = on_stopped, .opaque = r };

	r->ctx = g_main_context_new();
	g_main_context_acquire(r->ctx);
	r->pio = bus_new("port");
	r->mmio = bus_new("memory");
	r->kvm = kvm_new(dev_fd, NULL, error);
	if (!r->kvm)
		return false;
	r->mem = guest_memory_new(&mem, error);
	r->model = cpu_model_new(r->kvm, &cpu, error);
	if (!r->mem || !r->model || !kvm_set_memory(r->kvm, r->mem, error) ||
	    !bus_add(r->pio, PROBE_PORT, 1, "probe", &port_ops, r, error))
		return false;
	opts.model = r->model;
	opts.pio = r->pio;
	opts.mmio = r->mmio;
	opts.owner = r->ctx;
	r->vcpus = vcpus_new(r->kvm, &opts, error);
	return r->vcpus != NULL;
}

/* A vCPU that KVM does not give back keeps its thread, and all that this one uses. */
static void run_close(struct run *r)
{
	if (r->vcpus && !r->parked)
		return;
	vcpus_free(r->vcpus);
	cpu_model_free(r->model);
	kvm_free(r->kvm);
	guest_memory_free(r->mem);
	bus_free(r->pio);
	bus_free(r->mmio);
	g_main_context_release(r->ctx);
	g_main_context_unref(r->ctx);
	g_free(r);
}

static struct cpu_entry guest_load(struct run *r, unsigned test)
{
	struct cpu_entry entry = {
		.mode = CPU_ENTRY_LONG,
		.rip = PROBE_CODE,
		.arg = test,
		.gdt_gpa = PROBE_GDT,
		.cr3 = PROBE_PAGE_TABLES,
		.stack = PROBE_STACK,
	};
	uint64_t *t = guest_ptr(r->mem, PROBE_PAGE_TABLES, 6 * 4096);
	size_t bytes = probe_guest_end - probe_guest;

	guest_memory_clear(r->mem);
	t[0] = (PROBE_PAGE_TABLES + 0x1000) | PTE_TABLE_USER;
	t[512] = (PROBE_PAGE_TABLES + 0x2000) | PTE_TABLE_USER;
	t[1024] = PTE_HUGE_USER;
	cpu_entry_gdt(&entry, guest_ptr(r->mem, PROBE_GDT, CPU_GDT_ENTRIES * sizeof(uint64_t)));
	memcpy(guest_ptr(r->mem, PROBE_CODE, bytes), probe_guest, bytes);
	return entry;
}

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static gboolean on_timer(void *arg)
{
	set_flag(arg);
	return G_SOURCE_CONTINUE;
}

/* Iterates until *flag, or the guest has spoken or stopped (when it is asked for), or time is up.
 */
static void wait_for(struct run *r, const bool *flag, unsigned ms)
{
	GSource *timer = g_timeout_source_new(ms);
	bool late = false;

	g_source_set_callback(timer, on_timer, &late, NULL);
	g_source_attach(timer, r->ctx);
	while (!late && !(flag ? *flag : r->stopped || g_atomic_int_get(&r->said)))
		g_main_context_iteration(r->ctx, TRUE);
	g_source_destroy(timer);
	g_source_unref(timer);
}

static void judge_speed(struct run *r, struct probe *ret, struct probe_result *result)
{
	gint64 took = MAX(r->end_us - r->start_us, 1);

	ret->ring0_mips = (double)PROBE_TURNS / took;
	if (ret->ring0_mips < SLOWEST_MIPS)
		result->verdict = PROBE_FAIL;
	g_snprintf(result->detail, sizeof(result->detail),
		   "%.1f million loop turns a second in ring 0%s", ret->ring0_mips,
		   result->verdict == PROBE_FAIL ? ": it is interpreted, not run by the processor"
						 : "");
}

static void judge(struct run *r, struct probe *ret, unsigned test)
{
	struct probe_result *result = &ret->tests[test];
	int said = g_atomic_int_get(&r->said);

	result->verdict = PROBE_FAIL;
	if (r->stopped)
		g_strlcpy(result->detail, r->detail, sizeof(result->detail));
	else if (!said)
		g_snprintf(result->detail, sizeof(result->detail), "no answer in %d ms", RUN_MS);
	else if (said >= PROBE_SAYS_FAULT)
		g_snprintf(result->detail, sizeof(result->detail), "exception %d",
			   said - PROBE_SAYS_FAULT);
	else if (said == PROBE_SAYS_ABSENT)
		g_strlcpy(result->detail, "not offered by CPUID", sizeof(result->detail));
	else if (said != PROBE_SAYS_PASS)
		g_strlcpy(result->detail, "a wrong result", sizeof(result->detail));
	if (said == PROBE_SAYS_PASS)
		result->verdict = PROBE_PASS;
	if (said == PROBE_SAYS_ABSENT)
		result->verdict = PROBE_SKIP;
	if (said == PROBE_SAYS_PASS && test == PROBE_SPEED)
		judge_speed(r, ret, result);
}

static bool run_test(struct run *r, struct probe *ret, unsigned test, GError **error)
{
	struct cpu_entry entry = guest_load(r, test);

	g_atomic_int_set(&r->said, 0);
	r->stopped = false;
	if (!vcpus_reset(r->vcpus, error) || !vcpus_set_entry(r->vcpus, &entry, error))
		return false;
	r->parked = false;
	vcpus_run(r->vcpus);
	wait_for(r, NULL, RUN_MS);
	vcpus_pause(r->vcpus, set_flag, &r->parked);
	wait_for(r, &r->parked, PARK_MS);
	judge(r, ret, test);
	if (!r->parked)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "KVM did not come back from a guest within %d ms (test '%s')",
				 PARK_MS, tests[test].name);
	return true;
}

bool probe_run(int dev_fd, struct probe *ret, GError **error)
{
	struct run *r = g_new0(struct run, 1);
	bool ok;

	*ret = (struct probe){ .runs_linux = true };
	for (unsigned i = 0; i < N_PROBE; i++)
		ret->tests[i] = (struct probe_result){ .name = tests[i].name,
						       .why = tests[i].why,
						       .verdict = PROBE_SKIP };
	r->parked = true;
	ok = run_open(r, dev_fd, error);
	for (unsigned i = 0; i < N_PROBE && ok; i++) {
		ok = run_test(r, ret, i, error);
		ret->runs_linux &= ret->tests[i].verdict != PROBE_FAIL;
	}
	run_close(r);
	return ok;
}
