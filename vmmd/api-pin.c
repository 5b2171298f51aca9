/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that say on which of the host's CPUs a domain's threads run. */
#include "config.h"

#include "libvmm/host/node.h"
#include "vmmd/api.h"
#include "vmmd/change.h"
#include "vmmd/event.h"
#include "vmmd/params.h"
#include "vmmd/supervisor.h"
#include "vmmd/threads.h"

struct pin {
	int vcpu;			/* or THREADS_OTHER */
	char *cpuset;			/* NULL: no pin of its own */
};

/* ---- setting ---- */

static unsigned host_cpus(void)
{
	g_autoptr(node_topology) topo = node_topology_read();

	return topo->cpus->len;
}

/* A map of all that the host has is no pin.  False: the call has its answer. */
static bool cpuset_of(struct call *call, const void *map, unsigned bytes, char **ret)
{
	unsigned n = host_cpus(), have = 0;
	const uint8_t *bits = map;

	for (unsigned i = 0; i < n && i / 8 < bytes; i++)
		have += bits[i / 8] >> i % 8 & 1;
	*ret = have == n ? NULL : domain_cpuset_text(bits, MIN(bytes, DOMAIN_CPUS_MAX / 8));
	if (*ret || have == n)
		return true;
	call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: the map has no CPU");
	return false;
}

static bool pin_take(domain_def *def, const void *opaque, GError **error)
{
	const struct pin *pin = opaque;

	if (pin->vcpu == THREADS_OTHER) {
		g_free(def->tune.emulator_pin);
		def->tune.emulator_pin = g_strdup(pin->cpuset);
		return true;
	}
	if ((unsigned)pin->vcpu >= def->vcpus)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: domain '%s' has no vCPU %d, but %u of them",
				 def->name, pin->vcpu, def->vcpus);
	tune_set_vcpu_pin(&def->tune, (unsigned)pin->vcpu, pin->cpuset);
	return true;
}

static void tell(struct domain *dom, int vcpu, const char *cpuset)
{
	g_autoptr(GArray) params = params_new();

	if (vcpu == THREADS_OTHER)
		params_text(params, cpuset, "cputune.emulatorpin");
	else
		params_text(params, cpuset, "cputune.vcpupin%d", vcpu);
	event_tunable(dom, params);
}

static void set(struct call *call, const remote_domain *ref, const void *map, unsigned bytes,
		int vcpu, unsigned flags)
{
	struct domain *dom = api_domain_of(call, ref);
	g_autofree char *cpuset = NULL;
	g_auto(change) c = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, flags, &affect) || !cpuset_of(call, map, bytes, &cpuset))
		return;
	if (!change_begin(&c, dom, affect, pin_take, &(struct pin){ vcpu, cpuset }, &error) ||
	    (c.live && !threads_pin(supervisor_pid(call->daemon, dom->uuid_text), vcpu,
				    cpuset ?: c.live->cpuset, &error))) {
		call_fail(call, error);
		return;
	}
	if (c.live)
		tell(dom, vcpu, cpuset);
	change_commit(&c, call);
}

static void pin_vcpu(struct call *call, const void *argp)
{
	const remote_pin_vcpu_args *args = argp;

	set(call, &args->dom, args->cpumap.cpumap_val, args->cpumap.cpumap_len,
	    (int)MIN(args->vcpu, DOMAIN_VCPUS_MAX), API_LIVE);
}

static void pin_vcpu_flags(struct call *call, const void *argp)
{
	const remote_pin_vcpu_flags_args *args = argp;

	set(call, &args->dom, args->cpumap.cpumap_val, args->cpumap.cpumap_len,
	    (int)MIN(args->vcpu, DOMAIN_VCPUS_MAX), args->flags);
}

static void pin_emulator(struct call *call, const void *argp)
{
	const remote_pin_emulator_args *args = argp;

	set(call, &args->dom, args->cpumap.cpumap_val, args->cpumap.cpumap_len, THREADS_OTHER,
	    args->flags);
}

/* ---- reading ---- */

void api_pin_map(const domain_def *def, const char *pin, uint8_t *ret, unsigned bytes)
{
	const char *cpuset = pin ?: def->cpuset;
	uint8_t map[DOMAIN_CPUS_MAX / 8];
	unsigned n = host_cpus();

	if (cpuset)
		domain_cpuset_map(cpuset, map);
	memset(ret, 0, bytes);
	for (unsigned i = 0; i < n && i < DOMAIN_CPUS_MAX && i / 8 < bytes; i++)
		if (!cpuset || map[i / 8] & 1u << i % 8)
			ret[i / 8] |= (uint8_t)(1u << i % 8);
}

static bool maplen_fits(struct call *call, int maplen)
{
	if (maplen > 0 && maplen <= REMOTE_CPUMAP_MAX)
		return true;
	call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: maps of %d bytes", maplen);
	return false;
}

static void get_vcpu_pins(struct call *call, const void *argp)
{
	const remote_vcpu_pin_info_args *args = argp;
	const domain_def *def = api_def_of(call, &args->dom, args->flags, 0);
	g_autofree uint8_t *maps = NULL;
	unsigned n;

	if (!def || !maplen_fits(call, args->maplen))
		return;
	n = MIN(def->vcpus, (unsigned)MAX(args->ncpumaps, 0));
	maps = g_malloc0((gsize)n * (unsigned)args->maplen + 1);
	for (unsigned i = 0; i < n; i++)
		api_pin_map(def, tune_vcpu_pin(&def->tune, i), maps + (gsize)i * args->maplen,
			    (unsigned)args->maplen);
	call_reply(call, &(remote_cpumaps_ret){
		.cpumaps = { n * (unsigned)args->maplen, (char *)maps }, .num = (int)n });
}

static void get_emulator_pin(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;
	const domain_def *def = api_def_of(call, &args->dom, args->flags, 0);
	uint8_t map[REMOTE_CPUMAP_MAX];

	if (!def || !maplen_fits(call, args->num))
		return;
	api_pin_map(def, def->tune.emulator_pin, map, (unsigned)args->num);
	call_reply(call, &(remote_cpumaps_ret){
		.cpumaps = { (unsigned)args->num, (char *)map }, .num = 1 });
}

/* Each disk has its thread, which nobody numbers: there are no others. */
static void get_iothreads(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	if (api_def_of(call, &args->dom, args->flags, 0))
		call_reply(call, &(remote_iothread_info_ret){ 0 });
}

const struct api_entry api_pin[] = {
	{ REMOTE_PROC_DOMAIN_PIN_VCPU, pin_vcpu },
	{ REMOTE_PROC_DOMAIN_PIN_VCPU_FLAGS, pin_vcpu_flags },
	{ REMOTE_PROC_DOMAIN_GET_VCPU_PIN_INFO, get_vcpu_pins },
	{ REMOTE_PROC_DOMAIN_PIN_EMULATOR, pin_emulator },
	{ REMOTE_PROC_DOMAIN_GET_EMULATOR_PIN_INFO, get_emulator_pin },
	{ REMOTE_PROC_DOMAIN_GET_IOTHREAD_INFO, get_iothreads },
	{ 0 }
};
