/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that look after a domain's disks while they are in use: limits, size, jobs. */
#include "config.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/disk-job.h"
#include "vmmd/live.h"
#include "vmmd/params.h"

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

#define GROUP_NAME "group_name"

/* What a call asks for. */
struct wish {
	uint64_t values[N_IOTUNES];
	bool given[N_IOTUNES];
	const char *group;	/* NULL: as it is; "": none */
};

static bool group_take(const remote_param *p, struct wish *w, GError **error)
{
	if (p->value.type != PARAM_TEXT)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: parameter '%s' is not a text", p->field);
	w->group = p->value.remote_value_u.s;
	return !*w->group || iotune_group_check(w->group, error);
}

static bool param_take(const remote_param *p, struct wish *w, GError **error)
{
	if (g_str_equal(p->field, GROUP_NAME))
		return group_take(p, w, error);
	for (unsigned i = 0; i < N_IOTUNES; i++)
		if (g_str_equal(p->field, iotune_names[i])) {
			w->given[i] = true;
			return param_number(p, &w->values[i], error);
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

/* Whose limits hold for what is not given: those of the group that it comes into. */
static const struct disk_def *limits_from(const domain_def *def, const struct disk_def *d,
					  const char *group)
{
	for (unsigned i = 0; group && i < def->disks->len; i++) {
		const struct disk_def *other = def->disks->pdata[i];

		if (g_strcmp0(d->iotune_group, group) && !g_strcmp0(other->iotune_group, group))
			return other;
	}
	return d;
}

static bool wish_apply(const struct wish *w, domain_def *def, struct disk_def *d, GError **error)
{
	g_autofree char *group = g_strdup(w->group ?: d->iotune_group);
	uint64_t all[N_IOTUNES];

	if (group && !*group)
		g_clear_pointer(&group, g_free);
	memcpy(all, disk_iotune(limits_from(def, d, group)), sizeof(all));
	limits_merge(all, w->values, w->given);
	if (!iotune_check(all, error))
		return false;
	domain_def_set_iotune(def, d, all, group);
	return !w->group || !*w->group || d->iotune_group ||
	       error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "unsupported configuration: disk '%s' can't be in group '%s', which has "
			 "no limits: give one, too, such as total_iops_sec", d->target, w->group);
}

/* With the disk's limits as they would be; NULL: the call has its answer. */
static domain_def *tuned(struct call *call, struct domain *dom, const domain_def *def,
			 const remote_dom_text_params_flags_args *args)
{
	g_autoptr(domain_def) to = disk_of(call, dom, def, args->text) ? domain_def_copy(def) :
									 NULL;
	g_autoptr(GError) error = NULL;
	struct wish wish = { 0 };

	if (!to)
		return NULL;
	for (unsigned i = 0; i < args->params.params_len && !error; i++)
		param_take(&args->params.params_val[i], &wish, &error);
	if (error || !wish_apply(&wish, to, disk_live_find(to, args->text), &error)) {
		call_fail(call, error);
		return NULL;
	}
	return g_steal_pointer(&to);
}

static void set_io_tune(struct call *call, const void *argp)
{
	const remote_dom_text_params_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG | PARAM_STRINGS) ||
	    !api_affect(call, dom, args->flags & (API_LIVE | API_CONFIG), &affect) ||
	    (affect & API_LIVE && !(live = tuned(call, dom, dom->live, args))) ||
	    (affect & API_CONFIG && !(saved = tuned(call, dom, dom->saved, args))))
		return;
	live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

static GArray *limits_list(const struct disk_def *d, bool texts)
{
	GArray *params = params_new();

	for (unsigned i = 0; i < N_IOTUNES; i++) {
		params_uhyper(params, disk_iotune(d)[i], "%s", iotune_names[i]);
		if (i == IOTUNE_SIZE && texts)
			params_text(params, d->iotune_group, GROUP_NAME);
	}
	return params;
}

