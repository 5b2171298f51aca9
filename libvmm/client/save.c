/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains in files: saved, restored, looked into. */
#include "config.h"

#include "libvmm/client/client-priv.h"

bool vmm_domain_save(vmm_domain *dom, const char *path, const char *xml, unsigned flags,
		     GError **error)
{
	char *dxml = (char *)xml;
	remote_dom_text_opt_text_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)path, .opt_text = xml ? &dxml : NULL,
		.flags = flags,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_SAVE_FLAGS, dom_text_opt_text_flags_args, &args, none, &none,
		    error);
}

#define PARAMS_MAX 3

static void param_add(remote_param *params, unsigned *n, const char *name, const char *value)
{
	if (!value)
		return;
	params[*n].field = (char *)name;
	params[*n].value.type = VMM_PARAM_STRING;
	params[(*n)++].value.remote_value_u.s = (char *)value;
}

bool vmm_domain_save_as(vmm_domain *dom, const char *path, const char *xml, const char *format,
			unsigned flags, GError **error)
{
	remote_param params[PARAMS_MAX];
	remote_dom_params_flags_args args = { .dom = domain_to_wire(dom), .flags = flags,
					      .params.params_val = params };
	remote_none none;

	param_add(params, &args.params.params_len, "file", path);
	param_add(params, &args.params.params_len, "dxml", xml);
	param_add(params, &args.params.params_len, "image_format", format);
	return CALL(dom->conn, DOMAIN_SAVE_PARAMS, dom_params_flags_args, &args, none, &none,
		    error);
}

bool vmm_domain_restore(vmm_connect *conn, const char *path, const char *xml, unsigned flags,
			GError **error)
{
	char *dxml = (char *)xml;
	remote_restore_flags_args args = {
		.from = (char *)path, .dxml = xml ? &dxml : NULL, .flags = flags,
	};
	remote_none none;

	return CALL(conn, DOMAIN_RESTORE_FLAGS, restore_flags_args, &args, none, &none, error);
}

char *vmm_save_image_xml(vmm_connect *conn, const char *path, GError **error)
{
	remote_save_image_args args = { .file = (char *)path };
	remote_text_ret ret;
	char *xml;

	if (!CALL(conn, DOMAIN_SAVE_IMAGE_GET_XML_DESC, save_image_args, &args, text_ret, &ret,
		  error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}

bool vmm_save_image_define(vmm_connect *conn, const char *path, const char *xml, unsigned flags,
			   GError **error)
{
	remote_save_image_define_args args = {
		.file = (char *)path, .dxml = (char *)xml, .flags = flags,
	};
	remote_none none;

	return CALL(conn, DOMAIN_SAVE_IMAGE_DEFINE_XML, save_image_define_args, &args, none, &none,
		    error);
}

bool vmm_domain_managed_save(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_none none;

	return CALL(dom->conn, DOMAIN_MANAGED_SAVE, dom_flags_args, &args, none, &none, error);
}

bool vmm_domain_managed_save_remove(vmm_domain *dom, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_none none;

	return CALL(dom->conn, DOMAIN_MANAGED_SAVE_REMOVE, dom_flags_args, &args, none, &none,
		    error);
}

char *vmm_domain_managed_save_xml(vmm_domain *dom, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_text_ret ret;
	char *xml;

	if (!CALL(dom->conn, DOMAIN_MANAGED_SAVE_GET_XML_DESC, dom_flags_args, &args, text_ret,
		  &ret, error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}

bool vmm_domain_managed_save_define(vmm_domain *dom, const char *xml, unsigned flags,
				    GError **error)
{
	char *text = (char *)xml;
	remote_dom_opt_text_flags_args args = {
		.dom = domain_to_wire(dom), .text = xml ? &text : NULL, .flags = flags,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_MANAGED_SAVE_DEFINE_XML, dom_opt_text_flags_args, &args, none,
		    &none, error);
}

/* ---- jobs ---- */

enum job_stats_flags { STATS_COMPLETED = 1, STATS_KEEP = 2 };

static const remote_param *param_find(const remote_param *params, unsigned n, const char *name,
				      int type)
{
	for (unsigned i = 0; i < n; i++)
		if (g_str_equal(params[i].field, name) && params[i].value.type == type)
			return &params[i];
	return NULL;
}

static uint64_t number_of(const remote_param *params, unsigned n, const char *name)
{
	const remote_param *p = param_find(params, n, name, VMM_PARAM_ULLONG);

	return p ? p->value.remote_value_u.ul : 0;
}

void job_from_wire(const remote_param *params, unsigned n, struct vmm_job_info *ret)
{
	const remote_param *operation = param_find(params, n, "operation", VMM_PARAM_INT);
	const remote_param *message = param_find(params, n, "errmsg", VMM_PARAM_STRING);

	*ret = (struct vmm_job_info){
		.operation = operation ? operation->value.remote_value_u.i : 0,
		.elapsed_ms = number_of(params, n, "time_elapsed"),
		.total_bytes = number_of(params, n, "data_total"),
		.done_bytes = number_of(params, n, "data_processed"),
		.pass = (unsigned)number_of(params, n, "memory_iteration"),
		.message = message ? g_strdup(message->value.remote_value_u.s) : NULL,
	};
}

static bool job_stats(vmm_domain *dom, unsigned flags, struct vmm_job_info *ret_info,
		      GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_job_stats_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_JOB_STATS, dom_flags_args, &args, job_stats_ret, &ret,
		  error))
		return false;
	job_from_wire(ret.params.params_val, ret.params.params_len, ret_info);
	ret_info->type = ret.type;
	FREE(job_stats_ret, &ret);
	return true;
}

bool vmm_domain_job_info(vmm_domain *dom, struct vmm_job_info *ret_info, GError **error)
{
	return job_stats(dom, 0, ret_info, error);
}

bool vmm_domain_past_job(vmm_domain *dom, bool keep, struct vmm_job_info *ret_info, GError **error)
{
	return job_stats(dom, STATS_COMPLETED | (keep ? STATS_KEEP : 0), ret_info, error);
}

bool vmm_domain_abort_job(vmm_domain *dom, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_none none;

	return CALL(dom->conn, DOMAIN_ABORT_JOB, dom_args, &args, none, &none, error);
}
