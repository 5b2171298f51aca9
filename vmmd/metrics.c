/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each family is a row of a table: which statistic, of the domain or of each device, which unit. */
#include "config.h"
#include "vmmd/metrics.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/bulk.h"
#include "vmmd/params.h"

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
	{ "vmm_domain_boot_seconds", false, "From the start's beginning to running processors.",
	  "vmm.boot_ms", NULL, 1e-3 },
	{ "vmm_domain_cpu_seconds", true, "Processor time of the worker.", "cpu.time", NULL, 1e-9 },
	{ "vmm_domain_vcpus", false, "Virtual processors.", "vcpu.current", NULL, 1 },
	{ "vmm_domain_memory_bytes", false, "Memory that the guest may use.", "balloon.current",
	  NULL, 1024 },
	{ "vmm_domain_memory_max_bytes", false, "Memory that it could be given.",
	  "balloon.maximum", NULL, 1024 },
	{ "vmm_domain_resident_bytes", false, "Memory of the host that its worker has.",
	  "balloon.rss", NULL, 1024 },
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

/* What one domain has, by its names: each is looked for more than once. */
struct subject {
	const char *name;
	GHashTable *params;		/* name -> const remote_param */
};

static void subject_init(struct subject *s, const struct bulk_record *record)
{
	*s = (struct subject){ record->ref.name, g_hash_table_new(g_str_hash, g_str_equal) };
	for (unsigned i = 0; i < record->params->len; i++) {
		remote_param *p = &g_array_index(record->params, remote_param, i);

		g_hash_table_insert(s->params, p->field, p);
	}
}

static void subject_clear(void *p)
{
	g_hash_table_unref(((struct subject *)p)->params);
}

static bool number(const struct subject *s, const char *name, uint64_t *ret)
{
	const remote_param *p = g_hash_table_lookup(s->params, name);

	return p && param_number(p, ret, NULL);
}

/* What both formats want escaped in a label. */
static void add_label(GString *text, const char *name, const char *value)
{
	g_string_append_printf(text, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			g_string_append(text, "\\n");
		else if (strchr("\\\"", *value))
			g_string_append_printf(text, "\\%c", *value);
		else
			g_string_append_c(text, *value);
	}
	g_string_append_c(text, '"');
}

static void add_value(GString *text, uint64_t n, double scale)
{
	char value[G_ASCII_DTOSTR_BUF_SIZE];

	if (scale < 1)
		g_ascii_formatd(value, sizeof(value), "%.9f", (double)n * scale);
	else
		g_snprintf(value, sizeof(value), "%" G_GUINT64_FORMAT, n * (uint64_t)scale);
	g_string_append_printf(text, "} %s\n", value);
}

static void add_sample(GString *text, const struct family *f, const struct subject *s,
		       const char *device, const char *statistic)
{
	uint64_t n;

	if (!number(s, statistic, &n))
		return;
	g_string_append_printf(text, "%s%s{", f->name, f->counter ? "_total" : "");
	add_label(text, "domain", s->name);
	if (device) {
		g_string_append_c(text, ',');
		add_label(text, g_str_equal(f->devices, "net") ? "card" : "disk", device);
	}
	add_value(text, n, f->scale);
}

static void add_devices(GString *text, const struct family *f, const struct subject *s)
{
	g_autofree char *count = g_strdup_printf("%s.count", f->devices);
	uint64_t n = 0;

	number(s, count, &n);
	for (unsigned i = 0; i < n; i++) {
		g_autofree char *name = g_strdup_printf("%s.%u.name", f->devices, i);
		g_autofree char *what = g_strdup_printf("%s.%u.%s", f->devices, i, f->statistic);
		const remote_param *p = g_hash_table_lookup(s->params, name);

		add_sample(text, f, s,
			   p && p->value.type == PARAM_TEXT ? p->value.remote_value_u.s : "", what);
	}
}

static void add_family(GString *text, const struct family *f, const GArray *subjects,
		       enum metrics_format format)
{
	const char *suffix = f->counter && format == METRICS_PROMETHEUS ? "_total" : "";

	g_string_append_printf(text, "# TYPE %s%s %s\n# HELP %s%s %s\n", f->name, suffix,
			       f->counter ? "counter" : "gauge", f->name, suffix, f->help);
	for (unsigned i = 0; i < subjects->len; i++) {
		const struct subject *s = &g_array_index(subjects, struct subject, i);

		if (f->devices)
			add_devices(text, f, s);
		else
			add_sample(text, f, s, NULL, f->statistic);
	}
}

GString *metrics_text(const GPtrArray *records, enum metrics_format format)
{
	g_autoptr(GArray) subjects = g_array_new(FALSE, FALSE, sizeof(struct subject));
	GString *text = g_string_new(NULL);

	g_array_set_clear_func(subjects, subject_clear);
	for (unsigned i = 0; i < records->len; i++) {
		struct subject s;

		subject_init(&s, records->pdata[i]);
		g_array_append_val(subjects, s);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(families); i++)
		add_family(text, &families[i], subjects, format);
	if (format == METRICS_OPENMETRICS)
		g_string_append(text, "# EOF\n");
	return text;
}

const char *metrics_content_type(enum metrics_format format)
{
	return format == METRICS_OPENMETRICS ?
		       "application/openmetrics-text; version=1.0.0; charset=utf-8" :
		       "text/plain; version=0.0.4; charset=utf-8";
}
