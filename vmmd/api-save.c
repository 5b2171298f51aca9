/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures that save domains to files and restore them, and the jobs that these are. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/job-past.h"
#include "vmmd/link.h"
#include "vmmd/lifecycle-priv.h"
#include "vmmd/params.h"
#include "vmmd/save.h"

enum job_stats_flags { STATS_COMPLETED = 1, STATS_KEEP = 2 };

/* ---- save ---- */

static void save_to(struct call *call, const remote_domain *ref, const struct save_opts *opts)
{
	struct domain *dom = api_active_of(call, ref);
	g_autoptr(GError) error = NULL;
	g_autoptr(domain_def) def = NULL;

	if (!dom || !api_flags(call, opts->flags, SAVE_KNOWN))
		return;
	if (opts->xml)
		def = domain_def_parse(opts->xml, 0, &error);
	if ((opts->xml && !def) || !save_flags_check(opts->flags, &error)) {
		call_fail(call, error);
		return;
	}
	if (!opts->path && !dom->persistent) {
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: domain '%s' is transient: use "
			       "'save'", dom->name);
		return;
	}
	if (def && memcmp(def->uuid, dom->uuid, UUID_BYTES) != 0) {
		call_fail_text(call, VMM_ERR_CONFIG_UNSUPPORTED,
			       "the <uuid> of a saved domain can't be changed");
		return;
	}
	save_domain(dom, opts, api_done, call);
}

static void save(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;

	save_to(call, &args->dom, &(struct save_opts){ .path = args->text });
}

static void save_flags(struct call *call, const void *argp)
{
	const remote_dom_text_opt_text_flags_args *args = argp;

	const struct save_opts opts = { .path = args->text,
					.xml = args->opt_text ? *args->opt_text : NULL,
					.flags = args->flags };

	save_to(call, &args->dom, &opts);
}

/* The texts "file", "dxml", and "image_format" if there is a ret_format; false: answered. */
static bool params_read(struct call *call, const remote_param *params, unsigned n,
			const char **ret_file, const char **ret_xml, const char **ret_format)
{
	for (unsigned i = 0; i < n; i++) {
		const remote_param *p = &params[i];
		bool text = p->value.type == PARAM_TEXT;

		if (text && g_str_equal(p->field, "file")) {
			*ret_file = p->value.remote_value_u.s;
		} else if (text && g_str_equal(p->field, "dxml")) {
			*ret_xml = p->value.remote_value_u.s;
		} else if (text && ret_format && g_str_equal(p->field, "image_format")) {
			*ret_format = p->value.remote_value_u.s;
		} else {
			call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
				       "argument unsupported: parameter '%s' of a save", p->field);
			return false;
		}
	}
	return true;
}

static void save_params(struct call *call, const void *argp)
{
	const remote_dom_params_flags_args *args = argp;
	struct save_opts opts = { .flags = args->flags };

	if (params_read(call, args->params.params_val, args->params.params_len, &opts.path,
			&opts.xml, &opts.format))
		save_to(call, &args->dom, &opts);
}

/* ---- restore ---- */

static void restore_from(struct call *call, const char *path, const char *xml, unsigned flags)
{
	if (api_flags(call, flags, SAVE_KNOWN))
		save_restore(call->daemon, path, xml, flags, api_done, call);
}

static void restore(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	restore_from(call, args->name, NULL, 0);
}

static void restore_flags(struct call *call, const void *argp)
{
	const remote_restore_flags_args *args = argp;

	restore_from(call, args->from, args->dxml ? *args->dxml : NULL, args->flags);
}

static void restore_params(struct call *call, const void *argp)
{
	const remote_params_flags_args *args = argp;
	const char *file = NULL, *xml = NULL;

	if (!params_read(call, args->params.params_val, args->params.params_len, &file, &xml, NULL))
		return;
	if (file)
		restore_from(call, file, xml, args->flags);
	else
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: no 'file' to restore from");
}

/* ---- files ---- */

static void xml_reply(struct call *call, const char *path)
{
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = save_image_xml(path, &error);

	if (xml)
		call_reply(call, &(remote_text_ret){ .text = xml });
	else
		call_fail(call, error);
}

static void image_xml(struct call *call, const void *argp)
{
	const remote_save_image_args *args = argp;

	if (api_flags(call, args->flags, 1))
		xml_reply(call, args->file);
}

static void image_define(struct call *call, const void *argp)
{
	const remote_save_image_define_args *args = argp;
	g_autoptr(GError) error = NULL;

	if (!api_flags(call, args->flags, SAVE_KNOWN))
		return;
	save_image_define(args->file, args->dxml, args->flags, &error);
	api_done(NULL, error, call);
}

/* ---- managed ---- */

static void managed_save(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	save_to(call, &args->dom, &(struct save_opts){ .flags = args->flags });
}

static void has_managed_save(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		call_reply(call, &(remote_int_ret){ .num = dom->state == DOMAIN_SAVED });
}

/* The saved domain, or NULL and the call is answered. */
static struct domain *saved_of(struct call *call, const remote_domain *ref)
{
	struct domain *dom = api_domain_of(call, ref);

	if (!dom || dom->state == DOMAIN_SAVED)
		return dom;
	call_fail_text(call, VMM_ERR_OPERATION_INVALID,
		       "Requested operation is not valid: domain '%s' has no saved memory",
		       dom->name);
	return NULL;
}

static void managed_remove(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = saved_of(call, &args->dom);
	g_autoptr(GError) error = NULL;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	save_managed_remove(dom, &error);
	api_done(dom, error, call);
}

