/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks of domains: jobs, size, limits, errors. */
#include "config.h"

#include "libvmm/client/client-priv.h"

/* libvirt's numbers of what a user of ours need not know: all is in bytes. */
enum {
	PULL_BYTES = 1 << 6, COMMIT_BYTES = 1 << 4, JOB_BYTES = 1, RESIZE_BYTES = 1,
	PARAMS_WITH_TEXT = 1 << 2,
};
#define DISK_ERRORS_MAX 256

/* NULL, or a pointer to the text: XDR's optional. */
static char **optional(const char *const *text)
{
	return *text ? (char **)text : NULL;
}

bool vmm_domain_block_pull(vmm_domain *dom, const char *disk, const char *base,
			   uint64_t bytes_per_s, unsigned flags, GError **error)
{
	remote_block_rebase_args args = {
		.dom = domain_to_wire(dom), .path = (char *)disk, .base = optional(&base),
		.bandwidth = bytes_per_s, .flags = flags | PULL_BYTES,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_BLOCK_REBASE, block_rebase_args, &args, none, &none, error);
}

bool vmm_domain_block_commit(vmm_domain *dom, const char *disk, const char *base, const char *top,
			     uint64_t bytes_per_s, unsigned flags, GError **error)
{
	remote_block_commit_args args = {
		.dom = domain_to_wire(dom), .disk = (char *)disk, .base = optional(&base),
		.top = optional(&top), .bandwidth = bytes_per_s,
		.flags = flags | COMMIT_BYTES,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_BLOCK_COMMIT, block_commit_args, &args, none, &none, error);
}

bool vmm_domain_block_job(vmm_domain *dom, const char *disk, struct vmm_block_job *ret_job,
			  GError **error)
{
	remote_dom_text_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)disk, .flags = JOB_BYTES,
	};
	remote_block_job_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_BLOCK_JOB_INFO, dom_text_flags_args, &args, block_job_ret,
		  &ret, error))
		return false;
	*ret_job = (struct vmm_block_job){
		.type = ret.found ? ret.type : 0, .bytes_per_s = ret.bandwidth,
		.done = ret.cur, .total = ret.end,
	};
	return true;
}

bool vmm_domain_block_job_abort(vmm_domain *dom, const char *disk, unsigned flags, GError **error)
{
	remote_dom_text_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)disk, .flags = flags,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_BLOCK_JOB_ABORT, dom_text_flags_args, &args, none, &none,
		    error);
}

bool vmm_domain_block_job_set_speed(vmm_domain *dom, const char *disk, uint64_t bytes_per_s,
				    GError **error)
{
	remote_dom_text_hyper_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)disk, .num = bytes_per_s,
		.flags = JOB_BYTES,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_BLOCK_JOB_SET_SPEED, dom_text_hyper_flags_args, &args, none,
		    &none, error);
}

bool vmm_domain_block_resize(vmm_domain *dom, const char *disk, uint64_t bytes, GError **error)
{
	remote_dom_text_hyper_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)disk, .num = bytes,
		.flags = RESIZE_BYTES,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_BLOCK_RESIZE, dom_text_hyper_flags_args, &args, none, &none,
		    error);
}

int vmm_domain_get_iotune(vmm_domain *dom, const char *disk, struct vmm_param *ret_params,
			  unsigned n, unsigned flags, GError **error)
{
	remote_get_io_tune_args args = {
		.dom = domain_to_wire(dom), .disk = (char **)&disk, .nparams = (int)n,
		.flags = flags | PARAMS_WITH_TEXT,
	};
	remote_params_ret ret;
	unsigned got;

	if (!CALL(dom->conn, DOMAIN_GET_BLOCK_IO_TUNE, get_io_tune_args, &args, params_ret, &ret,
		  error))
		return -1;
	got = MIN(n, ret.params.params_len);
	for (unsigned i = 0; i < got; i++)
		param_from_wire(&ret.params.params_val[i], &ret_params[i]);
	FREE(params_ret, &ret);
	return (int)got;
}

bool vmm_domain_set_iotune(vmm_domain *dom, const char *disk, const struct vmm_param *params,
			   unsigned n, unsigned flags, GError **error)
{
	g_autofree remote_param *wire = g_new0(remote_param, n);
	remote_dom_text_params_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)disk, .params = { n, wire },
		.flags = flags,
	};
	remote_none none;

	for (unsigned i = 0; i < n; i++) {
		wire[i].field = (char *)params[i].name;
		wire[i].value.type = params[i].type;
		if (params[i].type == VMM_PARAM_STRING)
			wire[i].value.remote_value_u.s = params[i].value.s;
		else
			wire[i].value.remote_value_u.ul = params[i].value.ul;
	}
	return CALL(dom->conn, DOMAIN_SET_BLOCK_IO_TUNE, dom_text_params_flags_args, &args, none,
		    &none, error);
}

static void disk_error_free(void *data)
{
	struct vmm_disk_error *e = data;

	g_free(e->disk);
	g_free(e);
}

GPtrArray *vmm_domain_disk_errors(vmm_domain *dom, GError **error)
{
	remote_dom_uint_flags_args args = {
		.dom = domain_to_wire(dom), .num = DISK_ERRORS_MAX,
	};
	remote_disk_errors_ret ret;
	GPtrArray *list;

	if (!CALL(dom->conn, DOMAIN_GET_DISK_ERRORS, dom_uint_flags_args, &args, disk_errors_ret,
		  &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(disk_error_free);
	for (u_int i = 0; i < ret.errors.errors_len; i++) {
		struct vmm_disk_error *e = g_new(struct vmm_disk_error, 1);

		*e = (struct vmm_disk_error){ g_strdup(ret.errors.errors_val[i].disk),
					      ret.errors.errors_val[i].error };
		g_ptr_array_add(list, e);
	}
	FREE(disk_errors_ret, &ret);
	return list;
}
