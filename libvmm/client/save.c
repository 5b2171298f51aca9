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

bool vmm_domain_job_info(vmm_domain *dom, struct vmm_job_info *ret_info, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_job_info_ret ret;

	if (!CALL(dom->conn, DOMAIN_GET_JOB_INFO, dom_args, &args, job_info_ret, &ret, error))
		return false;
	*ret_info = (struct vmm_job_info){
		.type = ret.type,
		.elapsed_ms = ret.timeElapsed,
		.total_bytes = ret.dataTotal,
		.done_bytes = ret.dataProcessed,
	};
	return true;
}

bool vmm_domain_abort_job(vmm_domain *dom, GError **error)
{
	remote_dom_args args = { .dom = domain_to_wire(dom) };
	remote_none none;

	return CALL(dom->conn, DOMAIN_ABORT_JOB, dom_args, &args, none, &none, error);
}
