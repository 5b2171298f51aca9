/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program that look at snapshots, and at all that is kept. */
#include "config.h"

#include <assert.h>

#include "vmmd/api.h"
#include "vmmd/doctor.h"
#include "vmmd/snapshot-diff.h"

/* findings (taken) NULL: error says why. */
static void reply(struct call *call, GPtrArray *found, const GError *error)
{
	g_autoptr(GPtrArray) findings = found;
	g_autofree vmm_wire_finding *wire = NULL;

	if (!findings) {
		call_fail(call, error);
		return;
	}
	wire = g_new(vmm_wire_finding, findings->len + 1);
	for (unsigned i = 0; i < findings->len; i++) {
		const struct finding *f = g_ptr_array_index(findings, i);

		wire[i] = (vmm_wire_finding){ f->domain, f->path, f->what, f->advice, f->level,
					      f->repair != REPAIR_NONE, f->done };
	}
	call_reply(call, &(vmm_doctor_ret){ .findings = { findings->len, wire } });
}

static void doctor(struct call *call, const void *argp)
{
	g_autoptr(GError) error = NULL;
	GPtrArray *findings;

	if (!api_sees_all(call))
		return;
	findings = doctor_look(call->daemon, &error);
	reply(call, findings, error);
}

static void fix(struct call *call, const void *argp)
{
	const vmm_doctor_args *args = argp;
	g_autoptr(GError) error = NULL;
	GPtrArray *findings = doctor_fix(call->daemon, args->dry, &error);

	reply(call, findings, error);
}

static_assert(SNAPSHOT_DIFF_MAX == VMM_RANGES_MAX, "an answer fits");

static void on_compared(const GArray *ranges, bool truncated, const GError *error, void *opaque)
{
	g_autofree vmm_wire_range *wire = NULL;

	if (error) {
		call_fail(opaque, error);
		return;
	}
	wire = g_new(vmm_wire_range, ranges->len + 1);
	for (unsigned i = 0; i < ranges->len; i++) {
		const struct diff_range *r = &g_array_index(ranges, struct diff_range, i);

		wire[i] = (vmm_wire_range){ (char *)r->target, r->start, r->length };
	}
	call_reply(opaque, &(vmm_snapshot_diff_ret){ { ranges->len, wire }, truncated });
}

static void compare(struct call *call, const void *argp)
{
	const vmm_snapshot_diff_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		snapshot_diff(dom, args->a, args->b, on_compared, call);
}

const struct api_entry api_doctor[] = {
	{ VMM_PROC_DOCTOR, doctor },
	{ VMM_PROC_DOCTOR_FIX, fix },
	{ VMM_PROC_SNAPSHOT_DIFF, compare },
	{ 0 },
};
