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


/* A domain's part of the answer, as it goes out: thousands are not packed in one piece. */
static void pack(struct bulk_record *r, void *opaque)
{
	remote_domain_stats wire = {
		.dom = r->ref,
		.params = { r->params->len, (remote_param *)(void *)r->params->data },
	};
	const unsigned long bytes = xdr_sizeof((xdrproc_t)xdr_remote_domain_stats, &wire);
	char *buf = g_malloc(bytes);
	XDR xdrs;

	xdrmem_create(&xdrs, buf, (u_int)bytes, XDR_ENCODE);
	if (bytes > 0 && xdr_remote_domain_stats(&xdrs, &wire))
		r->packed = g_bytes_new_take(g_steal_pointer(&buf), bytes);
	XDR_DESTROY(&xdrs);
	g_free(buf);
	g_array_set_size(r->params, 0);
}

/* In place of xdr_remote_all_stats_ret(). */
static bool_t xdr_packed(XDR *xdrs, const GPtrArray *records)
{
	u_int n = records->len;
	bool_t ok = n <= REMOTE_DOMAINS_MAX && xdr_u_int(xdrs, &n);

	for (unsigned i = 0; ok && i < records->len; i++) {
		const struct bulk_record *r = records->pdata[i];
		gsize bytes = 0;
		const void *data = r->packed ? g_bytes_get_data(r->packed, &bytes) : NULL;

		ok = data && xdr_opaque(xdrs, (char *)data, (u_int)bytes);
	}
	return ok;
}

static void on_bulk(const GPtrArray *records, void *opaque)
{
	struct call *call = opaque;

	call->ret_proc = (xdrproc_t)(void (*)(void))xdr_packed;
	call_reply(call, records);
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
	bulk_ask(call->daemon, list, args->stats ? args->stats : (unsigned)STATS_OURS, pack,
		 on_bulk, call);
}

const struct api_entry api_bulk[] = {
	{ REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS, get_all_stats },
	{ 0 }
};
