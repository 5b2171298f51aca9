/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of limits: a domain's share of the host's CPUs, memory and disks, by its cgroup. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/cgroup.h"
#include "vmmd/change.h"
#include "vmmd/event.h"
#include "vmmd/params.h"
#include "vmmd/supervisor.h"

struct limit {
	const char *name;		/* libvirt's, of the parameter */
	enum domain_tune tune;
	enum param_type type;
	uint64_t none;			/* what a client sees where there is no limit */
};

struct limit_set {
	const struct limit *limits;
	unsigned n;
};

#define CPU_LIMITS 3
static const struct limit_set cpu_limits = { (const struct limit[]){
	{ "cpu_shares", TUNE_CPU_SHARES, PARAM_UHYPER, 100 },
	{ "global_period", TUNE_CPU_PERIOD, PARAM_UHYPER, 100000 },
	{ "global_quota", TUNE_CPU_QUOTA, PARAM_HYPER, UINT64_MAX },
}, CPU_LIMITS };

static const struct limit_set memory_limits = { (const struct limit[]){
	{ "hard_limit", TUNE_MEMORY_HARD, PARAM_UHYPER, TUNE_MEMORY_UNLIMITED },
	{ "soft_limit", TUNE_MEMORY_SOFT, PARAM_UHYPER, TUNE_MEMORY_UNLIMITED },
	{ "swap_hard_limit", TUNE_MEMORY_SWAP, PARAM_UHYPER, TUNE_MEMORY_UNLIMITED },
}, 3 };

static const struct limit_set io_limits = { (const struct limit[]){
	{ "weight", TUNE_IO_WEIGHT, PARAM_UINT, 100 },
}, 1 };

/* ---- reading ---- */

static GArray *limits_list(const domain_def *def, const struct limit_set *set)
{
	GArray *params = params_new();

	for (unsigned i = 0; i < set->n; i++) {
		const struct limit *l = &set->limits[i];
		uint64_t value = def->tune.values[l->tune] ?: l->none;

		if (l->type == PARAM_UINT)
			params_uint(params, (unsigned)value, "%s", l->name);
		else if (l->type == PARAM_HYPER)
			params_hyper(params, (int64_t)value, "%s", l->name);
		else
			params_uhyper(params, value, "%s", l->name);
	}
	return params;
}

/* Two-phase: asked for none, it tells how many there are. */
static void params_reply(struct call *call, GArray *params, int asked)
{
	unsigned n = asked > 0 ? MIN(params->len, (unsigned)asked) : 0;

	call_reply(call, &(remote_params_ret){
		.params = { n, (remote_param *)(void *)params->data },
		.nparams = (int)(asked > 0 ? n : params->len) });
}

static void limits_get(struct call *call, const void *argp, const struct limit_set *set)
{
	const remote_dom_int_flags_args *args = argp;
	const domain_def *def = api_def_of(call, &args->dom, args->flags, PARAM_STRINGS);
	g_autoptr(GArray) params = def ? limits_list(def, set) : NULL;

	if (params)
		params_reply(call, params, args->num);
}

static void get_memory(struct call *call, const void *argp)
{
	limits_get(call, argp, &memory_limits);
}

static void get_io(struct call *call, const void *argp)
{
	limits_get(call, argp, &io_limits);
}

static void get_scheduler_type(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_scheduler_type_ret){ (char *)"posix", CPU_LIMITS });
}

static void scheduler_reply(struct call *call, const remote_domain *ref, int max, unsigned flags)
{
	const domain_def *def = api_def_of(call, ref, flags, PARAM_STRINGS);
	g_autoptr(GArray) params = def ? limits_list(def, &cpu_limits) : NULL;

	if (params)
		call_reply(call, &(remote_params_only_ret){
			{ MIN(params->len, (unsigned)MAX(max, 0)),
			  (remote_param *)(void *)params->data } });
}

static void get_scheduler(struct call *call, const void *argp)
{
	const remote_dom_int_args *args = argp;

	scheduler_reply(call, &args->dom, args->num, 0);
}

static void get_scheduler_flags(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;

	scheduler_reply(call, &args->dom, args->num, args->flags);
}

static void get_numa(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;
	const domain_def *def = api_def_of(call, &args->dom, args->flags, PARAM_STRINGS);
	g_autoptr(GArray) params = NULL;

	if (!def)
		return;
	params = params_new();
	params_int(params, 0, "numa_mode");	/* strict */
	params_text(params, def->tune.numa_nodeset, "numa_nodeset");
	params_reply(call, params, args->num);
}

/* ---- setting ---- */

struct wish {
	const struct limit_set *set;
	const remote_param *params;
	unsigned n;
};

static bool limit_take(const struct limit_set *set, const remote_param *p, domain_def *def,
		       GError **error)
{
	for (unsigned i = 0; i < set->n; i++) {
		const struct limit *l = &set->limits[i];
		uint64_t value;

		if (!g_str_equal(l->name, p->field))
			continue;
		if (!param_number(p, &value, error))
			return false;
		def->tune.values[l->tune] = value == l->none ? 0 : value;
		return true;
	}
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: parameter '%s' is not supported%s", p->field,
			 set == &cpu_limits ? ": use cpu_shares, global_period and global_quota" :
					      "");
}

