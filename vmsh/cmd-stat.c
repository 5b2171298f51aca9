/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on a domain's memory, processors and counters. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>

#include "vmsh/counters.h"
#include "vmsh/fleet.h"
#include "vmsh/json.h"
#include "vmsh/metrics.h"
#include "vmsh/options.h"
#include "vmsh/param.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"

#define MEMORY_STATS_MAX 32

static bool cmd_dommemstat(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	struct vmm_memory_stat stats[MEMORY_STATS_MAX];
	struct counter counters[MEMORY_STATS_MAX];
	unsigned known = 0;
	int n;

	if (!dom)
		return false;
	if (args_given(args, "period"))
		return vmm_domain_set_memory_stats_period(dom, args_number(args, "period", 0),
							  args_affect(args), error);
	n = vmm_domain_memory_stats(dom, stats, MEMORY_STATS_MAX, error);
	if (n < 0) {
		fleet_advise(dom, error);
		return false;
	}
	for (int i = 0; i < n; i++) {
		if (vmm_memory_stat_name(stats[i].tag))
			counters[known++] = (struct counter){ vmm_memory_stat_name(stats[i].tag),
							      stats[i].value };
	}
	counters_print(args, NULL, counters, known);
	return true;
}

/* ---- domstats ---- */

static void print_param(const struct vmm_param *p)
{
	g_autofree char *text = param_text(p);
	g_autofree char *harmless = text ? text_harmless(text) : NULL;

	if (text)
		printf("  %s=%s\n", p->name, harmless);
}

static void json_stats(struct json *j, const struct vmm_domain_stats *s)
{
	json_begin_object(j, NULL);
	json_string(j, "domain", vmm_domain_name(s->domain));
	json_string(j, "uuid", vmm_domain_uuid(s->domain));
	for (size_t i = 0; i < s->n_params; i++)
		json_param(j, &s->params[i]);
	json_end(j);
}

static void print_stats(const struct vmm_domain_stats *s)
{
	printf("Domain: '%s'\n", vmm_domain_name(s->domain));
	for (size_t i = 0; i < s->n_params; i++)
		print_param(&s->params[i]);
	printf("\n");
}

static unsigned stats_flags(const struct command_args *args)
{
	static const struct {
		const char *option;
		unsigned flag;
	} groups[] = {
		{ "state", VMM_STATS_STATE },	{ "cpu-total", VMM_STATS_CPU },
		{ "balloon", VMM_STATS_BALLOON }, { "vcpu", VMM_STATS_VCPU },
		{ "interface", VMM_STATS_INTERFACE }, { "block", VMM_STATS_BLOCK },
	};
	unsigned flags = 0;

	for (unsigned i = 0; i < G_N_ELEMENTS(groups); i++)
		flags |= args_given(args, groups[i].option) ? groups[i].flag : 0;
	return flags;
}

static bool cmd_domstats(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	unsigned list = (args_given(args, "list-active") ? VMM_LIST_ACTIVE : 0) |
			(args_given(args, "list-inactive") ? VMM_LIST_INACTIVE : 0);
	g_autoptr(GPtrArray) all =
		conn ? vmm_domain_stats_all(conn, stats_flags(args), list, error) : NULL;
	bool named = all && fleet_filter(sh, args, all);
	g_autofree char *text = NULL;
	struct json *j;

	if (!named && (!all || all->len == 0))
		return false;
	j = json_new();
	json_begin_array(j, NULL);
	for (unsigned i = 0; i < all->len; i++) {
		if (args_json(args))
			json_stats(j, all->pdata[i]);
		else
			print_stats(all->pdata[i]);
	}
	json_end(j);
	text = json_finish(j);
	if (args_json(args))
		fputs(text, stdout);
	return named;
}

/* ---- memory and processors ---- */

static bool setmem_one(struct shell *sh, vmm_domain *dom, void *opaque, GError **error)
{
	struct command_args *args = opaque;

	return vmm_domain_set_memory(dom, args_size(args, "size", 1024, 0) / 1024,
				     args_affect(args), error);
}

