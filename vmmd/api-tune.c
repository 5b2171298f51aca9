/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that read and change how much memory and how many CPUs a domain has. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/live.h"

enum memory_flags { MEMORY_MAXIMUM = 4 };
enum vcpu_flags { VCPU_MAXIMUM = 4, VCPU_GUEST = 8 };

static const domain_def *known_def(struct call *call, struct domain *dom)
{
	const domain_def *def = domain_def_now(dom);
	g_autoptr(GError) error = NULL;

	if (def)
		return def;
	domain_need_saved(dom, &error);
	call_fail(call, error);
	return NULL;
}

static void get_max_memory(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	const domain_def *def = dom ? known_def(call, dom) : NULL;

	if (def)
		call_reply(call, &(remote_hyper_ret){ .num = def->memory_bytes / 1024 });
}

static bool memory_fits(const domain_def *def, uint64_t kib, GError **error)
{
	if (kib > 0 && kib <= def->memory_bytes / 1024)
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: %" G_GUINT64_FORMAT
			 " KiB is not between 1 and the maximum, %" G_GUINT64_FORMAT " KiB",
			 kib, def->memory_bytes / 1024);
}

/* False: it does not fit. */
static bool memory_put(domain_def *def, uint64_t kib, bool maximum, GError **error)
{
	if (!def)
		return true;
	if (maximum && kib > DOMAIN_MEMORY_MAX_BYTES / 1024)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: %" G_GUINT64_FORMAT " KiB "
				 "is more than a domain can have",
				 kib);
	if (!maximum && !memory_fits(def, kib, error))
		return false;
	if (maximum) {
		def->memory_bytes = kib * 1024;
		def->current_bytes = MIN(def->current_bytes, def->memory_bytes);
	} else {
		def->current_bytes = kib * 1024;
	}
	return domain_def_check(def, error);
}

static void set_memory(struct call *call, const remote_domain *ref, uint64_t kib, unsigned flags)
{
	struct domain *dom = api_domain_of(call, ref);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG | MEMORY_MAXIMUM) ||
	    !api_affect(call, dom, flags, &affect))
		return;
	live = affect & API_LIVE ? domain_def_copy(dom->live) : NULL;
	saved = affect & API_CONFIG ? domain_def_copy(dom->saved) : NULL;
	if (flags & MEMORY_MAXIMUM && live)
		error_set(
			&error, VMM_ERR_OPERATION_INVALID,
			"Requested operation is not valid: the maximum memory of running domain "
			"'%s' can't be changed: use --config",
			dom->name);
	else if (memory_put(live, kib, false, &error))
		memory_put(saved, kib, flags & MEMORY_MAXIMUM, &error);
	if (error)
		call_fail(call, error);
	else
		live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

static void set_memory_flags(struct call *call, const void *argp)
{
	const remote_dom_hyper_flags_args *args = argp;

	set_memory(call, &args->dom, args->num, args->flags);
}

static void set_memory_live(struct call *call, const void *argp)
{
	const remote_dom_hyper_args *args = argp;

	set_memory(call, &args->dom, args->num, API_LIVE);
}

static void set_max_memory(struct call *call, const void *argp)
{
	const remote_dom_hyper_args *args = argp;

	set_memory(call, &args->dom, args->num, MEMORY_MAXIMUM);
}

static domain_def *with_period(const domain_def *def, int seconds, GError **error)
{
	g_autoptr(domain_def) to = domain_def_copy(def);

	if (seconds < 0) {
		error_set(error, VMM_ERR_INVALID_ARG, "invalid argument: period %d", seconds);
		return NULL;
	}
	to->balloon.stats_period_s = (unsigned)seconds;
	return domain_def_check(to, error) ? g_steal_pointer(&to) : NULL;
}

static void set_stats_period(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	if ((affect & API_LIVE && !(live = with_period(dom->live, args->num, &error))) ||
	    (affect & API_CONFIG && !(saved = with_period(dom->saved, args->num, &error))))
		call_fail(call, error);
	else
		live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

/* ---- vCPUs ---- */

static void get_max_vcpus(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	const domain_def *def = dom ? known_def(call, dom) : NULL;

	if (def)
		call_reply(call, &(remote_int_ret){ .num = (int)def->vcpus_max });
}

static void get_vcpus(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	const domain_def *def;
	unsigned affect;

	if (!dom ||
	    !api_flags(call, args->flags, API_LIVE | API_CONFIG | VCPU_MAXIMUM | VCPU_GUEST) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	if (args->flags & VCPU_GUEST) {
		call_fail_text(call, VMM_ERR_AGENT,
			       "Guest agent is not responding: QEMU guest agent is not connected");
		return;
	}
	def = affect & API_LIVE ? dom->live : dom->saved;
	call_reply(call, &(remote_int_ret){
		.num = (int)(args->flags & VCPU_MAXIMUM ? def->vcpus_max : def->vcpus) });
}

static bool vcpus_save(struct domain *dom, unsigned n, bool maximum, GError **error)
{
	g_autoptr(domain_def) def = domain_def_copy(dom->saved);

	if (n < 1 || n > DOMAIN_VCPUS_MAX || (!maximum && n > def->vcpus_max))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: %u vCPUs are not between 1 and the maximum, %u",
				 n, maximum ? DOMAIN_VCPUS_MAX : def->vcpus_max);
	if (maximum) {
		def->vcpus_max = n;
		def->vcpus = MIN(def->vcpus, n);
	} else {
		def->vcpus = n;
	}
	return domain_def_check(def, error) && domain_save(dom, g_steal_pointer(&def), error);
}

static void set_vcpus(struct call *call, const remote_domain *ref, unsigned n, unsigned flags)
{
	struct domain *dom = api_domain_of(call, ref);
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, flags, API_LIVE | API_CONFIG | VCPU_MAXIMUM) ||
	    !api_affect(call, dom, flags, &affect))
		return;
	if (affect & API_LIVE)
		error_set(
			&error, VMM_ERR_OPERATION_UNSUPPORTED,
			"Operation not supported: the vCPUs of running domain '%s' can't be "
			"changed: use --config",
			dom->name);
	else
		vcpus_save(dom, n, flags & VCPU_MAXIMUM, &error);
	api_done(dom, error, call);
}

static void set_vcpus_flags(struct call *call, const void *argp)
{
	const remote_dom_uint_flags_args *args = argp;

	set_vcpus(call, &args->dom, args->num, args->flags);
}

static void set_vcpus_live(struct call *call, const void *argp)
{
	const remote_dom_uint_args *args = argp;

	set_vcpus(call, &args->dom, args->num, API_LIVE);
}

const struct api_entry api_tune[] = {
	{ REMOTE_PROC_DOMAIN_GET_MAX_MEMORY, get_max_memory },
	{ REMOTE_PROC_DOMAIN_SET_MAX_MEMORY, set_max_memory },
	{ REMOTE_PROC_DOMAIN_SET_MEMORY, set_memory_live },
	{ REMOTE_PROC_DOMAIN_SET_MEMORY_FLAGS, set_memory_flags },
	{ REMOTE_PROC_DOMAIN_SET_MEMORY_STATS_PERIOD, set_stats_period },
	{ REMOTE_PROC_DOMAIN_GET_MAX_VCPUS, get_max_vcpus },
	{ REMOTE_PROC_DOMAIN_GET_VCPUS_FLAGS, get_vcpus },
	{ REMOTE_PROC_DOMAIN_SET_VCPUS, set_vcpus_live },
	{ REMOTE_PROC_DOMAIN_SET_VCPUS_FLAGS, set_vcpus_flags },
	{ 0 }
};
