/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's agent is asked, by the daemon. */
#include "config.h"

#include "libvmm/client/client-priv.h"

struct vmm_param *vmm_domain_guest_info(vmm_domain *dom, unsigned types, unsigned *ret_n,
					GError **error)
{
	remote_dom_uint_flags_args args = { .dom = domain_to_wire(dom), .num = types };
	remote_params_only_ret ret;
	struct vmm_param *params;

	if (!CALL(dom->conn, DOMAIN_GET_GUEST_INFO, dom_uint_flags_args, &args, params_only_ret,
		  &ret, error))
		return NULL;
	*ret_n = ret.params.params_len;
	params = g_new0(struct vmm_param, *ret_n + 1);
	for (u_int i = 0; i < ret.params.params_len; i++)
		param_from_wire(&ret.params.params_val[i], &params[i]);
	FREE(params_only_ret, &ret);
	return params;
}

bool vmm_domain_get_time(vmm_domain *dom, int64_t *ret_ns, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_time_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_TIME, dom_flags_args, &args, time_ret, &ret, error))
		return false;
	*ret_ns = ret.seconds * INT64_C(1000000000) + ret.nseconds;
	return true;
}

bool vmm_domain_set_time(vmm_domain *dom, int64_t ns, GError **error)
{
	remote_set_time_args args = {
		.dom = domain_to_wire(dom),
		.seconds = MAX(ns, 0) / INT64_C(1000000000),
		.nseconds = (u_int)(MAX(ns, 0) % INT64_C(1000000000)),
		.flags = ns < 0,	/* of its own clock chip */
	};
	remote_none ret;

	return CALL(dom->conn, DOMAIN_SET_TIME, set_time_args, &args, none, &ret, error);
}

static int freeze(vmm_domain *dom, int procedure, GError **error)
{
	remote_dom_names_flags_args args = { .dom = domain_to_wire(dom) };
	remote_int_ret ret;

	if (!connect_call(dom->conn, procedure, (xdrproc_t)xdr_remote_dom_names_flags_args, &args,
			  (xdrproc_t)xdr_remote_int_ret, &ret, sizeof(ret), error))
		return -1;
	return MAX(ret.num, 0);
}

int vmm_domain_fs_freeze(vmm_domain *dom, GError **error)
{
	return freeze(dom, REMOTE_PROC_DOMAIN_FSFREEZE, error);
}

int vmm_domain_fs_thaw(vmm_domain *dom, GError **error)
{
	return freeze(dom, REMOTE_PROC_DOMAIN_FSTHAW, error);
}

bool vmm_domain_set_user_password(vmm_domain *dom, const char *user, const char *password,
				  unsigned flags, GError **error)
{
	remote_text name = (char *)user, text = (char *)password;
	remote_set_password_args args = {
		.dom = domain_to_wire(dom), .user = &name, .password = &text, .flags = flags,
	};
	remote_none ret;

	return CALL(dom->conn, DOMAIN_SET_USER_PASSWORD, set_password_args, &args, none, &ret,
		    error);
}
