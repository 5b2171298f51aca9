/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registrations of events, their messages, and the history that the database keeps. */
#include "config.h"
#include "vmmd/event.h"

#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/owner.h"
#include "vmmd/pool.h"
#include "vmmd/said.h"
#include "vmmd/server.h"
#include "vmmd/store.h"

/* History is written in batches: an event need not be on the disk before it is told. */
#define HISTORY_DELAY_MS 500
#define HISTORY_BATCH 200
#define REGISTRATIONS_MAX 4096		/* of one session */

struct registration {
	struct session *session;
	enum event_class class;
	int event, id;
	bool filtered;
	uint8_t uuid[UUID_BYTES];
};

struct event_hub {
	struct daemon *daemon;
	GArray *registrations;		/* of struct registration, in order of id */
	int next_id;
	GArray *history;		/* of struct store_event: not written yet */
	GPtrArray *runs;		/* of struct store_boot, likewise */
	guint history_source;
};

static void history_clear(void *p)
{
	g_free(((struct store_event *)p)->name);
}

struct event_hub *event_hub_new(struct daemon *daemon)
{
	struct event_hub *hub = g_new0(struct event_hub, 1);

	hub->daemon = daemon;
	hub->registrations = g_array_new(FALSE, FALSE, sizeof(struct registration));
	hub->history = g_array_new(FALSE, FALSE, sizeof(struct store_event));
	g_array_set_clear_func(hub->history, history_clear);
	hub->runs = g_ptr_array_new_with_free_func(store_boot_free);
	return hub;
}

/* One transaction for all that is there. */
static bool runs_write(struct event_hub *hub, GError **error)
{
	struct store *store = hub->daemon->store;
	bool ok = store_begin(store, error);

	for (unsigned i = 0; ok && i < hub->runs->len; i++)
		ok = store_put_boot(store, hub->runs->pdata[i], error);
	if (ok)
		return store_commit(store, error);
	store_rollback(store);
	return false;
}

static gboolean history_write(void *opaque)
{
	struct event_hub *hub = opaque;
	g_autoptr(GError) error = NULL, why = NULL;

	hub->history_source = 0;
	if (hub->history->len > 0 &&
	    !store_add_events(hub->daemon->store, (struct store_event *)(void *)hub->history->data,
			      hub->history->len, &error))
		g_warning("history of events: %s", error->message);
	g_array_set_size(hub->history, 0);
	if (hub->runs->len > 0 && !runs_write(hub, &why))
		g_warning("history of runs: %s", why->message);
	g_ptr_array_set_size(hub->runs, 0);
	return G_SOURCE_REMOVE;
}

void event_flush(struct event_hub *hub)
{
	g_clear_handle_id(&hub->history_source, g_source_remove);
	history_write(hub);
}

void event_hub_free(struct event_hub *hub)
{
	if (!hub)
		return;
	event_flush(hub);
	g_array_unref(hub->history);
	g_ptr_array_unref(hub->runs);
	g_array_unref(hub->registrations);
	g_free(hub);
}

static void history_soon(struct event_hub *hub)
{
	if (hub->history->len >= HISTORY_BATCH)
		event_flush(hub);
	else if (!hub->history_source)
		hub->history_source = g_timeout_add(HISTORY_DELAY_MS, history_write, hub);
}

void event_run(struct domain *dom, const char *how)
{
	struct event_hub *hub = dom->daemon->events;
	struct store_boot *run = g_new0(struct store_boot, 1);

	run->id = dom->live ? dom->live->id : 0;
	memcpy(run->uuid, dom->uuid, UUID_BYTES);
	run->name = g_strdup(dom->name);
	run->started_us = dom->started_us;
	run->boot_ms = dom->boot_ms;
	run->restored = dom->restored;
	run->how = g_strdup(how);
	run->ended_us = how ? g_get_real_time() : 0;
	g_ptr_array_add(hub->runs, run);
	history_soon(hub);
}

