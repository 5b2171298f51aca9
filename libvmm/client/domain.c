/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Domains: handles, finding them, their life. */
#include "config.h"
#include <string.h>

#include "libvmm/client/client-priv.h"
#include "libvmm/util/uuid.h"

vmm_domain *domain_from_wire(vmm_connect *conn, const remote_domain *wire)
{
	vmm_domain *dom = g_new0(struct vmm_domain, 1);

	dom->refs = 1;
	dom->conn = connect_ref(conn);
	dom->name = g_strdup(wire->name);
	memcpy(dom->uuid, wire->uuid, sizeof(dom->uuid));
	uuid_to_text(dom->uuid, dom->uuid_text);
	dom->id = wire->id;
	return dom;
}

remote_domain domain_to_wire(const vmm_domain *dom)
{
	remote_domain wire = { .name = dom->name, .id = dom->id };

	memcpy(wire.uuid, dom->uuid, sizeof(wire.uuid));
	return wire;
}

vmm_domain *vmm_domain_ref(vmm_domain *dom)
{
	g_atomic_int_inc(&dom->refs);
	return dom;
}

void vmm_domain_unref(vmm_domain *dom)
{
	if (!dom || !g_atomic_int_dec_and_test(&dom->refs))
		return;
	connect_unref(dom->conn);
	g_free(dom->name);
	g_free(dom);
}

vmm_connect *vmm_domain_connect(const vmm_domain *dom)
{
	return dom->conn;
}

const char *vmm_domain_name(const vmm_domain *dom)
{
	return dom->name;
}

const char *vmm_domain_uuid(const vmm_domain *dom)
{
	return dom->uuid_text;
}

int vmm_domain_id(const vmm_domain *dom)
{
	return dom->id;
}

GPtrArray *vmm_domain_list(vmm_connect *conn, unsigned flags, GError **error)
{
	remote_list_args args = { .need_results = 1, .flags = flags };
	remote_domains_ret ret;
	GPtrArray *list;

	if (!CALL(conn, CONNECT_LIST_ALL_DOMAINS, list_args, &args, domains_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func((GDestroyNotify)vmm_domain_unref);
	for (u_int i = 0; i < ret.domains.domains_len; i++)
		g_ptr_array_add(list, domain_from_wire(conn, &ret.domains.domains_val[i]));
	FREE(domains_ret, &ret);
	return list;
}

/* A call that answers one domain. */
static vmm_domain *domain_call(vmm_connect *conn, int procedure, xdrproc_t proc, const void *args,
			       GError **error)
{
	remote_dom_ret ret;
	vmm_domain *dom;

	if (!connect_call(conn, procedure, proc, args, (xdrproc_t)xdr_remote_dom_ret, &ret,
			  sizeof(ret), error))
		return NULL;
	dom = domain_from_wire(conn, &ret.dom);
	FREE(dom_ret, &ret);
	return dom;
}

vmm_domain *vmm_domain_lookup_by_name(vmm_connect *conn, const char *name, GError **error)
{
	remote_name_args args = { .name = (char *)name };

	return domain_call(conn, REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, (xdrproc_t)xdr_remote_name_args,
			   &args, error);
}

vmm_domain *vmm_domain_lookup_by_uuid(vmm_connect *conn, const char *uuid, GError **error)
{
	remote_uuid_args args;
	uint8_t bytes[UUID_BYTES];

	if (!uuid_from_text(uuid, bytes)) {
		error_set(error, VMM_ERR_INVALID_ARG, "'%s' is no UUID", uuid);
		return NULL;
	}
	memcpy(args.uuid, bytes, sizeof(args.uuid));
	return domain_call(conn, REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, (xdrproc_t)xdr_remote_uuid_args,
			   &args, error);
}

vmm_domain *vmm_domain_lookup_by_id(vmm_connect *conn, int id, GError **error)
{
	remote_int_args args = { .num = id };

	return domain_call(conn, REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, (xdrproc_t)xdr_remote_int_args,
			   &args, error);
}

static bool is_id(const char *text, int *ret)
{
	guint64 n;

	if (!g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT, &n, NULL))
		return false;
	*ret = n;
	return true;
}

/* In virsh's order: a number may be an id, what looks like a UUID may be one, all may be names. */
vmm_domain *vmm_domain_lookup(vmm_connect *conn, const char *text, GError **error)
{
	uint8_t uuid[UUID_BYTES];
	vmm_domain *dom = NULL;
	g_autoptr(GError) why = NULL;
	int id;

	if (is_id(text, &id))
		dom = vmm_domain_lookup_by_id(conn, id, &why);
	else if (uuid_from_text(text, uuid))
		dom = vmm_domain_lookup_by_uuid(conn, text, &why);
	if (dom)
		return dom;
	if (why && !g_error_matches(why, VMM_ERROR, VMM_ERR_NO_DOMAIN)) {
		g_propagate_error(error, g_steal_pointer(&why));
		return NULL;
	}
	return vmm_domain_lookup_by_name(conn, text, error);
}

/* ---- life ---- */

vmm_domain *vmm_domain_define_xml(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };

	return domain_call(conn, REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS,
			   (xdrproc_t)xdr_remote_xml_flags_args, &args, error);
}

