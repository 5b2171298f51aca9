/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that look after a domain's disks while they are in use: their limits. */
#include "config.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/disk-live.h"
#include "vmmd/link.h"

/* A disk of the definition by target or path; NULL: the call has its answer. */
static struct disk_def *disk_of(struct call *call, const struct domain *dom, const domain_def *def,
				const char *disk)
{
	struct disk_def *d = disk_live_find(def, disk);

	if (!d)
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: domain '%s' has no disk '%s'", dom->name, disk);
	return d;
}

/* ---- limits ---- */

static bool param_number(const remote_param *p, uint64_t *ret, GError **error)
{
	switch (p->value.type) {
	case 1:
		*ret = (uint64_t)p->value.remote_value_u.i;
		return true;
	case 2:
		*ret = p->value.remote_value_u.u;
		return true;
	case 3:
		*ret = (uint64_t)p->value.remote_value_u.l;
		return true;
	case 4:
		*ret = p->value.remote_value_u.ul;
		return true;
	default:
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: parameter '%s' is not a number", p->field);
	}
}

static bool param_take(const remote_param *p, uint64_t *values, bool *given, GError **error)
{
	for (unsigned i = 0; i < N_IOTUNES; i++)
		if (g_str_equal(p->field, iotune_names[i])) {
			given[i] = true;
			return param_number(p, &values[i], error);
		}
	return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "unsupported configuration: '%s' is not a limit that disks have here",
			 p->field);
}

/*
 * What belongs together is set together, as libvirt does: a total replaces
 * reads and writes, and the other way round.  A limit that is taken away
 * takes its burst along.
 */
static void limits_merge(uint64_t *to, const uint64_t *from, const bool *given)
{
	static const unsigned groups[] = { 0, 3, IOTUNE_MAX, IOTUNE_MAX + 3, IOTUNE_SIZE,
					   IOTUNE_LENGTH, IOTUNE_LENGTH + 3, N_IOTUNES };

	for (unsigned g = 0; g + 1 < ARRAY_SIZE(groups); g++) {
		unsigned begin = groups[g], end = groups[g + 1];

		if (memchr(given + begin, true, end - begin))
			memcpy(to + begin, from + begin, (end - begin) * sizeof(*to));
	}
	for (unsigned i = 0; i < IOTUNE_MAX; i++) {
		if (!to[i] && !given[IOTUNE_MAX + i])
			to[IOTUNE_MAX + i] = 0;
		if (!to[IOTUNE_MAX + i] && !given[IOTUNE_LENGTH + i])
			to[IOTUNE_LENGTH + i] = 0;
	}
}

struct tune {
	struct call *call;
	struct domain *dom;
	char *target;
	uint64_t values[N_IOTUNES];
};

static void on_tuned(const void *ret, const GError *error, void *opaque)
{
	struct tune *t = opaque;
	struct disk_def *d = t->dom->live ? disk_live_find(t->dom->live, t->target) : NULL;

	if (!error && d) {
		memcpy(d->iotune, t->values, sizeof(d->iotune));
		domain_refresh_live(t->dom);
	}
	api_done(t->dom, error, t->call);
	g_free(t->target);
	g_free(t);
}

static void tune_live(struct call *call, struct domain *dom, const struct disk_def *disk,
		      const uint64_t *values)
{
	struct tune *t = g_new0(struct tune, 1);
	g_autoptr(domain_def) def = domain_def_copy(dom->live);
	g_autofree char *xml = NULL;

	*t = (struct tune){ .call = call, .dom = dom, .target = g_strdup(disk->target) };
	memcpy(t->values, values, sizeof(t->values));
	memcpy(disk_live_find(def, disk->target)->iotune, values, sizeof(t->values));
	def->id = dom->id;
	xml = domain_def_format(def, DOMAIN_FORMAT_LIVE);
	link_set_iotune(dom->link, disk->target, values, xml, on_tuned, t);
}

/* The disk's limits as they would be; false: the call has its answer. */
static bool tuned(struct call *call, struct domain *dom, const domain_def *def,
		  const remote_dom_text_params_flags_args *args, uint64_t *ret)
{
	const struct disk_def *d = disk_of(call, dom, def, args->text);
	uint64_t values[N_IOTUNES] = { 0 };
	bool given[N_IOTUNES] = { false };
	g_autoptr(GError) error = NULL;

	if (!d)
		return false;
	for (unsigned i = 0; i < args->params.params_len && !error; i++)
		param_take(&args->params.params_val[i], values, given, &error);
	memcpy(ret, d->iotune, sizeof(values));
	limits_merge(ret, values, given);
	if (error || !iotune_check(ret, &error)) {
		call_fail(call, error);
		return false;
	}
	return true;
}

static bool tune_save(struct domain *dom, const char *disk, const uint64_t *values, GError **error)
{
	g_autoptr(domain_def) def = domain_def_copy(dom->saved);

	memcpy(disk_live_find(def, disk)->iotune, values, sizeof(uint64_t[N_IOTUNES]));
	return domain_save(dom, g_steal_pointer(&def), error);
}

static void set_io_tune(struct call *call, const void *argp)
{
	const remote_dom_text_params_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	uint64_t live[N_IOTUNES], saved[N_IOTUNES];
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG | 4) ||
	    !api_affect(call, dom, args->flags & ~4u, &affect) ||
	    (affect & API_LIVE && !tuned(call, dom, dom->live, args, live)) ||
	    (affect & API_CONFIG && !tuned(call, dom, dom->saved, args, saved)))
		return;
	if (affect & API_CONFIG)
		tune_save(dom, args->text, saved, &error);
	if (error || !(affect & API_LIVE))
		api_done(dom, error, call);
	else
		tune_live(call, dom, disk_live_find(dom->live, args->text), live);
}

static void get_io_tune(struct call *call, const void *argp)
{
	const remote_get_io_tune_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	remote_param wire[N_IOTUNES];
	const struct disk_def *d;
	unsigned affect, n;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG | 4) ||
	    !api_affect(call, dom, args->flags & ~4u, &affect))
		return;
	if (args->nparams <= 0) {
		call_reply(call, &(remote_params_ret){ .nparams = N_IOTUNES });
		return;
	}
	d = disk_of(call, dom, affect & API_LIVE ? dom->live : dom->saved,
		    args->disk ? *args->disk : "");
	if (!d)
		return;
	n = MIN((unsigned)args->nparams, N_IOTUNES);
	for (unsigned i = 0; i < n; i++)
		wire[i] = (remote_param){ (char *)iotune_names[i],
					  { .type = 4, .remote_value_u.ul = d->iotune[i] } };
	call_reply(call, &(remote_params_ret){ .params = { n, wire }, .nparams = (int)n });
}

const struct api_entry api_block[] = {
	{ REMOTE_PROC_DOMAIN_SET_BLOCK_IO_TUNE, set_io_tune },
	{ REMOTE_PROC_DOMAIN_GET_BLOCK_IO_TUNE, get_io_tune },
	{ 0 }
};
