/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains: looking at one. */
#include "config.h"
#include "libvmm/client/client-priv.h"

bool vmm_domain_info(vmm_domain *dom, struct vmm_domain_info *ret_info, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_domain_info_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_INFO, dom_args, &args, domain_info_ret, &ret, error))
		return false;
	*ret_info = (struct vmm_domain_info){
		.state = ret.state, .max_memory_kib = ret.maxMem, .memory_kib = ret.memory,
		.vcpus = ret.nrVirtCpu, .cpu_time_ns = ret.cpuTime,
	};
	return true;
}

bool vmm_domain_state(vmm_domain *dom, int *ret_state, int *ret_reason, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_state_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_STATE, dom_flags_args, &args, state_ret, &ret, error))
		return false;
	*ret_state = ret.state;
	if (ret_reason)
		*ret_reason = ret.reason;
	return true;
}

static char *text_done(bool ok, remote_text_ret *ret)
{
	char *text;

	if (!ok)
		return NULL;
	text = g_strdup(ret->text);
	FREE(text_ret, ret);
	return text;
}

char *vmm_domain_xml(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_text_ret ret;

	return text_done(
		CALL(dom->conn, DOMAIN_GET_XML_DESC, dom_flags_args, &args, text_ret, &ret, error),
		&ret);
}

char *vmm_domain_os_type(vmm_domain *dom, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_text_ret ret;

	return text_done(
		CALL(dom->conn, DOMAIN_GET_OS_TYPE, dom_args, &args, text_ret, &ret, error), &ret);
}

static bool bool_call(vmm_domain *dom, int procedure, bool *ret_bool, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_int_ret ret;

	if (!connect_call(dom->conn, procedure, (xdrproc_t)xdr_remote_dom_args, &args,
			  (xdrproc_t)xdr_remote_int_ret, &ret, sizeof(ret), error))
		return false;
	*ret_bool = ret.num != 0;
	return true;
}

bool vmm_domain_is_active(vmm_domain *dom, bool *ret, GError **error)
{
	return bool_call(dom, REMOTE_PROC_DOMAIN_IS_ACTIVE, ret, error);
}

bool vmm_domain_is_persistent(vmm_domain *dom, bool *ret, GError **error)
{
	return bool_call(dom, REMOTE_PROC_DOMAIN_IS_PERSISTENT, ret, error);
}

bool vmm_domain_get_autostart(vmm_domain *dom, bool *ret, GError **error)
{
	return bool_call(dom, REMOTE_PROC_DOMAIN_GET_AUTOSTART, ret, error);
}

bool vmm_domain_has_managed_save(vmm_domain *dom, bool *ret_has, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_int_ret ret;

	if (!CALL(dom->conn, DOMAIN_HAS_MANAGED_SAVE_IMAGE, dom_flags_args, &args, int_ret, &ret,
		  error))
		return false;
	*ret_has = ret.num != 0;
	return true;
}

bool vmm_domain_control_info(vmm_domain *dom, unsigned *ret_state, uint64_t *ret_ms, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_control_info_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_CONTROL_INFO, dom_flags_args, &args, control_info_ret, &ret,
		  error))
		return false;
	*ret_state = ret.state;
	*ret_ms = ret.stateTime;
	return true;
}

char **vmm_domain_messages(vmm_domain *dom, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_names_ret ret;
	char **messages;

	if (!CALL(dom->conn, DOMAIN_GET_MESSAGES, dom_flags_args, &args, names_ret, &ret, error))
		return NULL;
	messages = g_new0(char *, ret.names.names_len + 1);
	for (u_int i = 0; i < ret.names.names_len; i++)
		messages[i] = g_strdup(ret.names.names_val[i]);
	FREE(names_ret, &ret);
	return messages;
}

int vmm_domain_vcpu_count(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_int_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_VCPUS_FLAGS, dom_flags_args, &args, int_ret, &ret, error))
		return -1;
	return ret.num;
}

/* NULL, or a pointer to the text: XDR's optional. */
static char **optional(const char *const *text)
{
	return *text ? (char **)text : NULL;
}

char *vmm_domain_get_metadata(vmm_domain *dom, int type, const char *uri, unsigned flags,
			      GError **error)
{
	remote_get_metadata_args args = {
		.dom = domain_to_wire(dom), .type = type, .uri = optional(&uri), .flags = flags,
	};
	remote_text_ret ret;

	return text_done(CALL(dom->conn, DOMAIN_GET_METADATA, get_metadata_args, &args, text_ret,
			      &ret, error),
			 &ret);
}

bool vmm_domain_set_metadata(vmm_domain *dom, int type, const char *metadata, const char *key,
			     const char *uri, unsigned flags, GError **error)
{
	remote_set_metadata_args args = {
		.dom = domain_to_wire(dom), .type = type, .metadata = optional(&metadata),
		.key = optional(&key), .uri = optional(&uri), .flags = flags,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_SET_METADATA, set_metadata_args, &args, none, &none, error);
}