vmm_domain *vmm_domain_create_xml(vmm_connect *conn, const char *xml, unsigned flags,
				  GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };

	return domain_call(conn, REMOTE_PROC_DOMAIN_CREATE_XML,
			   (xdrproc_t)xdr_remote_xml_flags_args, &args, error);
}

bool vmm_domain_create(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_dom_ret ret;

	if (!CALL(dom->conn, DOMAIN_CREATE_WITH_FLAGS, dom_flags_args, &args, dom_ret, &ret, error))
		return false;
	g_atomic_int_set(&dom->id, ret.dom.id);
	FREE(dom_ret, &ret);
	return true;
}

static bool flags_call(vmm_domain *dom, int procedure, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	remote_none none;

	return connect_call(dom->conn, procedure, (xdrproc_t)xdr_remote_dom_flags_args, &args,
			    (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

static bool plain_call(vmm_domain *dom, int procedure, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_none none;

	return connect_call(dom->conn, procedure, (xdrproc_t)xdr_remote_dom_args, &args,
			    (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

bool vmm_domain_undefine(vmm_domain *dom, unsigned flags, GError **error)
{
	return flags_call(dom, REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, flags, error);
}

bool vmm_domain_shutdown(vmm_domain *dom, unsigned flags, GError **error)
{
	return flags_call(dom, REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, flags, error);
}

bool vmm_domain_reboot(vmm_domain *dom, unsigned flags, GError **error)
{
	return flags_call(dom, REMOTE_PROC_DOMAIN_REBOOT, flags, error);
}

bool vmm_domain_reset(vmm_domain *dom, GError **error)
{
	return flags_call(dom, REMOTE_PROC_DOMAIN_RESET, 0, error);
}

bool vmm_domain_destroy(vmm_domain *dom, unsigned flags, GError **error)
{
	return flags_call(dom, REMOTE_PROC_DOMAIN_DESTROY_FLAGS, flags, error);
}

bool vmm_domain_suspend(vmm_domain *dom, GError **error)
{
	return plain_call(dom, REMOTE_PROC_DOMAIN_SUSPEND, error);
}

bool vmm_domain_resume(vmm_domain *dom, GError **error)
{
	return plain_call(dom, REMOTE_PROC_DOMAIN_RESUME, error);
}

bool vmm_domain_set_autostart(vmm_domain *dom, bool on, GError **error)
{
	remote_dom_int_args args = { .dom = domain_to_wire(dom), .num = on };
	remote_none none;

	return CALL(dom->conn, DOMAIN_SET_AUTOSTART, dom_int_args, &args, none, &none, error);
}

bool vmm_domain_rename(vmm_domain *dom, const char *name, GError **error)
{
	char *text = (char *)name;
	remote_dom_opt_text_flags_args args = { .dom = domain_to_wire(dom), .text = &text };
	remote_int_ret ret;

	return CALL(dom->conn, DOMAIN_RENAME, dom_opt_text_flags_args, &args, int_ret, &ret, error);
}

bool vmm_domain_set_lifecycle_action(vmm_domain *dom, unsigned event, unsigned action,
				     unsigned flags, GError **error)
{
	remote_dom_lifecycle_args args = {
		.dom = domain_to_wire(dom), .type = event, .action = action, .flags = flags,
	};
	remote_none none;

	return CALL(dom->conn, DOMAIN_SET_LIFECYCLE_ACTION, dom_lifecycle_args, &args, none, &none,
		    error);
}

bool vmm_domain_set_memory(vmm_domain *dom, uint64_t kib, unsigned flags, GError **error)
{
	remote_dom_hyper_flags_args args = { .dom = domain_to_wire(dom),
					     .num = kib,
					     .flags = flags };
	remote_none none;

	return CALL(dom->conn, DOMAIN_SET_MEMORY_FLAGS, dom_hyper_flags_args, &args, none, &none,
		    error);
}

bool vmm_domain_set_memory_stats_period(vmm_domain *dom, int seconds, unsigned flags,
					GError **error)
{
	remote_dom_int_flags_args args = { .dom = domain_to_wire(dom),
					   .num = seconds,
					   .flags = flags };
	remote_none none;

	return CALL(dom->conn, DOMAIN_SET_MEMORY_STATS_PERIOD, dom_int_flags_args, &args, none,
		    &none, error);
}
