/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's logbooks. */
#include "config.h"

#include "libvmm/client/client-priv.h"

static void entry_free(void *p)
{
	struct vmm_log_entry *e = p;

	g_free(e->event);
	g_free(e->who);
	g_free(e->text);
	g_free(e);
}

static struct vmm_log_entry *entry_from_wire(const vmm_wire_log_entry *wire)
{
	struct vmm_log_entry *e = g_new(struct vmm_log_entry, 1);

	*e = (struct vmm_log_entry){
		.number = wire->number, .at_us = wire->at_us,
		.level = MIN(wire->level, (u_int)VMM_LOG_NOTE), .event = g_strdup(wire->event),
		.who = g_strdup(wire->who), .text = g_strdup(wire->text),
	};
	return e;
}

GPtrArray *vmm_log_read(vmm_connect *conn, vmm_domain *dom, const struct vmm_log_query *query,
			GError **error)
{
	remote_domain wire = dom ? domain_to_wire(dom) : (remote_domain){ 0 };
	vmm_log_args args = {
		.dom = dom ? &wire : NULL, .after = query->after, .since_us = query->since_us,
		.max = query->max, .newest = query->newest,
	};
	vmm_log_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(conn, LOG, vmm_log_args, &args, vmm_log_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(entry_free);
	for (u_int i = 0; i < ret.entries.entries_len; i++)
		g_ptr_array_add(list, entry_from_wire(&ret.entries.entries_val[i]));
	VMM_FREE(vmm_log_ret, &ret);
	return list;
}