static void get_io_tune(struct call *call, const void *argp)
{
	const remote_get_io_tune_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	bool texts = args->flags & PARAM_STRINGS;
	g_autoptr(GArray) params = NULL;
	const struct disk_def *d;
	unsigned affect, n;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG | PARAM_STRINGS) ||
	    !api_affect(call, dom, args->flags & ~PARAM_STRINGS, &affect))
		return;
	if (args->nparams <= 0) {
		call_reply(call, &(remote_params_ret){ .nparams = N_IOTUNES + texts });
		return;
	}
	d = disk_of(call, dom, affect & API_LIVE ? dom->live : dom->saved,
		    args->disk ? *args->disk : "");
	if (!d)
		return;
	params = limits_list(d, texts);
	n = MIN((unsigned)args->nparams, params->len);
	call_reply(call, &(remote_params_ret){ .params = { n, (remote_param *)params->data },
					       .nparams = (int)n });
}

/* ---- size ---- */

enum { RESIZE_BYTES = 1 };

static void block_resize(struct call *call, const void *argp)
{
	const remote_dom_text_hyper_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	uint64_t unit = args->flags & RESIZE_BYTES ? 1 : 1024;
	const struct disk_def *d;

	if (!dom || !api_flags(call, args->flags, RESIZE_BYTES))
		return;
	d = disk_of(call, dom, dom->live, args->text);
	if (!d)
		return;
	if (args->num > (UINT64_C(1) << 61) / unit || args->num * unit % 512)
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: a disk's size is a multiple of 512 bytes");
	else
		link_disk_resize(dom->link, d->target, args->num * unit, api_link_done, call);
}

/* ---- jobs ---- */

enum { REBASE_COPY = 8, REBASE_RELATIVE = 16, SPEED_BYTES = 0x40 };
enum { COMMIT_SHALLOW = 1, COMMIT_DELETE = 2, COMMIT_ACTIVE = 4, COMMIT_RELATIVE = 8 };
enum { COMMIT_SPEED_BYTES = 0x10 };
enum { ABORT_ASYNC = 1, ABORT_PIVOT = 2 };
enum { INFO_BYTES = 1, SET_SPEED_BYTES = 1 };

/* In MiB/s, or in bytes: false when that is too many. */
static bool speed_of(struct call *call, uint64_t bandwidth, bool bytes, uint64_t *ret)
{
	if (!bytes && bandwidth > UINT64_MAX >> 20) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: bandwidth %" G_GUINT64_FORMAT " MiB/s",
			       bandwidth);
		return false;
	}
	*ret = bytes ? bandwidth : bandwidth << 20;
	return true;
}

static void block_pull(struct call *call, const void *argp)
{
	const remote_dom_text_hyper_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct disk_pull p = { 0 };

	if (dom && api_flags(call, args->flags, SPEED_BYTES) &&
	    speed_of(call, args->num, args->flags & SPEED_BYTES, &p.bytes_per_s))
		disk_job_pull(dom, args->text, &p, api_done, call);
}

static void block_copy(struct call *call, const void *argp)
{
	call_fail_text(call, VMM_ERR_OPERATION_UNSUPPORTED,
		       "Operation not supported: a disk can't be copied while it is in use; take a "
		       "disk-only snapshot and copy what is behind it, or 'vmsh image convert'");
}

/* Older clients ask for a copy by this call, too. */
static void block_rebase(struct call *call, const void *argp)
{
	const remote_block_rebase_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct disk_pull p = {
		.base = args->base ? *args->base : NULL, .relative = args->flags & REBASE_RELATIVE,
	};

	if (!dom)
		return;
	if (args->flags & REBASE_COPY)
		block_copy(call, NULL);
	else if (api_flags(call, args->flags, SPEED_BYTES | REBASE_RELATIVE) &&
		 speed_of(call, args->bandwidth, args->flags & SPEED_BYTES, &p.bytes_per_s))
		disk_job_pull(dom, args->path, &p, api_done, call);
}

