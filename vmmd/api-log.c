/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of our own program on what happened. */
#include "config.h"

#include <string.h>

#include "vmmd/api.h"
#include "vmmd/bulk.h"
#include "vmmd/event.h"
#include "vmmd/logbook.h"
#include "vmmd/metrics.h"
#include "vmmd/owner.h"
#include "vmmd/store.h"

/* A logbook tells what a domain's owner did: on a read-only connection it is his alone. */
static bool may_read(struct call *call, const struct domain *dom)
{
	struct session *s = call->session;

	if (!session_readonly(s) || (dom && owner_is(dom, session_uid(s))))
		return true;
	call_fail_text(call, VMM_ERR_OPERATION_DENIED,
		       "operation LOG is forbidden for read only access, but for the owner of a "
		       "domain");
	return false;
}

static void reply(struct call *call, const GPtrArray *entries)
{
	g_autofree vmm_wire_log_entry *wire = g_new(vmm_wire_log_entry, entries->len + 1);

	for (unsigned i = 0; i < entries->len; i++) {
		const struct log_entry *e = g_ptr_array_index(entries, i);

		wire[i] = (vmm_wire_log_entry){
			.number = e->number, .at_us = e->at_us, .level = e->level,
			.event = e->event, .who = e->who, .text = e->text,
		};
	}
	call_reply(call, &(vmm_log_ret){ { entries->len, wire } });
}

static void log_entries(struct call *call, const void *argp)
{
	const vmm_log_args *args = argp;
	const struct domain *dom = args->dom ? api_domain_of(call, args->dom) : NULL;
	const struct log_query query = {
		.after = args->after, .since_us = args->since_us, .newest = args->newest,
		.max = CLAMP(args->max, 1, VMM_LOG_ENTRIES_MAX),
	};
	g_autoptr(GPtrArray) entries = NULL;
	g_autoptr(GError) error = NULL;

	if ((args->dom && !dom) || !may_read(call, dom))
		return;
	entries = logbook_read(call->daemon->logbook, dom ? dom->uuid : NULL, &query, &error);
	if (entries)
		reply(call, entries);
	else
		call_fail(call, error);
}

/* Of a domain that is gone, nobody knows whose it was. */
static bool sees(const struct call *call, const uint8_t uuid[UUID_BYTES], bool sees_all)
{
	const struct domain *dom = domain_find_uuid(call->daemon->domains, uuid);

	return sees_all || (dom && owner_sees(call->session, dom));
}

static void past_events(struct call *call, const void *argp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree vmm_wire_past_event *wire = NULL;
	bool all = !owner_misses(call->session, call->daemon);
	unsigned n = 0;

	event_flush(call->daemon->events);
	list = store_events(call->daemon->store, VMM_EVENTS_MAX, &error);
	if (!list) {
		call_fail(call, error);
		return;
	}
	wire = g_new0(vmm_wire_past_event, list->len + 1);
	for (unsigned i = 0; i < list->len; i++) {
		const struct store_event *e = list->pdata[i];

		if (!sees(call, e->uuid, all))
			continue;
		wire[n].at_us = e->at_us;
		wire[n].name = e->name;
		wire[n].event = e->event;
		wire[n].detail = e->detail;
		memcpy(wire[n++].uuid, e->uuid, UUID_BYTES);
	}
	call_reply(call, &(vmm_past_events_ret){ { n, wire } });
}

static void boots(struct call *call, const void *argp)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree vmm_wire_boot *wire = NULL;
	bool all = !owner_misses(call->session, call->daemon);
	unsigned n = 0;

	event_flush(call->daemon->events);
	list = store_boots(call->daemon->store, 0, VMM_EVENTS_MAX, &error);
	if (!list) {
		call_fail(call, error);
		return;
	}
	wire = g_new0(vmm_wire_boot, list->len + 1);
	for (unsigned i = 0; i < list->len; i++) {
		struct store_boot *b = list->pdata[i];

		if (!sees(call, b->uuid, all))
			continue;
		wire[n] = (vmm_wire_boot){
			.id = b->id, .name = b->name, .started_us = b->started_us,
			.boot_ms = b->boot_ms, .restored = b->restored, .ended_us = b->ended_us,
			.how = b->how ? &b->how : NULL,
		};
		memcpy(wire[n++].uuid, b->uuid, UUID_BYTES);
	}
	call_reply(call, &(vmm_boots_ret){ { n, wire } });
}

struct metrics_call {
	struct call *call;
	enum metrics_format format;
};

static void on_metrics(const GPtrArray *records, void *opaque)
{
	g_autofree struct metrics_call *m = opaque;
	GString *text = metrics_text(records, m->format);

	if (text->len > VMM_METRICS_BYTES_MAX)
		call_fail_text(m->call, VMM_ERR_OPERATION_FAILED,
			       "operation failed: the metrics of %u domains are too long for an "
			       "answer", records->len);
	else
		call_reply(m->call, &(vmm_metrics_ret){ { (u_int)text->len, text->str } });
	g_string_free(text, TRUE);
}

static void metrics(struct call *call, const void *argp)
{
	const vmm_metrics_args *args = argp;
	g_autoptr(GPtrArray) all = domain_table_list(call->daemon->domains);
	struct metrics_call *m;

	if (args->format > METRICS_PROMETHEUS) {
		call_fail_text(call, VMM_ERR_INVALID_ARG, "invalid argument: metrics format %u",
			       args->format);
		return;
	}
	m = g_new(struct metrics_call, 1);
	owner_filter(call->session, call->daemon, all);
	*m = (struct metrics_call){ call, (enum metrics_format)args->format };
	bulk_ask(call->daemon, all, STATS_OURS, NULL, on_metrics, m);
}

const struct api_entry api_log[] = {
	{ VMM_PROC_PAST_EVENTS, past_events },
	{ VMM_PROC_BOOTS, boots },
	{ VMM_PROC_METRICS, metrics },
	{ VMM_PROC_LOG, log_entries },
	{ 0 },
};