static bool cmd_setmem(struct shell *sh, struct command_args *args, GError **error)
{
	uint64_t bytes = args_size(args, "size", 1024, 0);
	g_autofree char *shown = size_text(bytes);
	g_autofree char *done = g_strdup_printf("asked to use %s", shown);
	const struct fleet_job job = { "setting memory of", done, setmem_one, args };

	if (bytes < 1024 || bytes == G_MAXUINT64)
		return usage_error(error, "setmem: no domain can use '%s'",
				   args_text(args, "size"));
	return fleet_run(sh, args, 0, &job, error);
}

static const struct column columns_vcpus[] = {
	{ "What", "what", 0 }, { "Of", "of", 0 }, { "CPUs", "vcpus", COLUMN_RIGHT }, { 0 },
};

static bool cmd_vcpucount(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned flags = args_affect(args) | (args_given(args, "maximum") ? VMM_VCPU_MAXIMUM : 0);
	g_autoptr(table) t = table_new(columns_vcpus);
	int n;

	if (!dom)
		return false;
	if (flags || args_given(args, "current") || args_given(args, "active")) {
		n = vmm_domain_vcpu_count(dom, flags, error);
		if (n < 0) {
			fleet_advise(dom, error);
			return false;
		}
		if (!args_json(args))
			printf("%d\n", n);
		else
			printf("{\n  \"vcpus\": %d\n}\n", n);
		return true;
	}
	for (unsigned i = 0; i < 4; i++) {
		bool maximum = i < 2, live = i % 2;

		n = vmm_domain_vcpu_count(dom, (live ? VMM_AFFECT_LIVE : VMM_AFFECT_CONFIG) |
					       (maximum ? VMM_VCPU_MAXIMUM : 0), NULL);
		if (n < 0)
			continue;
		table_text(t, maximum ? "maximum" : "current");
		table_text(t, live ? "live" : "config");
		table_number(t, n, NULL);
	}
	shell_print_table(sh, args, t);
	return true;
}

static const struct option_def options_dommemstat[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "period", .kind = OPT_NUMBER, .value = "SECONDS",
	  .help = "let the guest report this often; 0: never" },
	OPTIONS_AFFECT,
	{ 0 },
};
static const struct option_def options_domstats[] = {
	{ .name = "domain", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .complete = COMPLETE_DOMAIN, .value = "DOMAIN", .help = "only these names or globs" },
	OPTION_FLAG("state", "state and reason"),
	OPTION_FLAG("cpu-total", "processor time"),
	OPTION_FLAG("balloon", "memory"),
	OPTION_FLAG("vcpu", "virtual processors"),
	OPTION_FLAG("interface", "network interfaces"),
	OPTION_FLAG("block", "disks"),
	OPTION_FLAG("list-active", "only domains that run"),
	OPTION_FLAG("list-inactive", "only domains that are off"),
	{ 0 },
};
static const struct option_def options_setmem[] = {
	OPTION_DOMAINS(DOMAIN),
	{ .name = "size", .kind = OPT_SIZE, .flags = OPT_POSITION | OPT_REQUIRED, .value = "SIZE",
	  .help = "in KiB, or with a suffix: 512M" },
	OPTIONS_AFFECT,
	{ 0 },
};
static const struct option_def options_vcpucount[] = {
	OPTION_DOMAIN(DOMAIN),
	OPTION_FLAG("maximum", "how many there can be"),
	OPTION_FLAG("active", "how many there are"),
	OPTIONS_AFFECT,
	{ 0 },
};

#define GROUP "Devices and statistics"

static const struct option_def options_metrics[] = {
	OPTION_FLAG("prometheus", "as Prometheus' own text format, which came before OpenMetrics"),
	{ 0 },
};

const struct command commands_stat[] = {
	{ "dommemstat", GROUP, "show a domain's memory statistics", options_dommemstat,
	  COMMAND_JSON, cmd_dommemstat },
	{ "domstats", GROUP, "show all counters of domains", options_domstats, COMMAND_JSON,
	  cmd_domstats },
	{ "metrics", GROUP, "print all counters as OpenMetrics text", options_metrics, 0,
	  cmd_metrics, "The same as vmmd(8) can serve by HTTP. For a Prometheus that reads files: "
	  "vmsh metrics --prometheus > FILE, again and again." },
	{ "setmem", GROUP, "give memory to domains or take it back", options_setmem, 0,
	  cmd_setmem },
	{ "vcpucount", GROUP, "show how many processors a domain has", options_vcpucount,
	  COMMAND_JSON, cmd_vcpucount },
	{ 0 },
};
