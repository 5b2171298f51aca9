/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots of a domain: they are known by their names. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static remote_snapshot snapshot_to_wire(const vmm_domain *dom, const char *name)
{
	return (remote_snapshot){ .name = (char *)name, .dom = domain_to_wire(dom) };
}

static char **names_take(remote_snaps_ret *ret)
{
	g_autoptr(GStrvBuilder) names = g_strv_builder_new();

	for (u_int i = 0; i < ret->snapshots.snapshots_len; i++)
		g_strv_builder_add(names, ret->snapshots.snapshots_val[i].name);
	FREE(snaps_ret, ret);
	return g_strv_builder_end(names);
}

char **vmm_snapshot_list(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_list_args args = {
		.dom = domain_to_wire(dom), .need_results = 1, .flags = flags,
	};
	remote_snaps_ret ret;

	if (!CALL(dom->conn, DOMAIN_LIST_ALL_SNAPSHOTS, dom_list_args, &args, snaps_ret, &ret,
		  error))
		return NULL;
	return names_take(&ret);
}

char **vmm_snapshot_children(vmm_domain *dom, const char *name, unsigned flags, GError **error)
{
	remote_snap_list_args args = {
		.snap = snapshot_to_wire(dom, name), .need_results = 1, .flags = flags,
	};
	remote_snaps_ret ret;

	if (!CALL(dom->conn, DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN, snap_list_args, &args, snaps_ret,
		  &ret, error))
		return NULL;
	return names_take(&ret);
}

static char *name_take(remote_snap_ret *ret)
{
	char *name = g_strdup(ret->snap.name);

	FREE(snap_ret, ret);
	return name;
}

char *vmm_snapshot_create_xml(vmm_domain *dom, const char *xml, unsigned flags, GError **error)
{
	remote_dom_text_flags_args args = {
		.dom = domain_to_wire(dom), .text = (char *)xml, .flags = flags,
	};
	remote_snap_ret ret;

	return CALL(dom->conn, DOMAIN_SNAPSHOT_CREATE_XML, dom_text_flags_args, &args, snap_ret,
		    &ret, error) ? name_take(&ret) : NULL;
}

char *vmm_snapshot_current(vmm_domain *dom, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom) };
	remote_snap_ret ret;

	return CALL(dom->conn, DOMAIN_SNAPSHOT_CURRENT, dom_flags_args, &args, snap_ret, &ret,
		    error) ? name_take(&ret) : NULL;
}

char *vmm_snapshot_parent(vmm_domain *dom, const char *name, GError **error)
{
	remote_snap_flags_args args = { .snap = snapshot_to_wire(dom, name) };
	remote_snap_ret ret;

	return CALL(dom->conn, DOMAIN_SNAPSHOT_GET_PARENT, snap_flags_args, &args, snap_ret, &ret,
		    error) ? name_take(&ret) : NULL;
}

char *vmm_snapshot_xml(vmm_domain *dom, const char *name, unsigned flags, GError **error)
{
	remote_snap_flags_args args = { .snap = snapshot_to_wire(dom, name), .flags = flags };
	remote_text_ret ret;
	char *xml;

	if (!CALL(dom->conn, DOMAIN_SNAPSHOT_GET_XML_DESC, snap_flags_args, &args, text_ret, &ret,
		  error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}

static bool change(vmm_domain *dom, int procedure, const char *name, unsigned flags, GError **error)
{
	remote_snap_flags_args args = { .snap = snapshot_to_wire(dom, name), .flags = flags };
	remote_none none = { 0 };

	return connect_call(dom->conn, procedure, (xdrproc_t)xdr_remote_snap_flags_args, &args,
			    (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

bool vmm_snapshot_revert(vmm_domain *dom, const char *name, unsigned flags, GError **error)
{
	return change(dom, REMOTE_PROC_DOMAIN_REVERT_TO_SNAPSHOT, name, flags, error);
}

bool vmm_snapshot_delete(vmm_domain *dom, const char *name, unsigned flags, GError **error)
{
	return change(dom, REMOTE_PROC_DOMAIN_SNAPSHOT_DELETE, name, flags, error);
}

static void range_free(void *p)
{
	struct vmm_changed_range *r = p;

	g_free(r->target);
	g_free(r);
}

GPtrArray *vmm_snapshot_diff(vmm_domain *dom, const char *a, const char *b, bool *ret_truncated,
			     GError **error)
{
	vmm_snapshot_diff_args args = {
		.dom = domain_to_wire(dom), .a = (char *)a, .b = (char *)b,
	};
	vmm_snapshot_diff_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(dom->conn, SNAPSHOT_DIFF, vmm_snapshot_diff_args, &args,
		      vmm_snapshot_diff_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(range_free);
	for (u_int i = 0; i < ret.ranges.ranges_len; i++) {
		const vmm_wire_range *w = &ret.ranges.ranges_val[i];
		struct vmm_changed_range *r = g_new(struct vmm_changed_range, 1);

		*r = (struct vmm_changed_range){ g_strdup(w->target), w->start, w->length };
		g_ptr_array_add(list, r);
	}
	*ret_truncated = ret.truncated;
	VMM_FREE(vmm_snapshot_diff_ret, &ret);
	return list;
}