static void managed_xml(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = saved_of(call, &args->dom);
	g_autofree char *path = dom ? save_managed_path(dom) : NULL;

	if (dom && api_flags(call, args->flags, 1))
		xml_reply(call, path);
}

static void managed_define(struct call *call, const void *argp)
{
	const remote_dom_opt_text_flags_args *args = argp;
	struct domain *dom = saved_of(call, &args->dom);
	g_autofree char *path = dom ? save_managed_path(dom) : NULL;
	g_autoptr(GError) error = NULL;

	if (!dom || !api_flags(call, args->flags, SAVE_KNOWN))
		return;
	save_image_define(path, args->text ? *args->text : NULL, args->flags, &error);
	api_done(dom, error, call);
}

/* ---- jobs ---- */

static void on_job_info(const void *ret, const GError *error, void *opaque)
{
	const worker_save_progress *p = ret;
	remote_job_info_ret r = { 0 };

	if (!error && p->active)
		r = (remote_job_info_ret){
			.type = JOB_UNBOUNDED,
			.timeElapsed = p->elapsed_ms,
			.dataTotal = p->total_bytes,
			.dataProcessed = p->done_bytes,
			.dataRemaining = p->total_bytes - p->done_bytes,
			.memTotal = p->total_bytes,
			.memProcessed = p->done_bytes,
			.memRemaining = p->total_bytes - p->done_bytes,
		};
	call_reply(opaque, &r);
}

static void job_info(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && save_is_active(dom))
		link_save_progress(dom->link, on_job_info, call);
	else if (dom)
		call_reply(call, &(remote_job_info_ret){ 0 });
}

static void on_job_stats(const void *ret, const GError *error, void *opaque)
{
	const worker_save_progress *p = ret;
	g_autoptr(GArray) params = params_new();
	remote_job_stats_ret r = { 0 };

	if (!error && p->active) {
		r.type = JOB_UNBOUNDED;
		params_int(params, JOB_OPERATION_SAVE, "operation");
		params_uhyper(params, p->elapsed_ms, "time_elapsed");
		params_uhyper(params, p->total_bytes, "data_total");
		params_uhyper(params, p->done_bytes, "data_processed");
		params_uhyper(params, p->total_bytes - p->done_bytes, "data_remaining");
		params_uhyper(params, p->total_bytes, "memory_total");
		params_uhyper(params, p->done_bytes, "memory_processed");
		params_uhyper(params, p->total_bytes - p->done_bytes, "memory_remaining");
		params_uhyper(params, p->pass, "memory_iteration");
	}
	r.params.params_len = params->len;
	r.params.params_val = (remote_param *)(void *)params->data;
	call_reply(opaque, &r);
}

/* As libvirt has it: told once, unless it is to be kept; of a domain that is off as well. */
static void job_stats_past(struct call *call, struct domain *dom, bool keep)
{
	const GArray *params = NULL;
	remote_job_stats_ret r = { 0 };

	r.type = (int)job_past_look(dom->job_past, &params);
	r.params.params_len = params ? params->len : 0;
	r.params.params_val = params ? (remote_param *)(void *)params->data : NULL;
	call_reply(call, &r);
	if (!keep)
		g_clear_pointer(&dom->job_past, job_past_free);
}

static void job_stats(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	bool past = args->flags & STATS_COMPLETED;
	struct domain *dom;

	if (!api_flags(call, args->flags, STATS_COMPLETED | STATS_KEEP))
		return;
	dom = past ? api_domain_of(call, &args->dom) : api_active_of(call, &args->dom);
	if (dom && past)
		job_stats_past(call, dom, args->flags & STATS_KEEP);
	else if (dom && save_is_active(dom))
		link_save_progress(dom->link, on_job_stats, call);
	else if (dom)
		call_reply(call, &(remote_job_stats_ret){ 0 });
}

static void abort_job(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (!dom)
		return;
	if (save_is_active(dom))
		save_cancel(dom, api_done, call);
	else
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: no job is active on domain '%s'",
			       dom->name);
}

const struct api_entry api_save[] = {
	{ REMOTE_PROC_DOMAIN_SAVE, save },
	{ REMOTE_PROC_DOMAIN_SAVE_FLAGS, save_flags },
	{ REMOTE_PROC_DOMAIN_SAVE_PARAMS, save_params },
	{ REMOTE_PROC_DOMAIN_RESTORE, restore },
	{ REMOTE_PROC_DOMAIN_RESTORE_FLAGS, restore_flags },
	{ REMOTE_PROC_DOMAIN_RESTORE_PARAMS, restore_params },
	{ REMOTE_PROC_DOMAIN_SAVE_IMAGE_GET_XML_DESC, image_xml },
	{ REMOTE_PROC_DOMAIN_SAVE_IMAGE_DEFINE_XML, image_define },
	{ REMOTE_PROC_DOMAIN_MANAGED_SAVE, managed_save },
	{ REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, has_managed_save },
	{ REMOTE_PROC_DOMAIN_MANAGED_SAVE_REMOVE, managed_remove },
	{ REMOTE_PROC_DOMAIN_MANAGED_SAVE_GET_XML_DESC, managed_xml },
	{ REMOTE_PROC_DOMAIN_MANAGED_SAVE_DEFINE_XML, managed_define },
	{ REMOTE_PROC_DOMAIN_GET_JOB_INFO, job_info },
	{ REMOTE_PROC_DOMAIN_GET_JOB_STATS, job_stats },
	{ REMOTE_PROC_DOMAIN_ABORT_JOB, abort_job },
	{ 0 }
};
