/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The tables of the fleet, and their rows. */
#include "config.h"
#include "vmsh/sql-priv.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "vmsh/domain-xml.h"

static uint64_t stat_number(const struct vmm_domain_stats *d, const char *name)
{
	return vmm_domain_stats_number(d, name, SQL_NOT_KNOWN);
}

/* "block.3.rd.bytes" */
static uint64_t device_number(const struct vmm_domain_stats *d, const char *class, unsigned at,
			      const char *what)
{
	g_autofree char *name = g_strdup_printf("%s.%u.%s", class, at, what);

	return stat_number(d, name);
}

static const char *device_text(const struct vmm_domain_stats *d, const char *class, unsigned at,
			       const char *what)
{
	g_autofree char *name = g_strdup_printf("%s.%u.%s", class, at, what);
	const struct vmm_param *p = vmm_domain_stats_find(d, name);

	return p && p->type == VMM_PARAM_STRING ? p->value.s : NULL;
}

/* ---- domains ---- */

/* Uuids of those that the list call gives for flags. */
static GHashTable *listed(struct sql *s, unsigned flags)
{
	GHashTable *uuids = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
	g_autoptr(GPtrArray) all =
		s->needs & NEED_LISTS ? vmm_domain_list(s->conn, flags, NULL) : NULL;

	for (unsigned i = 0; all && i < all->len; i++)
		g_hash_table_add(uuids, g_strdup(vmm_domain_uuid(all->pdata[i])));
	return uuids;
}

/* NULL: not asked for, or the domain has gone meanwhile. */
static const char *xml_of(const struct sql *s, const vmm_domain *dom)
{
	return s->xml ? g_hash_table_lookup(s->xml, vmm_domain_uuid(dom)) : NULL;
}

static void put_net(struct row *r, const char *xml)
{
	g_autoptr(GPtrArray) ifaces = xml ? xml_ifaces(xml, NULL) : NULL;
	const struct xml_iface *first =
		ifaces && ifaces->len > 0 ? ifaces->pdata[0] : NULL;

	put_text(r, first && first->source ? first->source : first ? first->type : NULL);
}

static void put_title(struct row *r, const struct sql *s, vmm_domain *dom)
{
	g_autofree char *title =
		s->xml ? vmm_domain_get_metadata(dom, VMM_METADATA_TITLE, NULL, 0, NULL) : NULL;

	put_text(r, title);
}

static const struct sql_column columns_domains[] = {
	{ "name", 0 }, { "uuid", 0 }, { "id", 0 }, { "state", 0 }, { "reason", 0 },
	{ "memory_mb", 0 }, { "max_memory_mb", 0 }, { "rss_mb", 0 }, { "vcpus", 0 },
	{ "uptime_s", 0 }, { "cpu_s", 0 }, { "boot_ms", 0 },
	{ "autostart", NEED_LISTS }, { "persistent", NEED_LISTS },
	{ "net", NEED_XML }, { "title", NEED_XML },
	{ NULL, 0 },
};

static uint64_t from_kib(uint64_t kib)
{
	return kib == SQL_NOT_KNOWN ? kib : kib * 1024;
}

static void put_domain(struct row *r, struct sql *s, const struct vmm_domain_stats *d)
{
	int state = (int)vmm_domain_stats_number(d, "state.state", VMM_STATE_NONE);
	int reason = (int)vmm_domain_stats_number(d, "state.reason", 0);
	int id = vmm_domain_id(d->domain);

	put_text(r, vmm_domain_name(d->domain));
	put_text(r, vmm_domain_uuid(d->domain));
	put_number(r, id < 0 ? SQL_NOT_KNOWN : (uint64_t)id);
	put_text(r, vmm_state_text(state));
	put_text(r, vmm_state_reason_text(state, reason));
	put_mb(r, from_kib(stat_number(d, "balloon.current")));
	put_mb(r, from_kib(stat_number(d, "balloon.maximum")));
	put_mb(r, from_kib(stat_number(d, "balloon.rss")));
	put_number(r, stat_number(d, "vcpu.current"));
	put_number(r, stat_number(d, "vmm.uptime"));
	put_scaled(r, stat_number(d, "cpu.time"), 1e9);
	put_number(r, stat_number(d, "vmm.boot_ms"));
}

static bool fill_domains(struct sql *s, const struct sql_table *of, GError **error)
{
	g_autoptr(GHashTable) autostart = listed(s, VMM_LIST_AUTOSTART);
	g_autoptr(GHashTable) persistent = listed(s, VMM_LIST_PERSISTENT);
	struct row r;

	if (!row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < s->stats->len; i++) {
		const struct vmm_domain_stats *d = s->stats->pdata[i];
		const char *uuid = vmm_domain_uuid(d->domain);

		put_domain(&r, s, d);
		put_number(&r, g_hash_table_contains(autostart, uuid));
		put_number(&r, g_hash_table_contains(persistent, uuid));
		put_net(&r, xml_of(s, d->domain));
		put_title(&r, s, d->domain);
		row_end(&r);
	}
	row_close(&r);
	return true;
}

