/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's logbooks, the past of domains, metrics. */
#include "config.h"

#include "libvmm/client/client-priv.h"
#include "libvmm/util/uuid.h"

static void entry_free(void *p)
{
	struct vmm_log_entry *e = p;

	g_free(e->event);
	g_free(e->who);
	g_free(e->text);
	g_free(e);
}

static struct vmm_log_entry *entry_from_wire(const vmm_wire_log_entry *wire)
{
	struct vmm_log_entry *e = g_new(struct vmm_log_entry, 1);

	*e = (struct vmm_log_entry){
		.number = wire->number, .at_us = wire->at_us,
		.level = MIN(wire->level, (u_int)VMM_LOG_NOTE), .event = g_strdup(wire->event),
		.who = g_strdup(wire->who), .text = g_strdup(wire->text),
	};
	return e;
}

GPtrArray *vmm_log_read(vmm_connect *conn, vmm_domain *dom, const struct vmm_log_query *query,
			GError **error)
{
	remote_domain wire = dom ? domain_to_wire(dom) : (remote_domain){ 0 };
	vmm_log_args args = {
		.dom = dom ? &wire : NULL, .after = query->after, .since_us = query->since_us,
		.max = query->max, .newest = query->newest,
	};
	vmm_log_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(conn, LOG, vmm_log_args, &args, vmm_log_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(entry_free);
	for (u_int i = 0; i < ret.entries.entries_len; i++)
		g_ptr_array_add(list, entry_from_wire(&ret.entries.entries_val[i]));
	VMM_FREE(vmm_log_ret, &ret);
	return list;
}

/* ---- the past ---- */

static char *uuid_copy(const char *wire)
{
	char text[UUID_TEXT_BYTES];

	uuid_to_text((const uint8_t *)wire, text);
	return g_strdup(text);
}

static void past_event_free(void *p)
{
	struct vmm_past_event *e = p;

	g_free(e->name);
	g_free(e->uuid);
	g_free(e);
}

GPtrArray *vmm_connect_past_events(vmm_connect *conn, GError **error)
{
	remote_none none = { 0 };
	vmm_past_events_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(conn, PAST_EVENTS, remote_none, &none, vmm_past_events_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(past_event_free);
	for (u_int i = 0; i < ret.events.events_len; i++) {
		const vmm_wire_past_event *w = &ret.events.events_val[i];
		struct vmm_past_event *e = g_new(struct vmm_past_event, 1);

		*e = (struct vmm_past_event){ w->at_us, g_strdup(w->name), uuid_copy(w->uuid),
					      w->event, w->detail };
		g_ptr_array_add(list, e);
	}
	VMM_FREE(vmm_past_events_ret, &ret);
	return list;
}

static void boot_free(void *p)
{
	struct vmm_boot *b = p;

	g_free(b->name);
	g_free(b->uuid);
	g_free(b->how);
	g_free(b);
}

GPtrArray *vmm_connect_boots(vmm_connect *conn, GError **error)
{
	remote_none none = { 0 };
	vmm_boots_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(conn, BOOTS, remote_none, &none, vmm_boots_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(boot_free);
	for (u_int i = 0; i < ret.boots.boots_len; i++) {
		const vmm_wire_boot *w = &ret.boots.boots_val[i];
		struct vmm_boot *b = g_new(struct vmm_boot, 1);

		*b = (struct vmm_boot){
			.id = w->id, .name = g_strdup(w->name), .uuid = uuid_copy(w->uuid),
			.started_us = w->started_us, .boot_ms = w->boot_ms,
			.restored = w->restored, .ended_us = w->ended_us,
			.how = w->how ? g_strdup(*w->how) : NULL,
		};
		g_ptr_array_add(list, b);
	}
	VMM_FREE(vmm_boots_ret, &ret);
	return list;
}

char *vmm_connect_metrics(vmm_connect *conn, enum vmm_metrics_format format, GError **error)
{
	vmm_metrics_args args = { .format = format };
	vmm_metrics_ret ret;
	char *text;

	if (!VMM_CALL(conn, METRICS, vmm_metrics_args, &args, vmm_metrics_ret, &ret, error))
		return NULL;
	text = g_strndup(ret.text.text_val, ret.text.text_len);
	VMM_FREE(vmm_metrics_ret, &ret);
	return text;
}
