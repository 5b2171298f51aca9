/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the daemon's doctor has found. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static void finding_free(void *p)
{
	struct vmm_finding *f = p;

	g_free(f->domain);
	g_free(f->path);
	g_free(f->what);
	g_free(f->advice);
	g_free(f->done);
	g_free(f);
}

static GPtrArray *findings_take(vmm_doctor_ret *ret)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(finding_free);

	for (u_int i = 0; i < ret->findings.findings_len; i++) {
		const vmm_wire_finding *w = &ret->findings.findings_val[i];
		struct vmm_finding *f = g_new(struct vmm_finding, 1);

		*f = (struct vmm_finding){
			g_strdup(w->domain), g_strdup(w->path), g_strdup(w->what),
			g_strdup(w->advice), g_strdup(w->done), w->level != 0, w->can_fix,
		};
		g_ptr_array_add(list, f);
	}
	VMM_FREE(vmm_doctor_ret, ret);
	return list;
}

GPtrArray *vmm_connect_doctor(vmm_connect *conn, GError **error)
{
	remote_none none = { 0 };
	vmm_doctor_ret ret;

	return VMM_CALL(conn, DOCTOR, remote_none, &none, vmm_doctor_ret, &ret, error) ?
		       findings_take(&ret) :
		       NULL;
}

GPtrArray *vmm_connect_doctor_fix(vmm_connect *conn, bool dry, GError **error)
{
	vmm_doctor_args args = { .dry = dry };
	vmm_doctor_ret ret;

	return VMM_CALL(conn, DOCTOR_FIX, vmm_doctor_args, &args, vmm_doctor_ret, &ret, error) ?
		       findings_take(&ret) :
		       NULL;
}
