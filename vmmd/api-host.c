/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of the connection and of the host. */
#include "config.h"

#include "libvmm/host/caps.h"
#include "libvmm/host/node.h"
#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"

/* Features of CONNECT_SUPPORTS_FEATURE that we have; all others are answered 0. */
enum feature {
	FEATURE_TYPED_STRINGS = 9, FEATURE_KEEPALIVE = 10, FEATURE_XML_MIGRATABLE = 11,
	FEATURE_EVENT_IDS = 14, FEATURE_CLOSE_CALLBACK = 15, FEATURE_NETWORK_UPDATE_ORDER = 16,
};

/*
 * The second and third are libvirt's client's notes to itself (own daemon, may
 * start it), sent all the same.
 */
enum open_flags { OPEN_READ_ONLY = 1, OPEN_USER = 2, OPEN_AUTOSTART = 4, OPEN_KNOWN = 7 };

static void reply_int(struct call *call, int num)
{
	call_reply(call, &(remote_int_ret){ .num = num });
}

static void reply_text(struct call *call, const char *text)
{
	call_reply(call, &(remote_text_ret){ .text = (char *)text });
}

static void reply_hyper(struct call *call, uint64_t num)
{
	call_reply(call, &(remote_hyper_ret){ .num = num });
}

static void auth_list(struct call *call, const void *argp)
{
	int none = 0;

	call_reply(call, &(remote_auth_list_ret){ .types = { 1, &none } });
}

static void supports_feature(struct call *call, const void *argp)
{
	const remote_int_args *args = argp;

	switch (args->num) {
	case FEATURE_TYPED_STRINGS:
	case FEATURE_KEEPALIVE:
	case FEATURE_XML_MIGRATABLE:
	case FEATURE_EVENT_IDS:
	case FEATURE_CLOSE_CALLBACK:
	case FEATURE_NETWORK_UPDATE_ORDER:
		reply_int(call, 1);
		return;
	default:
		reply_int(call, 0);
	}
}

static const char *const schemes[] = { "vmm", "qemu" };

/*
 * "vmm:///system": the scheme says that we are meant, the path that we
 * are the one that is meant.
 */
static bool uri_is_ours(const struct daemon *daemon, const char *uri, GError **error)
{
	g_autofree char *scheme = g_uri_parse_scheme(uri);
	const char *plus = scheme ? strchr(scheme, '+') : NULL;
	size_t len = scheme ? plus ? (size_t)(plus - scheme) : strlen(scheme) : 0;

	for (unsigned i = 0; i < ARRAY_SIZE(schemes); i++)
		if (len == strlen(schemes[i]) && strncmp(scheme, schemes[i], len) == 0)
			return true;
	return error_set(error, VMM_ERR_INVALID_ARG,
			 "invalid argument: '%s' is not a connection to vmmd: use vmm:///%s", uri,
			 daemon->system_mode ? "system" : "session");
}

static void connect_open(struct call *call, const void *argp)
{
	const remote_open_args *args = argp;
	g_autofree char *ours =
		g_strdup_printf("vmm:///%s", call->daemon->system_mode ? "system" : "session");
	const char *uri = args->name && **args->name ? *args->name : ours;
	g_autoptr(GError) error = NULL;

	if (!api_flags(call, args->flags, OPEN_KNOWN))
		return;
	if (session_is_open(call->session)) {
		call_fail_text(call, VMM_ERR_INTERNAL,
			       "internal error: the connection is already open");
		return;
	}
	if (!uri_is_ours(call->daemon, uri, &error)) {
		call_fail(call, error);
		return;
	}
	session_open(call->session, uri, args->flags & OPEN_READ_ONLY);
	call_reply(call, NULL);
}

static void connect_close(struct call *call, const void *argp)
{
	struct session *s = call->session;

	call_reply(call, NULL);
	session_close(s);
}

static void get_type(struct call *call, const void *argp)
{
	reply_text(call, "VMM");
}

static uint64_t version_number(void)
{
	unsigned major = 0, minor = 0, micro = 0;

	sscanf(PACKAGE_VERSION, "%u.%u.%u", &major, &minor, &micro);
	return (uint64_t)major * 1000000 + minor * 1000 + micro;
}

static void get_version(struct call *call, const void *argp)
{
	reply_hyper(call, version_number());
}

static void get_hostname(struct call *call, const void *argp)
{
	g_autofree char *name = node_hostname();

	reply_text(call, name);
}

static void get_uri(struct call *call, const void *argp)
{
	reply_text(call, session_uri(call->session));
}

static void answer_one(struct call *call, const void *argp)
{
	reply_int(call, 1);
}

static void answer_nothing(struct call *call, const void *argp)
{
	call_reply(call, NULL);
}

static void get_sysinfo(struct call *call, const void *argp)
{
	const remote_flags_args *args = argp;
	g_autofree char *xml = NULL;

	if (!api_flags(call, args->flags, 0))
		return;
	xml = node_sysinfo_xml();
	reply_text(call, xml);
}

