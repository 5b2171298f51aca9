/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Many domains' statistics: each worker is asked at once, the last answer ends
 * it.  Thousands of domains are gone through in slices, and others' calls are
 * read in between: a domain that goes meanwhile is left out.  However many ask,
 * all together have one slice of each turn of the loop, and take turns in it.
 */
#include "config.h"
#include "vmmd/bulk.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/image.h"
#include "vmmd/link.h"
#include "vmmd/params.h"
#include "vmmd/supervisor.h"

#define SLICE_US 2000			/* of a turn of the loop */
#define PIECE_US 500			/* of it, until the next one's turn */

/* Those that are not through the domains yet. */
struct bulks {
	GQueue waiting;			/* of struct bulk */
	guint source;
};

struct bulk {
	struct domain_table *table;
	GArray *uuids;			/* of UUID_BYTES each */
	unsigned next;			/* of them */
	bulk_each *each;
	bulk_done *done;
	void *opaque;
	unsigned groups;
	GPtrArray *records;
	unsigned waiting;		/* workers that have not answered, and one for ourselves */
};

struct part {				/* one worker's answer */
	struct bulk *bulk;
	struct domain *dom;
	struct bulk_record *record;
};

static void record_free(void *p)
{
	struct bulk_record *r = p;

	g_free(r->ref.name);
	g_array_unref(r->params);
	g_clear_pointer(&r->packed, g_bytes_unref);
	g_free(r);
}

static struct bulk_record *record_new(const struct domain *dom)
{
	struct bulk_record *r = g_new0(struct bulk_record, 1);

	r->ref = (remote_domain){ .name = g_strdup(dom->name), .id = dom->id };
	memcpy(r->ref.uuid, dom->uuid, UUID_BYTES);
	r->params = params_new();
	return r;
}

static void bulk_free(struct bulk *b)
{
	g_ptr_array_unref(b->records);
	g_array_unref(b->uuids);
	g_free(b);
}

static void bulk_end(struct bulk *b)
{
	if (--b->waiting > 0)
		return;
	b->done(b->records, b->opaque);
	bulk_free(b);
}

static void add_state(const struct domain *dom, GArray *params)
{
	params_int(params, (int)state_to_wire(dom->state), "state.state");
	params_int(params, (int)dom->reason, "state.reason");
	if (!dom->link || dom->state == DOMAIN_STARTING)
		return;
	if (dom->boot_ms >= 0)
		params_uhyper(params, (uint64_t)dom->boot_ms, "vmm.boot_ms");
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
		"unused",	  "available",	 NULL,		NULL,
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

static void params_fill(const struct domain *dom, unsigned groups, const worker_stats_ret *stats,
			GArray *params)
{
	const domain_def *def = domain_def_now(dom);
	uint64_t rss;

	if (groups & STATS_STATE)
		add_state(dom, params);
	if (groups & STATS_CPU && stats)
		add_cpu(stats, params);
	if (groups & STATS_BALLOON && def)
		add_balloon(def, stats, params);
	if (groups & STATS_BALLOON && stats && supervisor_rss(dom->daemon, dom->uuid_text, &rss))
		params_uhyper(params, rss, "balloon.rss");
	if (groups & STATS_VCPU && def)
		add_vcpus(def, stats, params);
	if (groups & STATS_INTERFACE && stats)
		add_nets(stats, params);
	if (groups & STATS_BLOCK && def)
		add_blocks(def, stats, params);
}

static void record_fill(const struct bulk *b, struct bulk_record *record, const struct domain *dom,
			const worker_stats_ret *stats)
{
	params_fill(dom, b->groups, stats, record->params);
	if (b->each)
		b->each(record, b->opaque);
}

static void on_stats(const void *data, const GError *error, void *opaque)
{
	g_autofree struct part *part = opaque;

	record_fill(part->bulk, part->record, part->dom, data);
	bulk_end(part->bulk);
}

static void bulk_add(struct bulk *b, struct domain *dom)
{
	struct bulk_record *record = record_new(dom);
	struct part *part;

	g_ptr_array_add(b->records, record);
	if (!dom->link || dom->state == DOMAIN_STARTING || !(b->groups & ~(unsigned)STATS_STATE)) {
		record_fill(b, record, dom, NULL);
		return;
	}
	part = g_new(struct part, 1);
	*part = (struct part){ b, dom, record };
	b->waiting++;
	link_stats(dom->link, on_stats, part);
}

/* False: there is more to do. */
static bool bulk_piece(struct bulk *b)
{
	const int64_t end_us = g_get_monotonic_time() + PIECE_US;

	while (b->next < b->uuids->len) {
		const uint8_t *uuid = (const uint8_t *)b->uuids->data + b->next++ * UUID_BYTES;
		struct domain *dom = domain_find_uuid(b->table, uuid);

		if (dom)
			bulk_add(b, dom);
		if (g_get_monotonic_time() >= end_us)
			break;
	}
	return b->next == b->uuids->len;
}

static gboolean on_turn(void *opaque)
{
	struct bulks *bulks = opaque;
	const int64_t end_us = g_get_monotonic_time() + SLICE_US;
	struct bulk *b;

	while (g_get_monotonic_time() < end_us && (b = g_queue_pop_head(&bulks->waiting))) {
		if (bulk_piece(b))
			bulk_end(b);
		else
			g_queue_push_tail(&bulks->waiting, b);
	}
	if (bulks->waiting.length > 0)
		return G_SOURCE_CONTINUE;
	bulks->source = 0;
	return G_SOURCE_REMOVE;
}

static void bulk_wait(struct daemon *daemon, struct bulk *b)
{
	if (!daemon->bulks)
		daemon->bulks = g_new0(struct bulks, 1);
	g_queue_push_tail(&daemon->bulks->waiting, b);
	if (!daemon->bulks->source)
		daemon->bulks->source =
			g_idle_add_full(G_PRIORITY_DEFAULT, on_turn, daemon->bulks, NULL);
}

void bulks_free(struct bulks *bulks)
{
	if (!bulks)
		return;
	g_clear_handle_id(&bulks->source, g_source_remove);
	g_queue_clear_full(&bulks->waiting, (GDestroyNotify)bulk_free);
	g_free(bulks);
}

void bulk_ask(struct daemon *daemon, const GPtrArray *domains, unsigned groups, bulk_each *each,
	      bulk_done *done, void *opaque)
{
	struct bulk *b = g_new(struct bulk, 1);

	*b = (struct bulk){
		.table = daemon->domains, .each = each, .done = done, .opaque = opaque,
		.groups = groups,
		.uuids = g_array_sized_new(FALSE, FALSE, UUID_BYTES, domains->len),
		.records = g_ptr_array_new_with_free_func(record_free), .waiting = 1,
	};
	for (unsigned i = 0; i < domains->len; i++)
		g_array_append_vals(b->uuids, ((const struct domain *)domains->pdata[i])->uuid, 1);
	if (bulk_piece(b))
		bulk_end(b);
	else
		bulk_wait(daemon, b);
}