static void history_add(struct event_hub *hub, const struct domain *dom, int event, int detail)
{
	struct store_event ev = {
		.at_us = g_get_real_time(),
		.name = g_strdup(dom->name),
		.event = event,
		.detail = detail,
	};

	memcpy(ev.uuid, dom->uuid, UUID_BYTES);
	g_array_append_val(hub->history, ev);
	history_soon(hub);
}

/* ---- the logbooks ---- */

#define DETAILS_MAX 8

static const struct {
	const char *event;
	enum log_level level;
	const char *details[DETAILS_MAX];
} log_words[] = {
	[LIFECYCLE_DEFINED] = { "defined", LOG_LEVEL_NOTE,
				{ "new", "changed", "renamed", "from a snapshot" } },
	[LIFECYCLE_UNDEFINED] = { "undefined", LOG_LEVEL_NOTE, { "removed", "renamed" } },
	[LIFECYCLE_STARTED] = { "started", LOG_LEVEL_NOTE,
				{ "booted", NULL, "from saved memory" } },
	[LIFECYCLE_SUSPENDED] = { "suspended", LOG_LEVEL_NOTE, { "paused", NULL, "disk error" } },
	[LIFECYCLE_RESUMED] = { "resumed", LOG_LEVEL_NOTE,
				{ "runs", NULL, "from saved memory" } },
	[LIFECYCLE_STOPPED] = { "stopped", LOG_LEVEL_NOTE,
				{ "shut down", "destroyed", "the guest crashed", NULL, "saved",
				  "failed" } },
	[LIFECYCLE_SHUTDOWN] = { "shutdown", LOG_LEVEL_NOTE,
				 { "done", "by the guest", "asked for by the host" } },
	[LIFECYCLE_CRASHED] = { "crashed", LOG_LEVEL_ERROR, { "the guest panicked" } },
};

static bool is_bad_end(int event, int detail)
{
	return event == LIFECYCLE_STOPPED && (detail == LIFECYCLE_STOPPED_CRASHED ||
					      detail == LIFECYCLE_STOPPED_FAILED);
}

/* A definition's coming and going is the daemon's matter, too: its domain's book goes some day. */
static void log_lifecycle(struct domain *dom, int event, int detail)
{
	const char *who = store_author(dom->daemon->store);
	const char *why = event == LIFECYCLE_STOPPED || event == LIFECYCLE_SUSPENDED ||
					  event == LIFECYCLE_CRASHED ? dom->detail : NULL;
	const char *word = detail < DETAILS_MAX ? log_words[event].details[detail] : NULL;
	g_autofree char *text = g_strdup_printf("%s%s%s", word ?: "", why ? ": " : "", why ?: "");

	/* a worker may tell of one state after the other */
	if (!who && (event == LIFECYCLE_SUSPENDED || event == LIFECYCLE_RESUMED ||
		     event == LIFECYCLE_CRASHED))
		said_note(dom, log_words[event].level, log_words[event].event, text);
	else
		logbook_domain(dom, is_bad_end(event, detail) ? LOG_LEVEL_ERROR :
			       log_words[event].level, log_words[event].event, who, "%s", text);
	if (event == LIFECYCLE_DEFINED || event == LIFECYCLE_UNDEFINED) {
		g_autofree char *both = g_strdup_printf("domain '%s': %s", dom->name, text);

		logbook_add(dom->daemon->logbook, NULL, LOG_LEVEL_NOTE, log_words[event].event, who,
			    both);
	}
}

/* ---- registration ---- */

static bool event_known(enum event_class class, int event)
{
	static const int last[N_EVENT_CLASSES] = {
		[EVENTS_DOMAIN] = REMOTE_EVENT_LAST, [EVENTS_NETWORK] = 0, [EVENTS_POOL] = 1,
		[EVENTS_NODE_DEVICE] = 1, [EVENTS_SECRET] = 1,
	};

	return event >= 0 && event <= last[class];
}