static bool limits_take(domain_def *def, const void *opaque, GError **error)
{
	const struct wish *wish = opaque;

	for (unsigned i = 0; i < wish->n; i++)
		if (!limit_take(wish->set, &wish->params[i], def, error))
			return false;
	return true;
}

static bool numa_take(domain_def *def, const void *opaque, GError **error)
{
	const struct wish *wish = opaque;
	uint8_t map[DOMAIN_CPUS_MAX / 8];
	uint64_t mode;

	for (unsigned i = 0; i < wish->n; i++) {
		const remote_param *p = &wish->params[i];
		const char *text = p->value.type == PARAM_TEXT ? p->value.remote_value_u.s : NULL;

		if (g_str_equal(p->field, "numa_mode")) {
			if (!param_number(p, &mode, error))
				return false;
			if (mode != 0)
				return error_set(error, VMM_ERR_ARG_UNSUPPORTED,
						 "argument unsupported: the mode is strict");
			continue;
		}
		if (!g_str_equal(p->field, "numa_nodeset") || !text ||
		    (*text && !domain_cpuset_map(text, map)))
			return error_set(error, VMM_ERR_INVALID_ARG,
					 "invalid argument: '%s' is not like numa_nodeset=0-1",
					 p->field);
		g_free(def->tune.numa_nodeset);
		def->tune.numa_nodeset = *text ? g_strdup(text) : NULL;
	}
	return true;
}

static void tell(struct domain *dom, const domain_def *live)
{
	g_autoptr(GArray) params = params_new();
	uint64_t quota = live->tune.values[TUNE_CPU_QUOTA] ?: UINT64_MAX;

	params_uhyper(params, live->tune.values[TUNE_CPU_SHARES] ?: 100, "cputune.cpu_shares");
	params_uhyper(params, live->tune.values[TUNE_CPU_PERIOD] ?: 100000,
		      "cputune.global_period");
	params_hyper(params, (int64_t)quota, "cputune.global_quota");
	event_tunable(dom, params);
}

static void set(struct call *call, const remote_domain *ref, unsigned flags, change_fn *take,
		const struct wish *wish)
{
	struct domain *dom = api_domain_of(call, ref);
	g_auto(change) c = { 0 };
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, flags, &affect))
		return;
	if (!change_begin(&c, dom, affect, take, wish, &error) ||
	    (c.live && !cgroup_apply(call->daemon, dom->uuid_text,
				     supervisor_pid(call->daemon, dom->uuid_text), &dom->live->tune,
				     &c.live->tune, &error))) {
		call_fail(call, error);
		return;
	}
	if (c.live && wish->set == &cpu_limits)
		tell(dom, c.live);
	change_commit(&c, call);
}

static void limits_set(struct call *call, const void *argp, const struct limit_set *limits)
{
	const remote_dom_params_flags_args *args = argp;

	set(call, &args->dom, args->flags, limits_take,
	    &(struct wish){ limits, args->params.params_val, args->params.params_len });
}

static void set_memory(struct call *call, const void *argp)
{
	limits_set(call, argp, &memory_limits);
}

static void set_io(struct call *call, const void *argp)
{
	limits_set(call, argp, &io_limits);
}

static void set_scheduler_flags(struct call *call, const void *argp)
{
	limits_set(call, argp, &cpu_limits);
}

static void set_scheduler(struct call *call, const void *argp)
{
	const remote_dom_params_args *args = argp;

	set(call, &args->dom, 0, limits_take,
	    &(struct wish){ &cpu_limits, args->params.params_val, args->params.params_len });
}

static void set_numa(struct call *call, const void *argp)
{
	const remote_dom_params_flags_args *args = argp;

	set(call, &args->dom, args->flags, numa_take,
	    &(struct wish){ NULL, args->params.params_val, args->params.params_len });
}

const struct api_entry api_limit[] = {
	{ REMOTE_PROC_DOMAIN_GET_SCHEDULER_TYPE, get_scheduler_type },
	{ REMOTE_PROC_DOMAIN_GET_SCHEDULER_PARAMETERS, get_scheduler },
	{ REMOTE_PROC_DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS, get_scheduler_flags },
	{ REMOTE_PROC_DOMAIN_SET_SCHEDULER_PARAMETERS, set_scheduler },
	{ REMOTE_PROC_DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS, set_scheduler_flags },
	{ REMOTE_PROC_DOMAIN_GET_MEMORY_PARAMETERS, get_memory },
	{ REMOTE_PROC_DOMAIN_SET_MEMORY_PARAMETERS, set_memory },
	{ REMOTE_PROC_DOMAIN_GET_BLKIO_PARAMETERS, get_io },
	{ REMOTE_PROC_DOMAIN_SET_BLKIO_PARAMETERS, set_io },
	{ REMOTE_PROC_DOMAIN_GET_NUMA_PARAMETERS, get_numa },
	{ REMOTE_PROC_DOMAIN_SET_NUMA_PARAMETERS, set_numa },
	{ 0 }
};
