/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Procedures that answer with a worker's statistics.  Each keeps its call and
 * what it was about until the worker has answered; the domain is there as long
 * as the link is, and a link that ends answers first.
 */
#include "config.h"

#include <errno.h>

#include "libvmm/host/node.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/image.h"
#include "vmmd/link.h"
#include "vmmd/params.h"
#include "vmmd/supervisor.h"
#include "vmmd/threads.h"

#define TAG_ACTUAL_BALLOON 6
#define TAG_RSS 7

typedef struct query query;
struct query {
	struct call *call;
	struct domain *dom;
	char *device;
	unsigned max, maplen;
};

static void query_free(struct query *q)
{
	g_free(q->device);
	g_free(q);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(query, query_free)

static void query_stats(struct call *call, struct domain *dom, const char *device, unsigned max,
			link_done *done)
{
	struct query *q = g_new(struct query, 1);

	*q = (struct query){ call, dom, g_strdup(device), max, 0 };
	link_stats(dom->link, done, q);
}

/* ---- memory ---- */

static void on_memory_stats(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	const worker_stats_ret *stats = data;
	remote_memory_stat wire[66];
	unsigned n = 0;
	bool actual = false;
	uint64_t rss;

	if (error) {
		call_fail(q->call, error);
		return;
	}
	for (unsigned i = 0; i < stats->memory.memory_len && n < 64; i++) {
		if (stats->memory.memory_val[i].tag == TAG_RSS)
			continue;		/* we know better */
		actual |= stats->memory.memory_val[i].tag == TAG_ACTUAL_BALLOON;
		wire[n++] = (remote_memory_stat){ stats->memory.memory_val[i].tag,
						  stats->memory.memory_val[i].value };
	}
	if (!actual)
		wire[n++] = (remote_memory_stat){ TAG_ACTUAL_BALLOON, stats->balloon_kib };
	if (supervisor_rss(q->dom->daemon, q->dom->uuid_text, &rss))
		wire[n++] = (remote_memory_stat){ TAG_RSS, rss };
	call_reply(q->call, &(remote_memory_stats_ret){ .stats = { MIN(n, q->max), wire } });
}

static void memory_stats(struct call *call, const void *argp)
{
	const remote_dom_uint_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom && api_flags(call, args->flags, 0))
		query_stats(call, dom, NULL, args->num, on_memory_stats);
}

/* ---- vCPUs ---- */

static void on_vcpus(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	const worker_stats_ret *stats = data;
	g_autofree remote_vcpu_info *info = NULL;
	g_autofree uint8_t *maps = NULL;
	unsigned n;
	pid_t pid;

	if (error) {
		call_fail(q->call, error);
		return;
	}
	n = MIN(stats->vcpus.vcpus_len, q->max);
	info = g_new0(remote_vcpu_info, n + 1);
	maps = g_malloc0((gsize)n * q->maplen + 1);
	pid = supervisor_pid(q->dom->daemon, q->dom->uuid_text);
	for (unsigned i = 0; i < n; i++) {
		info[i] = (remote_vcpu_info){ i, stats->vcpus.vcpus_val[i].state,
					      stats->vcpus.vcpus_val[i].time_ns,
					      threads_last_cpu(pid, i) };
		if (q->maplen && q->dom->live)
			api_pin_map(q->dom->live, tune_vcpu_pin(&q->dom->live->tune, i),
				    maps + (gsize)i * q->maplen, q->maplen);
	}
	call_reply(q->call, &(remote_get_vcpus_ret){ .info = { n, info },
						     .cpumaps = { n * q->maplen, (char *)maps } });
}

static void get_vcpus(struct call *call, const void *argp)
{
	const remote_get_vcpus_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct query *q;

	if (!dom)
		return;
	q = g_new0(struct query, 1);
	q->call = call, q->dom = dom;
	q->max = (unsigned)CLAMP(args->maxinfo, 0, REMOTE_VCPUS_MAX);
	q->maplen = (unsigned)CLAMP(args->maplen, 0, REMOTE_CPUMAP_MAX);
	link_stats(dom->link, on_vcpus, q);
}

#define CPU_PARAMS 3

static void on_cpu_stats(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	const worker_stats_ret *stats = data;
	g_autoptr(GArray) params = params_new();

	if (error) {
		call_fail(q->call, error);
		return;
	}
	params_uhyper(params, stats->cpu_ns, "cpu_time");
	params_uhyper(params, stats->user_ns, "user_time");
	params_uhyper(params, stats->system_ns, "system_time");
	call_reply(q->call, &(remote_params_ret){
		.params = { MIN(params->len, q->max), (remote_param *)(void *)params->data },
		.nparams = CPU_PARAMS });
}