bool event_register(struct event_hub *hub, struct session *session, enum event_class class,
		    int event, const uint8_t *uuid, int *ret_id, GError **error)
{
	struct registration r = { .session = session, .class = class, .event = event };
	unsigned had = 0;

	if (!event_known(class, event))
		return error_set(error, VMM_ERR_INTERNAL, "internal error: unsupported event ID %d",
				 event);
	for (unsigned i = 0; i < hub->registrations->len; i++)
		had += g_array_index(hub->registrations, struct registration, i).session == session;
	if (had >= REGISTRATIONS_MAX)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "operation failed: more than %d event callbacks on one connection",
				 REGISTRATIONS_MAX);
	if (uuid) {
		r.filtered = true;
		memcpy(r.uuid, uuid, UUID_BYTES);
	}
	r.id = hub->next_id;
	hub->next_id = hub->next_id == G_MAXINT ? 0 : hub->next_id + 1;
	g_array_append_val(hub->registrations, r);
	*ret_id = r.id;
	return true;
}

bool event_deregister(struct event_hub *hub, struct session *session, enum event_class class,
		      int id, GError **error)
{
	for (unsigned i = 0; i < hub->registrations->len; i++) {
		struct registration *r = &g_array_index(hub->registrations, struct registration, i);

		if (r->session != session || r->class != class || r->id != id)
			continue;
		g_array_remove_index(hub->registrations, i);
		return true;
	}
	return error_set(error, VMM_ERR_INTERNAL,
			 "internal error: event callback %d is not registered", id);
}

void event_forget(struct event_hub *hub, struct session *session)
{
	for (unsigned i = hub->registrations->len; i-- > 0;)
		if (g_array_index(hub->registrations, struct registration, i).session == session)
			g_array_remove_index(hub->registrations, i);
}

/* ---- messages ---- */

static remote_domain event_domain(const struct domain *dom)
{
	remote_domain ret = { .name = dom->name, .id = dom->id };

	memcpy(ret.uuid, dom->uuid, UUID_BYTES);
	return ret;
}

/* Each message struct begins with its callbackID.  dom: it is about this one; NULL: about none. */
static void event_send(struct event_hub *hub, enum event_class class, const uint8_t *uuid,
		       const struct domain *dom, int event, int message, xdrproc_t proc, int *data)
{
	for (unsigned i = 0; i < hub->registrations->len; i++) {
		const struct registration *r =
			&g_array_index(hub->registrations, struct registration, i);

		if (r->class != class || r->event != event ||
		    (r->filtered && memcmp(r->uuid, uuid, UUID_BYTES) != 0) ||
		    (dom && !owner_sees(r->session, dom)))
			continue;
		*data = r->id;
		rpc_event(session_conn(r->session), FRAME_PROGRAM_REMOTE, message, proc, data);
	}
}