static void get_max_vcpus(struct call *call, const void *argp)
{
	const remote_opt_text_args *args = argp;

	if (args->text && g_ascii_strcasecmp(*args->text, "kvm") != 0)
		call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: unknown type '%s'",
			       *args->text);
	else
		reply_int(call, CAPS_VCPUS_MAX);
}

static void get_node_info(struct call *call, const void *argp)
{
	g_autoptr(node_topology) topo = node_topology_read();
	struct node_memory memory = { 0 };
	remote_node_info_ret ret = { .model = "x86_64" };

	node_memory_read(-1, &memory, NULL);
	ret.memory = memory.total_kib;
	ret.cpus = (int)node_cpus_online(topo);
	ret.mhz = (int)node_mhz();
	ret.nodes = (int)topo->cells->len;
	ret.sockets = (int)topo->sockets;
	ret.cores = (int)(topo->cores * MAX(topo->dies, 1u));
	ret.threads = (int)topo->threads;
	call_reply(call, &ret);
}

static void get_capabilities(struct call *call, const void *argp)
{
	g_autofree char *xml = caps_host_xml(call->daemon->worker_path);

	reply_text(call, xml);
}

static const char *opt(const remote_opt_text text)
{
	return text ? *text : NULL;
}

static void get_domain_capabilities(struct call *call, const void *argp)
{
	const remote_domain_capabilities_args *args = argp;
	g_autoptr(GError) error = NULL;
	g_autofree char *xml = NULL;

	if (!api_flags(call, args->flags, 0))
		return;
	xml = caps_domain_xml(call->daemon->worker_path, opt(args->arch), opt(args->machine),
			      opt(args->virttype), &error);
	if (xml)
		reply_text(call, xml);
	else
		call_fail(call, error);
}

static void get_free_memory(struct call *call, const void *argp)
{
	struct node_memory memory;
	g_autoptr(GError) error = NULL;

	if (node_memory_read(-1, &memory, &error))
		reply_hyper(call, memory.free_kib * 1024);
	else
		call_fail(call, error);
}

static void get_cells_free_memory(struct call *call, const void *argp)
{
	const remote_cells_args *args = argp;
	g_autoptr(node_topology) topo = node_topology_read();
	u_quad_t cells[NODE_CELLS_MAX];
	unsigned n = 0;

	if (args->startCell < 0 || args->maxcells <= 0 ||
	    (unsigned)args->startCell >= topo->cells->len) {
		call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: cells %d, %d of %u",
			       args->startCell, args->maxcells, topo->cells->len);
		return;
	}
	for (unsigned i = (unsigned)args->startCell;
	     i < topo->cells->len && n < (unsigned)args->maxcells; i++)
		cells[n++] = g_array_index(topo->cells, struct node_cell, i).free_kib * 1024;
	call_reply(call, &(remote_cells_ret){ .cells = { n, cells } });
}

/* Cell by cell, and in each page size by page size. */
static void get_free_pages(struct call *call, const void *argp)
{
	const remote_free_pages_args *args = argp;
	g_autoptr(node_topology) topo = node_topology_read();
	u_quad_t counts[REMOTE_CELLS_MAX];
	g_autoptr(GError) error = NULL;
	int64_t end = (int64_t)args->startCell + args->cellCount;
	unsigned n = 0, n_pages = args->pages.pages_len;

	if (!api_flags(call, args->flags, 0))
		return;
	if (args->startCell < -1 || !n_pages || end > (int64_t)topo->cells->len ||
	    (uint64_t)args->cellCount * n_pages > REMOTE_CELLS_MAX) {
		call_fail_text(call, VMM_ERR_INVALID_ARG,
			       "invalid argument: cells %d, %u of %u, %u sizes of pages",
			       args->startCell, args->cellCount, topo->cells->len, n_pages);
		return;
	}
	for (int64_t cell = args->startCell; cell < end; cell++)
		for (unsigned i = 0; i < n_pages; i++) {
			uint64_t count;

			if (!node_free_pages((int)cell, args->pages.pages_val[i], &count, &error)) {
				call_fail(call, error);
				return;
			}
			counts[n++] = count;
		}
	call_reply(call, &(remote_cells_ret){ .cells = { n, counts } });
}

/* Two-phase: asked for none, it tells how many there are. */
static void reply_node_stats(struct call *call, const remote_node_stat *stats, unsigned n,
			     int asked)
{
	remote_node_stats_ret ret = { .nparams = (int)n };

	if (asked > 0) {
		ret.params.params_len = MIN(n, (unsigned)asked);
		ret.params.params_val = (remote_node_stat *)stats;
		ret.nparams = (int)ret.params.params_len;
	}
	call_reply(call, &ret);
}

