/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CONNECT_GET_ALL_DOMAIN_STATS: many domains' statistics in one answer, asked for side by side. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/owner.h"
#include "vmmd/image.h"
#include "vmmd/link.h"
#include "vmmd/params.h"

enum stats_groups {
	STATS_STATE = 1, STATS_CPU = 2, STATS_BALLOON = 4, STATS_VCPU = 8, STATS_INTERFACE = 0x10,
	STATS_BLOCK = 0x20,
	STATS_OURS = 0x3f, STATS_KNOWN = 0x7ff,
};
#define STATS_LIST_FLAGS 0xffu			/* of the list's filter */
#define STATS_NOWAIT 0x20000000u
#define STATS_BACKING 0x40000000u
#define STATS_ENFORCE 0x80000000u

struct record {
	remote_domain ref;
	GArray *params;
};

struct bulk {
	struct call *call;
	unsigned groups;
	GPtrArray *records;
	unsigned waiting;		/* workers that have not answered, and one for ourselves */
};

struct part {				/* one worker's answer */
	struct bulk *bulk;
	struct domain *dom;
	struct record *record;
};

static void record_free(void *p)
{
	struct record *r = p;

	g_free(r->ref.name);
	g_array_unref(r->params);
	g_free(r);
}

static struct record *record_new(const struct domain *dom)
{
	struct record *r = g_new0(struct record, 1);

	r->ref = api_ref(dom);
	r->ref.name = g_strdup(dom->name);
	r->params = params_new();
	return r;
}

static void bulk_done(struct bulk *b)
{
	g_autofree remote_domain_stats *wire = NULL;

	if (--b->waiting > 0)
		return;
	wire = g_new0(remote_domain_stats, b->records->len + 1);
	for (unsigned i = 0; i < b->records->len; i++) {
		struct record *r = g_ptr_array_index(b->records, i);

		wire[i].dom = r->ref;
		wire[i].params.params_len = r->params->len;
		wire[i].params.params_val = (remote_param *)(void *)r->params->data;
	}
	call_reply(b->call, &(remote_all_stats_ret){ .retStats = { b->records->len, wire } });
	g_ptr_array_unref(b->records);
	g_free(b);
}

static void add_state(const struct domain *dom, GArray *params)
{
	params_int(params, (int)state_to_wire(dom->state), "state.state");
	params_int(params, (int)dom->reason, "state.reason");
	if (dom->link && dom->state != DOMAIN_STARTING)
		params_uhyper(params, MAX(g_get_real_time() - dom->started_us, 0) / G_USEC_PER_SEC,
			      "vmm.uptime");
}

static void add_cpu(const worker_stats_ret *stats, GArray *params)
{
	params_uhyper(params, stats->cpu_ns, "cpu.time");
	params_uhyper(params, stats->user_ns, "cpu.user");
	params_uhyper(params, stats->system_ns, "cpu.system");
}

/* stats is NULL for a domain that is off: then the definition tells. */
static void add_balloon(const domain_def *def, const worker_stats_ret *stats, GArray *params)
{
	static const char *const tags[] = {
		"swap_in",	  "swap_out",	 "major_fault", "minor_fault",
		"unused",	  "available",	 NULL,		"rss",
		"usable",	  "last-update", "disk_caches", "hugetlb_pgalloc",
		"hugetlb_pgfail",
	};

	params_uhyper(params, stats ? stats->balloon_kib : def->current_bytes / 1024,
		      "balloon.current");
	params_uhyper(params, def->memory_bytes / 1024, "balloon.maximum");
	for (unsigned i = 0; stats && i < stats->memory.memory_len; i++) {
		const worker_memory_stat *m = &stats->memory.memory_val[i];

		if (m->tag >= 0 && m->tag < (int)ARRAY_SIZE(tags) && tags[m->tag])
			params_uhyper(params, m->value, "balloon.%s", tags[m->tag]);
	}
}

static void add_vcpus(const domain_def *def, const worker_stats_ret *stats, GArray *params)
{
	params_uint(params, stats ? stats->vcpus.vcpus_len : def->vcpus, "vcpu.current");
	params_uint(params, def->vcpus_max, "vcpu.maximum");
	for (unsigned i = 0; stats && i < stats->vcpus.vcpus_len; i++) {
		params_int(params, stats->vcpus.vcpus_val[i].state, "vcpu.%u.state", i);
		params_uhyper(params, stats->vcpus.vcpus_val[i].time_ns, "vcpu.%u.time", i);
		params_uhyper(params, stats->vcpus.vcpus_val[i].exits, "vcpu.%u.exits.sum", i);
	}
}

