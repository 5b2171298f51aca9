/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "metrics": the fleet's counters as OpenMetrics text, for Prometheus by way of
 * a textfile collector.  Each family is a row of a table: which statistic, of
 * the domain or of each of its devices, in which unit.
 */
#include "config.h"
#include "vmsh/metrics.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/shell.h"

struct family {
	const char *name;		/* without the "_total" of a counter */
	bool counter;
	const char *help;
	const char *statistic;		/* domstats' name; of a device: behind its number */
	const char *devices;		/* "block", "net"; NULL: the domain's own */
	double scale;
};

static const struct family families[] = {
	{ "vmm_domain_state", false, "State: 1 running, 3 paused, 5 off, 6 crashed.",
	  "state.state", NULL, 1 },
	{ "vmm_domain_uptime_seconds", false, "Since it was started.", "vmm.uptime", NULL, 1 },
	{ "vmm_domain_cpu_seconds", true, "Processor time of the worker.", "cpu.time", NULL, 1e-9 },
	{ "vmm_domain_vcpus", false, "Virtual processors.", "vcpu.current", NULL, 1 },
	{ "vmm_domain_memory_bytes", false, "Memory that the guest may use.", "balloon.current",
	  NULL, 1024 },
	{ "vmm_domain_memory_max_bytes", false, "Memory that it could be given.",
	  "balloon.maximum", NULL, 1024 },
	{ "vmm_domain_disk_reads", true, "Requests.", "rd.reqs", "block", 1 },
	{ "vmm_domain_disk_read_bytes", true, "Bytes.", "rd.bytes", "block", 1 },
	{ "vmm_domain_disk_writes", true, "Requests.", "wr.reqs", "block", 1 },
	{ "vmm_domain_disk_written_bytes", true, "Bytes.", "wr.bytes", "block", 1 },
	{ "vmm_domain_disk_allocation_bytes", false, "Of the image's file.", "allocation", "block",
	  1 },
	{ "vmm_domain_network_receive_bytes", true, "To the guest.", "rx.bytes", "net", 1 },
	{ "vmm_domain_network_receive_packets", true, "To the guest.", "rx.pkts", "net", 1 },
	{ "vmm_domain_network_transmit_bytes", true, "From the guest.", "tx.bytes", "net", 1 },
	{ "vmm_domain_network_transmit_packets", true, "From the guest.", "tx.pkts", "net", 1 },
};

#define NOT_KNOWN G_MAXUINT64

static char *label(const char *value)
{
	GString *s = g_string_new(NULL);

	for (; value && *value; value++) {
		if (*value == '\n')
			g_string_append(s, "\\n");
		else if (strchr("\\\"", *value))
			g_string_append_printf(s, "\\%c", *value);
		else
			g_string_append_c(s, *value);
	}
	return g_string_free(s, FALSE);
}

static void print_sample(const struct family *f, const char *domain, const char *device, uint64_t n)
{
	char value[G_ASCII_DTOSTR_BUF_SIZE];
	g_autofree char *name = label(domain), *which = label(device);

	if (n == NOT_KNOWN)
		return;
	if (f->scale < 1)
		g_ascii_formatd(value, sizeof(value), "%.9f", (double)n * f->scale);
	else
		g_snprintf(value, sizeof(value), "%" G_GUINT64_FORMAT, n * (uint64_t)f->scale);
	printf("%s%s{domain=\"%s\"", f->name, f->counter ? "_total" : "", name);
	if (device)
		printf(",%s=\"%s\"", g_str_equal(f->devices, "net") ? "card" : "disk", which);
	printf("} %s\n", value);
}

static void print_devices(const struct family *f, const struct vmm_domain_stats *d)
{
	g_autofree char *count = g_strdup_printf("%s.count", f->devices);
	uint64_t n = vmm_domain_stats_number(d, count, 0);

	for (unsigned i = 0; i < n; i++) {
		g_autofree char *name = g_strdup_printf("%s.%u.name", f->devices, i);
		g_autofree char *what =
			g_strdup_printf("%s.%u.%s", f->devices, i, f->statistic);
		const struct vmm_param *p = vmm_domain_stats_find(d, name);

		print_sample(f, vmm_domain_name(d->domain),
			     p && p->type == VMM_PARAM_STRING ? p->value.s : "",
			     vmm_domain_stats_number(d, what, NOT_KNOWN));
	}
}

bool cmd_metrics(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) all = conn ? vmm_domain_stats_all(conn, 0, 0, error) : NULL;

	if (!all)
		return false;
	for (unsigned i = 0; i < G_N_ELEMENTS(families); i++) {
		const struct family *f = &families[i];

		printf("# TYPE %s %s\n# HELP %s %s\n", f->name, f->counter ? "counter" : "gauge",
		       f->name, f->help);
		for (unsigned k = 0; k < all->len; k++) {
			const struct vmm_domain_stats *d = all->pdata[k];

			if (f->devices)
				print_devices(f, d);
			else
				print_sample(f, vmm_domain_name(d->domain), NULL,
					     vmm_domain_stats_number(d, f->statistic, NOT_KNOWN));
		}
	}
	printf("# EOF\n");
	return true;
}