#define EVENT_SEND(dom, name, type, data) \
	event_send((dom)->daemon->events, EVENTS_DOMAIN, (dom)->uuid, dom, REMOTE_EVENT_##name, \
		   REMOTE_EVENT_MSG_##name, (xdrproc_t)xdr_remote_##type, &(data)->callbackID)

void event_lifecycle(struct domain *dom, enum lifecycle_event event, enum lifecycle_detail detail)
{
	remote_event_lifecycle ev = { 0, event_domain(dom), (int)event, (int)detail };

	g_info("domain '%s': lifecycle event %d, detail %d", dom->name, event, detail);
	history_add(dom->daemon->events, dom, (int)event, (int)detail);
	log_lifecycle(dom, (int)event, (int)detail);
	EVENT_SEND(dom, LIFECYCLE, event_lifecycle, &ev);
}

void event_reboot(struct domain *dom)
{
	remote_event_dom ev = { 0, event_domain(dom) };

	said_note(dom, LOG_LEVEL_NOTE, "rebooted", "its machine was reset");
	EVENT_SEND(dom, REBOOT, event_dom, &ev);
}

void event_balloon(struct domain *dom, uint64_t kib)
{
	remote_event_dom_hyper ev = { 0, event_domain(dom), kib };

	EVENT_SEND(dom, BALLOON_CHANGE, event_dom_hyper, &ev);
}

void event_io_error(struct domain *dom, const char *path, const char *alias, bool paused,
		    bool no_space)
{
	int action = paused ? 1 : 2;
	remote_event_io_error ev = { 0, event_domain(dom), (char *)path, (char *)alias, action };
	remote_event_io_error_reason why = { 0,
					     event_domain(dom),
					     (char *)path,
					     (char *)alias,
					     action,
					     (char *)(no_space ? "enospc" : "") };

	g_autofree char *text =
		g_strdup_printf("disk '%s': %s: %s", path,
				no_space ? "no space is left" : "input/output error",
				paused ? "the guest is paused" : "the guest was told");

	said_note(dom, LOG_LEVEL_ERROR, "disk-error", text);
	EVENT_SEND(dom, IO_ERROR, event_io_error, &ev);
	EVENT_SEND(dom, IO_ERROR_REASON, event_io_error_reason, &why);
}

void event_block_job(struct domain *dom, const char *path, const char *target, int type, int status)
{
	remote_event_block_job by_path = { 0, event_domain(dom), (char *)path, type, status };
	remote_event_block_job by_target = { 0, event_domain(dom), (char *)target, type, status };

	EVENT_SEND(dom, BLOCK_JOB, event_block_job, &by_path);
	EVENT_SEND(dom, BLOCK_JOB_2, event_block_job, &by_target);
}

void event_tunable(struct domain *dom, GArray *params)
{
	remote_event_params ev = { 0, event_domain(dom),
				   { params->len, (remote_param *)(void *)params->data } };

	EVENT_SEND(dom, TUNABLE, event_params, &ev);
}

void event_job(struct domain *dom, GArray *params)
{
	remote_event_params ev = { 0, event_domain(dom),
				   { params->len, (remote_param *)(void *)params->data } };

	EVENT_SEND(dom, JOB_COMPLETED, event_params, &ev);
}

void event_metadata(struct domain *dom, int type, const char *uri)
{
	char *text = (char *)uri;
	remote_event_metadata ev = { 0, event_domain(dom), type, uri ? &text : NULL };

	EVENT_SEND(dom, METADATA_CHANGE, event_metadata, &ev);
}

/* ---- pools ---- */

/* Their events have numbers of their own. */
enum { POOL_EVENT_LIFECYCLE, POOL_EVENT_REFRESH };

static remote_pool event_of_pool(const struct pool *pool)
{
	remote_pool ret = { .name = pool->def->name };

	memcpy(ret.uuid, pool->def->uuid, UUID_BYTES);
	return ret;
}

void event_pool(struct pool *pool, enum pool_event event)
{
	remote_event_pool ev = { 0, event_of_pool(pool), (int)event, 0 };

	event_send(pool->daemon->events, EVENTS_POOL, pool->def->uuid, NULL,
		   POOL_EVENT_LIFECYCLE, REMOTE_POOL_EVENT_MSG_LIFECYCLE,
		   (xdrproc_t)xdr_remote_event_pool, &ev.callbackID);
}

void event_pool_refreshed(struct pool *pool)
{
	remote_event_pool_refresh ev = { 0, event_of_pool(pool) };

	event_send(pool->daemon->events, EVENTS_POOL, pool->def->uuid, NULL, POOL_EVENT_REFRESH,
		   REMOTE_POOL_EVENT_MSG_REFRESH, (xdrproc_t)xdr_remote_event_pool_refresh,
		   &ev.callbackID);
}

/* ---- networks ---- */

void event_network(struct daemon *daemon, const network_def *def, int event)
{
	remote_event_network ev = { .net = { .name = def->name }, .event = event };

	g_info("network '%s': lifecycle event %d", def->name, event);
	memcpy(ev.net.uuid, def->uuid, UUID_BYTES);
	event_send(daemon->events, EVENTS_NETWORK, def->uuid, NULL, 0, REMOTE_EVENT_MSG_NETWORK,
		   (xdrproc_t)xdr_remote_event_network, &ev.callbackID);
}