static void block_commit(struct call *call, const void *argp)
{
	const remote_block_commit_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct disk_commit c = {
		.base = args->base ? *args->base : NULL, .top = args->top ? *args->top : NULL,
		.shallow = args->flags & COMMIT_SHALLOW, .active = args->flags & COMMIT_ACTIVE,
		.relative = args->flags & COMMIT_RELATIVE, .deletes = args->flags & COMMIT_DELETE,
	};

	if (dom && api_flags(call, args->flags, COMMIT_SHALLOW | COMMIT_DELETE | COMMIT_ACTIVE |
			     COMMIT_RELATIVE | COMMIT_SPEED_BYTES) &&
	    speed_of(call, args->bandwidth, args->flags & COMMIT_SPEED_BYTES, &c.bytes_per_s))
		disk_job_commit(dom, args->disk, &c, api_done, call);
}

static void job_abort(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, ABORT_ASYNC | ABORT_PIVOT))
		disk_job_abort(dom, args->text, args->flags & ABORT_PIVOT, api_done, call);
}

struct info_query {
	struct call *call;
	bool bytes;
};

/* As QEMU tells it: a job at its end is not over before it is ready or gone. */
static void on_job_info(const void *data, const GError *error, void *opaque)
{
	g_autofree struct info_query *q = opaque;
	const worker_job_info_ret *info = data;
	remote_block_job_ret ret = { 0 };

	if (error) {
		call_fail(q->call, error);
		return;
	}
	if (info->kind >= 0) {
		ret.found = 1;
		ret.type = disk_job_type(info->kind);
		ret.bandwidth = q->bytes ? info->bytes_per_s : info->bytes_per_s >> 20;
		ret.end = info->total_bytes;
		ret.cur = info->ready ? info->total_bytes :
					MIN(info->done_bytes, info->total_bytes - 1);
	}
	call_reply(q->call, &ret);
}

static void job_info(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	const struct disk_def *d;
	struct info_query *q;

	if (!dom || !api_flags(call, args->flags, INFO_BYTES))
		return;
	d = disk_of(call, dom, dom->live, args->text);
	if (!d)
		return;
	q = g_new(struct info_query, 1);
	*q = (struct info_query){ call, args->flags & INFO_BYTES };
	link_job_info(dom->link, d->target, on_job_info, q);
}

static void job_set_speed(struct call *call, const void *argp)
{
	const remote_dom_text_hyper_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	const struct disk_def *d;
	uint64_t speed;

	if (!dom || !api_flags(call, args->flags, SET_SPEED_BYTES) ||
	    !speed_of(call, args->num, args->flags & SET_SPEED_BYTES, &speed))
		return;
	d = disk_of(call, dom, dom->live, args->text);
	if (d)
		link_job_control(dom->link,
				 &(worker_job_control_args){ .target = d->target, .what = 1,
							     .bytes_per_s = speed,
							     .xml = (char *)"" },
				 api_link_done, call);
}

const struct api_entry api_block[] = {
	{ REMOTE_PROC_DOMAIN_BLOCK_RESIZE, block_resize },
	{ REMOTE_PROC_DOMAIN_BLOCK_PULL, block_pull },
	{ REMOTE_PROC_DOMAIN_BLOCK_REBASE, block_rebase },
	{ REMOTE_PROC_DOMAIN_BLOCK_COPY, block_copy },
	{ REMOTE_PROC_DOMAIN_BLOCK_COMMIT, block_commit },
	{ REMOTE_PROC_DOMAIN_BLOCK_JOB_ABORT, job_abort },
	{ REMOTE_PROC_DOMAIN_GET_BLOCK_JOB_INFO, job_info },
	{ REMOTE_PROC_DOMAIN_BLOCK_JOB_SET_SPEED, job_set_speed },
	{ REMOTE_PROC_DOMAIN_SET_BLOCK_IO_TUNE, set_io_tune },
	{ REMOTE_PROC_DOMAIN_GET_BLOCK_IO_TUNE, get_io_tune },
	{ 0 }
};
