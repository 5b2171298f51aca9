/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONNECT_GET_ALL_DOMAIN_STATS: many domains' statistics in one answer. */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/bulk.h"
#include "vmmd/owner.h"

#define STATS_LIST_FLAGS 0xffu			/* of the list's filter */
#define STATS_NOWAIT 0x20000000u
#define STATS_BACKING 0x40000000u
#define STATS_ENFORCE 0x80000000u


static void on_bulk(const GPtrArray *records, void *opaque)
{
	g_autofree remote_domain_stats *wire = g_new0(remote_domain_stats, records->len + 1);

	for (unsigned i = 0; i < records->len; i++) {
		const struct bulk_record *r = records->pdata[i];

		wire[i].dom = r->ref;
		wire[i].params.params_len = r->params->len;
		wire[i].params.params_val = (remote_param *)(void *)r->params->data;
	}
	call_reply(opaque, &(remote_all_stats_ret){ .retStats = { records->len, wire } });
}

static GPtrArray *bulk_domains(struct call *call, const remote_all_stats_args *args)
{
	GPtrArray *list;

	if (args->doms.doms_len == 0)
		return api_list(call, args->flags & STATS_LIST_FLAGS);
	list = g_ptr_array_new();
	for (unsigned i = 0; i < args->doms.doms_len; i++) {
		struct domain *dom = domain_find_uuid(call->daemon->domains,
						      (const uint8_t *)args->doms.doms_val[i].uuid);

		/* one that has gone meanwhile has no statistics */
		if (dom && owner_sees(call->session, dom))
			g_ptr_array_add(list, dom);
	}
	return list;
}

static void get_all_stats(struct call *call, const void *argp)
{
	const remote_all_stats_args *args = argp;
	g_autoptr(GPtrArray) list = NULL;

	if (!api_flags(call, args->flags,
		       STATS_LIST_FLAGS | STATS_NOWAIT | STATS_BACKING | STATS_ENFORCE))
		return;
	if (args->stats &
	    ~(args->flags & STATS_ENFORCE ? (unsigned)STATS_OURS : (unsigned)STATS_KNOWN)) {
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED,
			       "argument unsupported: groups of statistics 0x%x",
			       args->stats & ~(unsigned)STATS_OURS);
		return;
	}
	list = bulk_domains(call, args);
	bulk_ask(call->daemon->domains, list,
		 args->stats ? args->stats : (unsigned)STATS_OURS, on_bulk, call);
}

const struct api_entry api_bulk[] = {
	{ REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS, get_all_stats },
	{ 0 }
};
