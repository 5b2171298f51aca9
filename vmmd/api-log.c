/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program on what happened. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/logbook.h"
#include "vmmd/owner.h"

/* A logbook tells what a domain's owner did: on a read-only connection it is his alone. */
static bool may_read(struct call *call, const struct domain *dom)
{
	struct session *s = call->session;

	if (!session_readonly(s) || (dom && owner_is(dom, session_uid(s))))
		return true;
	call_fail_text(call, VMM_ERR_OPERATION_DENIED,
		       "operation LOG is forbidden for read only access, but for the owner of a "
		       "domain");
	return false;
}

static void reply(struct call *call, const GPtrArray *entries)
{
	g_autofree vmm_wire_log_entry *wire = g_new(vmm_wire_log_entry, entries->len + 1);

	for (unsigned i = 0; i < entries->len; i++) {
		const struct log_entry *e = g_ptr_array_index(entries, i);

		wire[i] = (vmm_wire_log_entry){
			.number = e->number, .at_us = e->at_us, .level = e->level,
			.event = e->event, .who = e->who, .text = e->text,
		};
	}
	call_reply(call, &(vmm_log_ret){ { entries->len, wire } });
}

static void log_entries(struct call *call, const void *argp)
{
	const vmm_log_args *args = argp;
	const struct domain *dom = args->dom ? api_domain_of(call, args->dom) : NULL;
	const struct log_query query = {
		.after = args->after, .since_us = args->since_us, .newest = args->newest,
		.max = CLAMP(args->max, 1, VMM_LOG_ENTRIES_MAX),
	};
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GError) error = NULL;

	if ((args->dom && !dom) || !may_read(call, dom))
		return;
	entries = logbook_read(call->daemon->logbook, dom ? dom->uuid : NULL, &query, &error);
	if (entries)
		reply(call, entries);
	else
		call_fail(call, error);
}

const struct api_entry api_log[] = {
	{ VMM_PROC_LOG, log_entries },
	{ 0 },
};
