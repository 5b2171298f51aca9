/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What "top" shows of each domain: counters of two moments become rates. */
#include "config.h"
#include "vmsh/top-sample.h"

#include <string.h>

struct top_sample {
	GArray *rows;		/* of struct top_row */
	GHashTable *places;	/* uuid -> 1 + index */
	gint64 at_us;
};

static void row_clear(void *row)
{
	vmm_domain_unref(((struct top_row *)row)->dom);
}

void top_sample_free(struct top_sample *s)
{
	if (!s)
		return;
	g_hash_table_unref(s->places);
	g_array_unref(s->rows);
	g_free(s);
}

/* "block.N.rd.bytes" of all N. */
static uint64_t sum_devices(const struct vmm_domain_stats *d, const char *class, const char *what)
{
	g_autofree char *count = g_strdup_printf("%s.count", class);
	uint64_t n = vmm_domain_stats_number(d, count, 0), sum = 0;

	for (unsigned i = 0; i < n; i++) {
		g_autofree char *name = g_strdup_printf("%s.%u.%s", class, i, what);

		sum += vmm_domain_stats_number(d, name, 0);
	}
	return sum;
}

static double rate(uint64_t now, uint64_t before, double seconds)
{
	return now > before && seconds > 0 ? (double)(now - before) / seconds : 0;
}

static void row_fill(struct top_row *r, const struct vmm_domain_stats *d,
		     const struct top_row *old, double seconds)
{
	*r = (struct top_row){
		.dom = vmm_domain_ref(d->domain),
		.state = (int)vmm_domain_stats_number(d, "state.state", VMM_STATE_NONE),
		.vcpus = (unsigned)vmm_domain_stats_number(d, "vcpu.current", 0),
		.memory_bytes = vmm_domain_stats_number(d, "balloon.current", 0) * 1024,
		.uptime_s = vmm_domain_stats_number(d, "vmm.uptime", 0),
		.cpu_ns = vmm_domain_stats_number(d, "cpu.time", 0),
		.read_bytes = sum_devices(d, "block", "rd.bytes"),
		.write_bytes = sum_devices(d, "block", "wr.bytes"),
		.rx_bytes = sum_devices(d, "net", "rx.bytes"),
		.tx_bytes = sum_devices(d, "net", "tx.bytes"),
	};
	/* it has been started meanwhile, or was being started and told nothing yet */
	if (!old || !old->cpu_ns || vmm_domain_id(old->dom) != vmm_domain_id(r->dom))
		return;
	r->cpu_percent = rate(r->cpu_ns, old->cpu_ns, seconds) / 1e7;
	r->read_rate = rate(r->read_bytes, old->read_bytes, seconds);
	r->write_rate = rate(r->write_bytes, old->write_bytes, seconds);
	r->rx_rate = rate(r->rx_bytes, old->rx_bytes, seconds);
	r->tx_rate = rate(r->tx_bytes, old->tx_bytes, seconds);
}

static void note_places(struct top_sample *s)
{
	g_hash_table_remove_all(s->places);
	for (unsigned i = 0; i < s->rows->len; i++)
		g_hash_table_insert(s->places,
				    (char *)vmm_domain_uuid(top_sample_row(s, i)->dom),
				    GUINT_TO_POINTER(i + 1));
}

struct top_sample *top_sample_new(vmm_connect *conn, const struct top_sample *before, bool all,
				  GError **error)
{
	g_autoptr(GPtrArray) stats =
		vmm_domain_stats_all(conn, 0, all ? 0 : VMM_LIST_ACTIVE, error);
	struct top_sample *s;
	double seconds;

	if (!stats)
		return NULL;
	s = g_new0(struct top_sample, 1);
	s->at_us = g_get_monotonic_time();
	s->rows = g_array_sized_new(FALSE, TRUE, sizeof(struct top_row), stats->len);
	g_array_set_clear_func(s->rows, row_clear);
	g_array_set_size(s->rows, stats->len);
	s->places = g_hash_table_new(g_str_hash, g_str_equal);
	seconds = before ? (double)(s->at_us - before->at_us) / 1e6 : 0;
	for (unsigned i = 0; i < stats->len; i++) {
		const struct vmm_domain_stats *d = stats->pdata[i];
		int at = before ? top_sample_find(before, vmm_domain_uuid(d->domain)) : -1;

		row_fill(&g_array_index(s->rows, struct top_row, i), d,
			 at < 0 ? NULL : top_sample_row(before, (unsigned)at), seconds);
	}
	note_places(s);
	return s;
}

/* ---- order ---- */

struct order {
	enum top_sort by;
	bool reverse;
};

static double weight(const struct top_row *r, enum top_sort by)
{
	switch (by) {
	case SORT_STATE:
		return -r->state;	/* running first */
	case SORT_CPU:
		return r->cpu_percent;
	case SORT_MEMORY:
		return (double)r->memory_bytes;
	case SORT_DISK:
		return r->read_rate + r->write_rate;
	case SORT_NET:
		return r->rx_rate + r->tx_rate;
	default:
		return 0;
	}
}

/* The heaviest first, equals by name: so rows do not dance. */
static int compare(const void *a, const void *b, void *opaque)
{
	const struct top_row *x = a, *y = b;
	const struct order *order = opaque;
	double wx = weight(x, order->by), wy = weight(y, order->by);
	int names = strcmp(vmm_domain_name(x->dom), vmm_domain_name(y->dom));
	int r = wx > wy ? -1 : wx < wy ? 1 : order->by == SORT_NAME ? names : 0;

	if (order->reverse)
		r = -r;
	return r ? r : names;
}

void top_sample_sort(struct top_sample *s, enum top_sort by, bool reverse)
{
	struct order order = { by, reverse };

	g_array_sort_with_data(s->rows, compare, &order);
	note_places(s);
}

unsigned top_sample_count(const struct top_sample *s)
{
	return s->rows->len;
}

unsigned top_sample_running(const struct top_sample *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->rows->len; i++)
		n += vmm_domain_id(top_sample_row(s, i)->dom) >= 0;
	return n;
}

const struct top_row *top_sample_row(const struct top_sample *s, unsigned i)
{
	return &g_array_index(s->rows, struct top_row, i);
}

int top_sample_find(const struct top_sample *s, const char *uuid)
{
	return GPOINTER_TO_INT(g_hash_table_lookup(s->places, uuid)) - 1;
}

struct top_row top_sample_sum(const struct top_sample *s)
{
	struct top_row sum = { 0 };

	for (unsigned i = 0; i < s->rows->len; i++) {
		const struct top_row *r = top_sample_row(s, i);

		if (vmm_domain_id(r->dom) >= 0)
			sum.memory_bytes += r->memory_bytes;
		sum.cpu_percent += r->cpu_percent;
		sum.read_rate += r->read_rate;
		sum.write_rate += r->write_rate;
		sum.rx_rate += r->rx_rate;
		sum.tx_rate += r->tx_rate;
	}
	return sum;
}
