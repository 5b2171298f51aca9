/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The procedure of our own program that asks the doctor. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/doctor.h"

static void doctor(struct call *call, const void *argp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) findings = doctor_look(call->daemon, &error);
	g_autofree vmm_wire_finding *wire = NULL;

	if (!findings) {
		call_fail(call, error);
		return;
	}
	wire = g_new(vmm_wire_finding, findings->len + 1);
	for (unsigned i = 0; i < findings->len; i++) {
		const struct finding *f = g_ptr_array_index(findings, i);

		wire[i] = (vmm_wire_finding){ f->domain, f->path, f->what, f->advice };
	}
	call_reply(call, &(vmm_doctor_ret){ .findings = { findings->len, wire } });
}

const struct api_entry api_doctor[] = {
	{ VMM_PROC_DOCTOR, doctor },
	{ 0 },
};