static void get_cpu_stats(struct call *call, const void *argp)
{
	const remote_node_stats_args *args = argp;
	struct node_cpu_times t = { 0 };
	g_autoptr(GError) error = NULL;

	if (!api_flags(call, args->flags, 0))
		return;
	if (!node_cpu_times_read(args->num, &t, &error)) {
		call_fail(call, error);
		return;
	}
	const remote_node_stat stats[] = {
		{ (char *)"kernel", t.kernel_ns }, { (char *)"user", t.user_ns },
		{ (char *)"idle", t.idle_ns },	   { (char *)"iowait", t.iowait_ns },
		{ (char *)"intr", t.intr_ns },
	};
	reply_node_stats(call, stats, ARRAY_SIZE(stats), args->nparams);
}

static void get_memory_stats(struct call *call, const void *argp)
{
	const remote_node_memory_stats_args *args = argp;
	struct node_memory m = { 0 };
	g_autoptr(GError) error = NULL;

	if (!api_flags(call, args->flags, 0))
		return;
	if (!node_memory_read(args->cellNum, &m, &error)) {
		call_fail(call, error);
		return;
	}
	const remote_node_stat stats[] = {
		{ (char *)"total", m.total_kib }, { (char *)"free", m.free_kib },
		{ (char *)"buffers", m.buffers_kib }, { (char *)"cached", m.cached_kib },
	};
	reply_node_stats(call, stats, ARRAY_SIZE(stats), args->nparams);
}

static void get_cpu_map(struct call *call, const void *argp)
{
	const remote_cpu_map_args *args = argp;
	g_autoptr(node_topology) topo = node_topology_read();
	char map[NODE_CPUS_MAX / 8] = "";
	remote_cpu_map_ret ret = { 0 };

	if (!api_flags(call, args->flags, 0))
		return;
	for (unsigned i = 0; i < topo->cpus->len; i++) {
		const struct node_cpu *cpu = g_ptr_array_index(topo->cpus, i);

		if (cpu->id >= NODE_CPUS_MAX)
			continue;
		ret.ret = MAX(ret.ret, (int)cpu->id + 1);
		if (cpu->online)
			map[cpu->id / 8] = (char)(map[cpu->id / 8] | 1 << cpu->id % 8);
	}
	if (args->need_map)
		ret.cpumap.cpumap_len = ((unsigned)ret.ret + 7) / 8, ret.cpumap.cpumap_val = map;
	if (args->need_online)
		ret.online = node_cpus_online(topo);
	call_reply(call, &ret);
}

static void get_security_model(struct call *call, const void *argp)
{
	call_reply(call, &(remote_security_model_ret){ 0 });
}

static void get_cpu_models(struct call *call, const void *argp)
{
	const remote_cpu_models_args *args = argp;

	if (api_flags(call, args->flags, 0))
		call_reply(call, &(remote_models_ret){ 0 });
}

const struct api_entry api_host[] = {
	{ REMOTE_PROC_AUTH_LIST, auth_list },
	{ REMOTE_PROC_AUTH_POLKIT, answer_one },
	{ REMOTE_PROC_CONNECT_SUPPORTS_FEATURE, supports_feature },
	{ REMOTE_PROC_CONNECT_OPEN, connect_open },
	{ REMOTE_PROC_CONNECT_CLOSE, connect_close },
	{ REMOTE_PROC_CONNECT_GET_TYPE, get_type },
	{ REMOTE_PROC_CONNECT_GET_VERSION, get_version },
	{ REMOTE_PROC_CONNECT_GET_LIB_VERSION, get_version },
	{ REMOTE_PROC_CONNECT_GET_HOSTNAME, get_hostname },
	{ REMOTE_PROC_CONNECT_GET_URI, get_uri },
	{ REMOTE_PROC_CONNECT_IS_SECURE, answer_one },
	{ REMOTE_PROC_CONNECT_GET_SYSINFO, get_sysinfo },
	{ REMOTE_PROC_CONNECT_REGISTER_CLOSE_CALLBACK, answer_nothing },
	{ REMOTE_PROC_CONNECT_UNREGISTER_CLOSE_CALLBACK, answer_nothing },
	{ REMOTE_PROC_CONNECT_GET_MAX_VCPUS, get_max_vcpus },
	{ REMOTE_PROC_NODE_GET_INFO, get_node_info },
	{ REMOTE_PROC_CONNECT_GET_CAPABILITIES, get_capabilities },
	{ REMOTE_PROC_CONNECT_GET_DOMAIN_CAPABILITIES, get_domain_capabilities },
	{ REMOTE_PROC_NODE_GET_FREE_MEMORY, get_free_memory },
	{ REMOTE_PROC_NODE_GET_CELLS_FREE_MEMORY, get_cells_free_memory },
	{ REMOTE_PROC_NODE_GET_FREE_PAGES, get_free_pages },
	{ REMOTE_PROC_NODE_GET_CPU_STATS, get_cpu_stats },
	{ REMOTE_PROC_NODE_GET_MEMORY_STATS, get_memory_stats },
	{ REMOTE_PROC_NODE_GET_CPU_MAP, get_cpu_map },
	{ REMOTE_PROC_NODE_GET_SECURITY_MODEL, get_security_model },
	{ REMOTE_PROC_CONNECT_GET_CPU_MODEL_NAMES, get_cpu_models },
	{ 0 }
};