/* ---- devices ---- */

static const struct sql_column columns_disks[] = {
	{ "domain", 0 }, { "target", 0 }, { "source", 0 }, { "capacity_mb", 0 },
	{ "allocation_mb", 0 }, { "rd_reqs", 0 }, { "rd_bytes", 0 }, { "wr_reqs", 0 },
	{ "wr_bytes", 0 }, { NULL, 0 },
};

static bool fill_disks(struct sql *s, const struct sql_table *of, GError **error)
{
	struct row r;

	if (!row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < s->stats->len; i++) {
		const struct vmm_domain_stats *d = s->stats->pdata[i];
		uint64_t n = vmm_domain_stats_number(d, "block.count", 0);

		for (unsigned k = 0; k < n; k++) {
			put_text(&r, vmm_domain_name(d->domain));
			put_text(&r, device_text(d, "block", k, "name"));
			put_text(&r, device_text(d, "block", k, "path"));
			put_mb(&r, device_number(d, "block", k, "capacity"));
			put_mb(&r, device_number(d, "block", k, "allocation"));
			put_number(&r, device_number(d, "block", k, "rd.reqs"));
			put_number(&r, device_number(d, "block", k, "rd.bytes"));
			put_number(&r, device_number(d, "block", k, "wr.reqs"));
			put_number(&r, device_number(d, "block", k, "wr.bytes"));
			row_end(&r);
		}
	}
	row_close(&r);
	return true;
}

static const struct sql_column columns_nics[] = {
	{ "domain", 0 }, { "name", 0 }, { "type", 0 }, { "source", 0 }, { "model", 0 },
	{ "mac", 0 }, { "rx_bytes", 0 }, { "rx_packets", 0 }, { "tx_bytes", 0 },
	{ "tx_packets", 0 }, { NULL, 0 },
};

static bool fill_nics(struct sql *s, const struct sql_table *of, GError **error)
{
	struct row r;

	if (!row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < s->stats->len; i++) {
		const struct vmm_domain_stats *d = s->stats->pdata[i];
		const char *xml = xml_of(s, d->domain);
		g_autoptr(GPtrArray) ifaces = xml ? xml_ifaces(xml, NULL) : NULL;

		for (unsigned k = 0; ifaces && k < ifaces->len; k++) {
			const struct xml_iface *f = ifaces->pdata[k];

			put_text(&r, vmm_domain_name(d->domain));
			put_text(&r, f->name);
			put_text(&r, f->type);
			put_text(&r, f->source);
			put_text(&r, f->model);
			put_text(&r, f->mac);
			put_number(&r, device_number(d, "net", k, "rx.bytes"));
			put_number(&r, device_number(d, "net", k, "rx.pkts"));
			put_number(&r, device_number(d, "net", k, "tx.bytes"));
			put_number(&r, device_number(d, "net", k, "tx.pkts"));
			row_end(&r);
		}
	}
	row_close(&r);
	return true;
}

/* ---- snapshots, images, pools, metrics ---- */

static const struct sql_column columns_snapshots[] = {
	{ "domain", 0 }, { "name", 0 }, { "parent", 0 }, { "created", 0 }, { "state", 0 },
	{ "memory", 0 }, { "description", 0 }, { NULL, 0 },
};

static void put_snapshot(struct row *r, vmm_domain *dom, const char *name)
{
	g_autofree char *xml = vmm_snapshot_xml(dom, name, 0, NULL);
	g_autoptr(xml_snapshot) snap = xml ? xml_snapshot_new(xml, NULL) : NULL;

	put_text(r, vmm_domain_name(dom));
	put_text(r, name);
	if (snap) {
		put_text(r, snap->parent);
		put_number(r, (uint64_t)snap->created_s);
		put_text(r, snap->state);
		put_text(r, snap->memory);
		put_text(r, snap->description);
	}
	row_end(r);
}

static bool fill_snapshots(struct sql *s, const struct sql_table *of, GError **error)
{
	g_autoptr(GPtrArray) all = vmm_domain_list(s->conn, VMM_LIST_SNAPSHOT, error);
	struct row r;

	if (!all || !row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < all->len; i++) {
		g_auto(GStrv) names = vmm_snapshot_list(all->pdata[i], 0, NULL);

		for (unsigned k = 0; names && names[k]; k++)
			put_snapshot(&r, all->pdata[i], names[k]);
	}
	row_close(&r);
	return true;
}

static const struct sql_column columns_images[] = {
	{ "path", 0 }, { "format", 0 }, { "parent", 0 }, { "size_mb", 0 }, { "users", 0 },
	{ "fault", 0 }, { NULL, 0 },
};

