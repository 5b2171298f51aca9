/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of what was, and of ports. */
#include "config.h"
#include "vmsh/sql-priv.h"

#include "libvmm/util/error.h"

const struct sql_column sql_columns_ports[] = {
	{ "domain", 0 }, { "card", 0 }, { "protocol", 0 }, { "address", 0 }, { "host_port", 0 },
	{ "guest_port", 0 }, { NULL, 0 },
};

static void put_ports(struct row *r, const vmm_domain *dom, const GPtrArray *ports)
{
	for (unsigned i = 0; i < ports->len; i++) {
		const struct vmm_port *p = ports->pdata[i];

		put_text(r, vmm_domain_name(dom));
		put_text(r, p->interface);
		put_text(r, p->udp ? "udp" : "tcp");
		put_text(r, p->address && *p->address ? p->address : NULL);
		put_number(r, p->host);
		put_number(r, p->guest);
		row_end(r);
	}
}

bool sql_fill_ports(struct sql *s, const struct sql_table *of, GError **error)
{
	struct row r;

	if (!row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < s->stats->len; i++) {
		vmm_domain *dom = ((const struct vmm_domain_stats *)s->stats->pdata[i])->domain;
		g_autoptr(GPtrArray) ports = vmm_domain_ports(dom, 0, NULL);

		if (ports)
			put_ports(&r, dom, ports);
		if (shell_interrupted(s->sh)) {
			row_close(&r);
			return error_set(error, VMM_ERR_ABORTED, "interrupted");
		}
	}
	row_close(&r);
	return true;
}

const struct sql_column sql_columns_boots[] = {
	{ "domain", 0 }, { "uuid", 0 }, { "id", 0 }, { "started", 0 }, { "boot_ms", 0 },
	{ "restored", 0 }, { "ended", 0 }, { "how", 0 }, { NULL, 0 },
};

bool sql_fill_boots(struct sql *s, const struct sql_table *of, GError **error)
{
	g_autoptr(GPtrArray) boots = vmm_connect_boots(s->conn, error);
	struct row r;

	if (!boots || !row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < boots->len; i++) {
		const struct vmm_boot *b = boots->pdata[i];

		put_text(&r, b->name);
		put_text(&r, b->uuid);
		put_number(&r, (uint64_t)b->id);
		put_scaled(&r, (uint64_t)b->started_us, 1e6);
		put_number(&r, (uint64_t)b->boot_ms);		/* -1: too large for one, so null */
		put_number(&r, b->restored);
		put_scaled(&r, b->ended_us ? (uint64_t)b->ended_us : SQL_NOT_KNOWN, 1e6);
		put_text(&r, b->how);
		row_end(&r);
	}
	row_close(&r);
	return true;
}

const struct sql_column sql_columns_events[] = {
	{ "at", 0 }, { "domain", 0 }, { "uuid", 0 }, { "event", 0 }, { "detail", 0 }, { NULL, 0 },
};

bool sql_fill_events(struct sql *s, const struct sql_table *of, GError **error)
{
	g_autoptr(GPtrArray) events = vmm_connect_past_events(s->conn, error);
	struct row r;

	if (!events || !row_open(&r, s, of, error))
		return false;
	for (unsigned i = 0; i < events->len; i++) {
		const struct vmm_past_event *e = events->pdata[i];

		put_scaled(&r, (uint64_t)e->at_us, 1e6);
		put_text(&r, e->name);
		put_text(&r, e->uuid);
		put_text(&r, vmm_lifecycle_text(e->event));
		put_text(&r, vmm_lifecycle_detail_text(e->event, e->detail));
		row_end(&r);
	}
	row_close(&r);
	return true;
}