/* In total.  How much of it was on which of the host's CPUs nobody counts: of those there are 0. */
static void cpu_stats(struct call *call, const void *argp)
{
	const remote_cpu_stats_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	g_autoptr(node_topology) topo = NULL;

	if (!dom || !api_flags(call, args->flags, PARAM_STRINGS))
		return;
	topo = node_topology_read();
	if (args->ncpus == 0)
		call_reply(call, &(remote_params_ret){ .nparams = (int)topo->cpus->len });
	else if (args->start_cpu != -1)
		call_reply(call, &(remote_params_ret){ 0 });
	else if (args->nparams == 0)
		call_reply(call, &(remote_params_ret){ .nparams = CPU_PARAMS });
	else
		query_stats(call, dom, NULL, args->nparams, on_cpu_stats);
}

/* ---- disks ---- */

static const struct disk_def *disk_find(const domain_def *def, const char *path)
{
	for (unsigned i = 0; def && i < def->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(def->disks, i);

		if (g_strcmp0(d->target, path) == 0 || g_strcmp0(d->path, path) == 0)
			return d;
	}
	return NULL;
}

static const worker_block_stats *block_find(const worker_stats_ret *stats, const char *target)
{
	for (unsigned i = 0; i < stats->blocks.blocks_len; i++)
		if (g_strcmp0(stats->blocks.blocks_val[i].target, target) == 0)
			return &stats->blocks.blocks_val[i];
	return NULL;
}

/* No name: all disks together. */
static bool block_sum(const struct query *q, const worker_stats_ret *stats, worker_block_stats *ret,
		      GError **error)
{
	const struct disk_def *d = q->device ? disk_find(q->dom->live, q->device) : NULL;
	const worker_block_stats *one = d ? block_find(stats, d->target) : NULL;

	*ret = (worker_block_stats){ 0 };
	if (q->device && !one)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: domain '%s' has no disk '%s'", q->dom->name,
				 q->device);
	for (unsigned i = 0; i < stats->blocks.blocks_len; i++) {
		const worker_block_stats *b = &stats->blocks.blocks_val[i];

		if (one && b != one)
			continue;
		ret->rd_reqs += b->rd_reqs, ret->rd_bytes += b->rd_bytes, ret->rd_ns += b->rd_ns;
		ret->wr_reqs += b->wr_reqs, ret->wr_bytes += b->wr_bytes, ret->wr_ns += b->wr_ns;
		ret->fl_reqs += b->fl_reqs, ret->fl_ns += b->fl_ns, ret->errs += b->errs;
	}
	return true;
}

static void on_block_stats(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	g_autoptr(GError) own = NULL;
	worker_block_stats b;

	if (error || !block_sum(q, data, &b, &own))
		call_fail(q->call, error ?: own);
	else
		call_reply(q->call, &(remote_block_stats_ret){ b.rd_reqs, b.rd_bytes, b.wr_reqs,
							       b.wr_bytes, b.errs });
}

static const char *device_or_all(const char *path)
{
	return *path ? path : NULL;
}

static void block_stats(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom)
		query_stats(call, dom, device_or_all(args->text), 0, on_block_stats);
}

#define BLOCK_PARAMS 9

static void on_block_stats_flags(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	g_autoptr(GError) own = NULL;
	worker_block_stats b;

	if (error || !block_sum(q, data, &b, &own)) {
		call_fail(q->call, error ?: own);
		return;
	}
	const struct {
		const char *name;
		int64_t value;
	} values[BLOCK_PARAMS] = {
		{ "rd_operations", b.rd_reqs },
		{ "rd_bytes", b.rd_bytes },
		{ "rd_total_times", b.rd_ns },
		{ "wr_operations", b.wr_reqs },
		{ "wr_bytes", b.wr_bytes },
		{ "wr_total_times", b.wr_ns },
		{ "flush_operations", b.fl_reqs },
		{ "flush_total_times", b.fl_ns },
		{ "errs", b.errs },
	};
	remote_param wire[BLOCK_PARAMS];
	unsigned n = MIN((unsigned)BLOCK_PARAMS, q->max);

	for (unsigned i = 0; i < n; i++)
		wire[i] = (remote_param){ (char *)values[i].name,
					  { .type = 3, .remote_value_u.l = values[i].value } };
	call_reply(q->call, &(remote_params_ret){ .params = { n, wire }, .nparams = (int)n });
}

static void block_stats_flags(struct call *call, const void *argp)
{
	const remote_dom_text_int_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (!dom || !api_flags(call, args->flags, 4))
		return;
	if (args->num <= 0)
		call_reply(call, &(remote_params_ret){ .nparams = BLOCK_PARAMS });
	else
		query_stats(call, dom, device_or_all(args->text), (unsigned)args->num,
			    on_block_stats_flags);
}

static void block_info(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	const struct disk_def *d = dom ? disk_find(domain_def_now(dom), args->text) : NULL;
	g_autoptr(GError) error = NULL;
	struct image_size size;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (!d)
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: domain '%s' has no disk '%s'", dom->name, args->text);
	if (error || !image_size(d, &size, &error))
		call_fail(call, error);
	else
		call_reply(call, &(remote_block_info_ret){ size.allocation, size.capacity,
							   size.physical });
}

/* libvirt's numbers. */
enum disk_error { DISK_ERROR_UNSPECIFIED = 1, DISK_ERROR_NO_SPACE = 2 };