static bool fill_images(struct sql *s, const struct sql_table *of, GError **error)
{
	static const char *const formats[] = { NULL, "raw", "qcow2" };
	g_autoptr(GPtrArray) images = vmm_image_tree(s->conn, error);
	struct row r;

	if (!images || !row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < images->len; i++) {
		const struct vmm_image *image = images->pdata[i];
		g_autofree char *users = g_strjoinv(", ", image->users);

		put_text(&r, image->path);
		put_text(&r, image->format < G_N_ELEMENTS(formats) ? formats[image->format] :
								     NULL);
		put_text(&r, image->parent);
		put_mb(&r, image->size);
		put_text(&r, users);
		put_text(&r, image->fault);
		row_end(&r);
	}
	row_close(&r);
	return true;
}

static const struct sql_column columns_pools[] = {
	{ "name", 0 }, { "uuid", 0 }, { "active", 0 }, { "capacity_mb", 0 },
	{ "allocation_mb", 0 }, { "available_mb", 0 }, { "autostart", 0 }, { NULL, 0 },
};

static bool fill_pools(struct sql *s, const struct sql_table *of, GError **error)
{
	g_autoptr(GPtrArray) pools = vmm_pool_list(s->conn, 0, error);
	struct row r;

	if (!pools || !row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < pools->len; i++) {
		struct vmm_pool_info info;

		if (!vmm_pool_info(pools->pdata[i], &info, NULL))
			continue;
		put_text(&r, vmm_pool_name(pools->pdata[i]));
		put_text(&r, vmm_pool_uuid(pools->pdata[i]));
		put_number(&r, info.state == 2);
		put_mb(&r, info.capacity);
		put_mb(&r, info.allocation);
		put_mb(&r, info.available);
		put_number(&r, info.autostart);
		row_end(&r);
	}
	row_close(&r);
	return true;
}

static const struct sql_column columns_metrics[] = {
	{ "domain", 0 }, { "name", 0 }, { "value", 0 }, { NULL, 0 },
};

static bool fill_metrics(struct sql *s, const struct sql_table *of, GError **error)
{
	struct row r;

	if (!row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < s->stats->len; i++) {
		const struct vmm_domain_stats *d = s->stats->pdata[i];

		for (size_t k = 0; k < d->n_params; k++) {
			const struct vmm_param *p = &d->params[k];

			put_text(&r, vmm_domain_name(d->domain));
			put_text(&r, p->name);
			if (p->type == VMM_PARAM_STRING)
				put_text(&r, p->value.s);
			else
				put_number(&r, stat_number(d, p->name));
			row_end(&r);
		}
	}
	row_close(&r);
	return true;
}

const struct sql_table sql_tables[] = {
	{ "domains", "domains", NEED_STATS, columns_domains, fill_domains },
	{ "disks", "domains' disks", NEED_STATS | NEED_DEVICES, columns_disks, fill_disks },
	{ "nics", "domains' network cards", NEED_STATS | NEED_DEVICES | NEED_XML, columns_nics,
	  fill_nics },
	{ "snapshots", "domains' snapshots", 0, columns_snapshots, fill_snapshots },
	{ "images", "image files that the daemon knows", 0, columns_images, fill_images },
	{ "pools", "storage pools", 0, columns_pools, fill_pools },
	{ "ports", "ports of the host that lead to guests", NEED_STATS, sql_columns_ports,
	  sql_fill_ports },
	{ "boots", "the last runs of domains", 0, sql_columns_boots, sql_fill_boots },
	{ "events", "the last changes of domains' states", 0, sql_columns_events,
	  sql_fill_events },
	{ "metrics", "each of domstats' counters", NEED_STATS | NEED_DEVICES, columns_metrics,
	  fill_metrics },
	{ 0 },
};

/* ---- asking ---- */

static bool ask_stats(struct sql *s, GError **error)
{
	unsigned cheap = VMM_STATS_STATE | VMM_STATS_CPU | VMM_STATS_BALLOON | VMM_STATS_VCPU;

	s->stats = vmm_domain_stats_all(s->conn, s->needs & NEED_DEVICES ? 0 : cheap, 0, error);
	return s->stats != NULL;
}

static bool ask_xml(struct sql *s, GError **error)
{
	s->xml = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	for (unsigned i = 0; i < s->stats->len; i++) {
		const struct vmm_domain_stats *d = s->stats->pdata[i];
		char *xml = vmm_domain_xml(d->domain, 0, NULL);

		if (shell_interrupted(s->sh))
			return error_set(error, VMM_ERR_ABORTED, "interrupted");
		g_hash_table_insert(s->xml, g_strdup(vmm_domain_uuid(d->domain)), xml);
	}
	return true;
}

bool sql_fill(struct sql *s, GError **error)
{
	bool ok = true;

	if ((s->needs & NEED_STATS) && !ask_stats(s, error))
		return false;
	if ((s->needs & NEED_XML) && !ask_xml(s, error))
		return false;
	s->filling = true;
	sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL);
	for (unsigned i = 0; ok && sql_tables[i].name; i++) {
		if (s->read & (1u << i))
			ok = sql_tables[i].fill(s, &sql_tables[i], error);
	}
	sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	s->filling = false;
	return ok;
}
