/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain's definition was. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static void revision_free(void *p)
{
	struct vmm_revision *rev = p;

	g_free(rev->who);
	g_free(rev);
}

static struct vmm_revision *revision_from_wire(const vmm_wire_revision *wire)
{
	struct vmm_revision *rev = g_new(struct vmm_revision, 1);

	*rev = (struct vmm_revision){
		.number = wire->number, .at_s = wire->at_s, .restored = wire->restored,
		.bytes = wire->bytes, .who = g_strdup(wire->who),
	};
	return rev;
}

GPtrArray *vmm_domain_history(vmm_domain *dom, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	vmm_history_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(dom->conn, DOMAIN_HISTORY, remote_dom_args, &args, vmm_history_ret, &ret,
		      error))
		return NULL;
	list = g_ptr_array_new_with_free_func(revision_free);
	for (u_int i = 0; i < ret.revisions.revisions_len; i++)
		g_ptr_array_add(list, revision_from_wire(&ret.revisions.revisions_val[i]));
	VMM_FREE(vmm_history_ret, &ret);
	return list;
}

char *vmm_domain_revision_xml(vmm_domain *dom, unsigned number, GError **error)
{
	vmm_revision_args args = { .dom = domain_to_wire(dom), .number = number };
	remote_text_ret ret;
	char *xml;

	if (!VMM_CALL(dom->conn, DOMAIN_REVISION_XML, vmm_revision_args, &args, remote_text_ret,
		      &ret, error))
		return NULL;
	xml = g_strdup(ret.text);
	VMM_FREE(remote_text_ret, &ret);
	return xml;
}

bool vmm_domain_undo(vmm_domain *dom, unsigned number, unsigned *ret_restored, GError **error)
{
	vmm_revision_args args = { .dom = domain_to_wire(dom), .number = number };
	vmm_number_ret ret;

	if (!VMM_CALL(dom->conn, DOMAIN_UNDO, vmm_revision_args, &args, vmm_number_ret, &ret,
		      error))
		return false;
	*ret_restored = ret.number;
	return true;
}