static void add_nets(const worker_stats_ret *stats, GArray *params)
{
	params_uint(params, stats->nets.nets_len, "net.count");
	for (unsigned i = 0; i < stats->nets.nets_len; i++) {
		const worker_net_stats *n = &stats->nets.nets_val[i];

		params_text(params, n->target, "net.%u.name", i);
		params_uhyper(params, (uint64_t)n->rx_bytes, "net.%u.rx.bytes", i);
		params_uhyper(params, (uint64_t)n->rx_packets, "net.%u.rx.pkts", i);
		params_uhyper(params, (uint64_t)n->rx_errs, "net.%u.rx.errs", i);
		params_uhyper(params, (uint64_t)n->rx_drop, "net.%u.rx.drop", i);
		params_uhyper(params, (uint64_t)n->tx_bytes, "net.%u.tx.bytes", i);
		params_uhyper(params, (uint64_t)n->tx_packets, "net.%u.tx.pkts", i);
		params_uhyper(params, (uint64_t)n->tx_errs, "net.%u.tx.errs", i);
		params_uhyper(params, (uint64_t)n->tx_drop, "net.%u.tx.drop", i);
	}
}

static void add_block_counters(const worker_stats_ret *stats, unsigned at, GArray *params)
{
	const worker_block_stats *b = &stats->blocks.blocks_val[at];

	params_uhyper(params, (uint64_t)b->rd_reqs, "block.%u.rd.reqs", at);
	params_uhyper(params, (uint64_t)b->rd_bytes, "block.%u.rd.bytes", at);
	params_uhyper(params, (uint64_t)b->rd_ns, "block.%u.rd.times", at);
	params_uhyper(params, (uint64_t)b->wr_reqs, "block.%u.wr.reqs", at);
	params_uhyper(params, (uint64_t)b->wr_bytes, "block.%u.wr.bytes", at);
	params_uhyper(params, (uint64_t)b->wr_ns, "block.%u.wr.times", at);
	params_uhyper(params, (uint64_t)b->fl_reqs, "block.%u.fl.reqs", at);
	params_uhyper(params, (uint64_t)b->fl_ns, "block.%u.fl.times", at);
}

/* stats NULL: the domain is off, or its worker silent. */
static void add_blocks(const domain_def *def, const worker_stats_ret *stats, GArray *params)
{
	params_uint(params, def->disks->len, "block.count");
	for (unsigned i = 0; i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);
		struct image_size size;

		params_text(params, d->target, "block.%u.name", i);
		params_text(params, d->path, "block.%u.path", i);
		if (stats && i < stats->blocks.blocks_len)
			add_block_counters(stats, i, params);
		if (!image_size(d, &size, NULL))
			continue;
		params_uhyper(params, size.allocation, "block.%u.allocation", i);
		params_uhyper(params, size.capacity, "block.%u.capacity", i);
		params_uhyper(params, size.physical, "block.%u.physical", i);
	}
}

static void record_fill(const struct domain *dom, unsigned groups, const worker_stats_ret *stats,
			GArray *params)
{
	const domain_def *def = domain_def_now(dom);

	if (groups & STATS_STATE)
		add_state(dom, params);
	if (groups & STATS_CPU && stats)
		add_cpu(stats, params);
	if (groups & STATS_BALLOON && def)
		add_balloon(def, stats, params);
	if (groups & STATS_VCPU && def)
		add_vcpus(def, stats, params);
	if (groups & STATS_INTERFACE && stats)
		add_nets(stats, params);
	if (groups & STATS_BLOCK && def)
		add_blocks(def, stats, params);
}

static void on_stats(const void *data, const GError *error, void *opaque)
{
	g_autofree struct part *part = opaque;

	record_fill(part->dom, part->bulk->groups, data, part->record->params);
	bulk_done(part->bulk);
}

static void bulk_add(struct bulk *b, struct domain *dom)
{
	struct record *record = record_new(dom);
	struct part *part;

	g_ptr_array_add(b->records, record);
	if (!dom->link || dom->state == DOMAIN_STARTING || !(b->groups & ~(unsigned)STATS_STATE)) {
		record_fill(dom, b->groups, NULL, record->params);
		return;
	}
	part = g_new(struct part, 1);
	*part = (struct part){ b, dom, record };
	b->waiting++;
	link_stats(dom->link, on_stats, part);
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
	struct bulk *b;

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
	b = g_new(struct bulk, 1);
	*b = (struct bulk){ call, args->stats ? args->stats : (unsigned)STATS_OURS,
			    g_ptr_array_new_with_free_func(record_free), 1 };
	for (unsigned i = 0; i < list->len; i++)
		bulk_add(b, g_ptr_array_index(list, i));
	bulk_done(b);
}

const struct api_entry api_bulk[] = {
	{ REMOTE_PROC_CONNECT_GET_ALL_DOMAIN_STATS, get_all_stats },
	{ 0 }
};