static void on_disk_errors(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	const worker_stats_ret *stats = data;
	remote_disk_error wire[WORKER_DEVICES_MAX];
	unsigned n = 0;

	if (error) {
		call_fail(q->call, error);
		return;
	}
	for (unsigned i = 0; i < stats->blocks.blocks_len && n < q->max; i++) {
		const worker_block_stats *b = &stats->blocks.blocks_val[i];
		bool full = b->waiting_error == ENOSPC || b->waiting_error == EDQUOT;

		if (b->waiting_error)
			wire[n++] = (remote_disk_error){ b->target, full ? DISK_ERROR_NO_SPACE :
								   DISK_ERROR_UNSPECIFIED };
	}
	call_reply(q->call, &(remote_disk_errors_ret){ .errors = { n, wire }, .nerrors = (int)n });
}

/* Asked for 0, it tells how many there could be. */
static void disk_errors(struct call *call, const void *argp)
{
	const remote_dom_uint_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (args->num == 0)
		call_reply(call,
			   &(remote_disk_errors_ret){ .nerrors = (int)dom->live->disks->len });
	else
		query_stats(call, dom, NULL, args->num, on_disk_errors);
}

/* ---- interfaces ---- */

static bool iface_is(const struct iface_def *iface, const char *device)
{
	g_autofree char *mac =
		g_strdup_printf("%02x:%02x:%02x:%02x:%02x:%02x", iface->mac[0], iface->mac[1],
				iface->mac[2], iface->mac[3], iface->mac[4], iface->mac[5]);

	return g_strcmp0(iface->target, device) == 0 || g_strcmp0(iface->alias, device) == 0 ||
	       g_ascii_strcasecmp(mac, device) == 0;
}

/* The worker's list is in the definition's order. */
static const worker_net_stats *net_find(const struct query *q, const worker_stats_ret *stats)
{
	const GPtrArray *ifaces = q->dom->live ? q->dom->live->ifaces : NULL;

	for (unsigned i = 0; ifaces && i < ifaces->len && i < stats->nets.nets_len; i++)
		if (iface_is(g_ptr_array_index(ifaces, i), q->device))
			return &stats->nets.nets_val[i];
	return NULL;
}

static void on_net_stats(const void *data, const GError *error, void *opaque)
{
	g_autoptr(query) q = opaque;
	const worker_net_stats *n = error ? NULL : net_find(q, data);

	if (error)
		call_fail(q->call, error);
	else if (!n)
		call_fail_text(q->call, VMM_ERR_INVALID_ARG,
			       "invalid argument: domain '%s' has no interface '%s'", q->dom->name,
			       q->device);
	else
		call_reply(q->call, &(remote_interface_stats_ret){
			n->rx_bytes, n->rx_packets, n->rx_errs, n->rx_drop,
			n->tx_bytes, n->tx_packets, n->tx_errs, n->tx_drop });
}

static void interface_stats(struct call *call, const void *argp)
{
	const remote_dom_text_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom)
		query_stats(call, dom, args->text, 0, on_net_stats);
}

/* What virtio cards are not limited to; tap's are the host's matter. */
static void interface_limits(struct call *call, const void *argp)
{
	static const char *const names[] = {
		"inbound.average", "inbound.peak", "inbound.burst", "inbound.floor",
		"outbound.average", "outbound.peak", "outbound.burst",
	};
	const remote_dom_text_int_flags_args *args = argp;
	const domain_def *def = api_def_of(call, &args->dom, args->flags, PARAM_STRINGS);
	g_autoptr(GArray) params = NULL;
	bool found = false;
	unsigned n;

	if (!def)
		return;
	for (unsigned i = 0; i < def->ifaces->len; i++)
		found |= iface_is(g_ptr_array_index(def->ifaces, i), args->text);
	if (!found) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: domain '%s' has no interface '%s'", def->name,
			       args->text);
		return;
	}
	params = params_new();
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		params_uint(params, 0, "%s", names[i]);
	n = MIN(params->len, (unsigned)MAX(args->num, 0));
	call_reply(call, &(remote_params_ret){
		.params = { n, (remote_param *)(void *)params->data },
		.nparams = (int)(n ?: params->len) });
}

const struct api_entry api_stats[] = {
	{ REMOTE_PROC_DOMAIN_GET_CPU_STATS, cpu_stats },
	{ REMOTE_PROC_DOMAIN_GET_INTERFACE_PARAMETERS, interface_limits },
	{ REMOTE_PROC_DOMAIN_MEMORY_STATS, memory_stats },
	{ REMOTE_PROC_DOMAIN_GET_VCPUS, get_vcpus },
	{ REMOTE_PROC_DOMAIN_BLOCK_STATS, block_stats },
	{ REMOTE_PROC_DOMAIN_BLOCK_STATS_FLAGS, block_stats_flags },
	{ REMOTE_PROC_DOMAIN_GET_BLOCK_INFO, block_info },
	{ REMOTE_PROC_DOMAIN_GET_DISK_ERRORS, disk_errors },
	{ REMOTE_PROC_DOMAIN_INTERFACE_STATS, interface_stats },
	{ 0 }
};
