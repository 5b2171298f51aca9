/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An earlier vmmd's workers: found when we begin, left when we end. */
#include "config.h"
#include "vmmd/lifecycle-priv.h"

#include "libvmm/util/error.h"
#include "vmmd/console-log.h"
#include "vmmd/disk-job.h"
#include "vmmd/event.h"
#include "vmmd/said.h"
#include "vmmd/save.h"
#include "vmmd/store.h"
#include "vmmd/supervisor.h"

/* What the vmmd before us knew of this run. */
static void adopt_run(struct domain *dom)
{
	g_autoptr(GPtrArray) runs = store_boots(dom->daemon->store, dom->live->id, 1, NULL);
	const struct store_boot *run = runs && runs->len > 0 ? runs->pdata[0] : NULL;

	dom->boot_ms = run ? run->boot_ms : -1;
	dom->restored = run && run->restored;
	if (!run)
		event_run(dom, NULL);
}

static void adopt_live(struct domain *dom, const worker_hello_ret *hello)
{
	g_autoptr(GError) error = NULL;
	domain_def *live = domain_def_parse(hello->xml, DOMAIN_PARSE_LIVE, &error);

	if (live && memcmp(live->uuid, dom->uuid, UUID_BYTES) != 0)
		g_clear_pointer(&live, domain_def_free);
	if (!live) {
		g_warning("domain '%s': its worker's definition can't be used%s%s", dom->name,
			  error ? ": " : "", error ? error->message : "");
		live = dom->saved ? domain_def_copy(dom->saved) : NULL;
	}
	if (!live)
		return;
	if (!dom->persistent && !domain_find_name(dom->daemon->domains, live->name))
		domain_set_name(dom, live->name);
	live->id = hello->id;
	store_note_id(dom->daemon->store, hello->id);
	dom->started_us = hello->started_us;
	domain_set_live(dom, live);
	adopt_run(dom);
}

static void destroyed_orphan(struct domain *dom, const GError *error, void *opaque)
{
	g_message("domain '%s' has ended with the client that it belonged to", dom->name);
}

static void on_adopted(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	const worker_hello_ret *hello = ret;

	life_answered(dom);
	if (error) {
		g_warning("domain '%s': its worker does not answer: %s", dom->name, error->message);
		domain_step(dom, EV_READY, WORKER_CAUSE_NONE, "its worker does not answer", NULL);
		return;
	}
	if (hello->state == WORKER_EMPTY || hello->state == WORKER_STOPPED) {
		/* vmmd was killed before START, or it is ending anyhow */
		link_kill(dom->link);
		return;
	}
	adopt_live(dom, hello);
	if (dom->state == DOMAIN_STARTING)
		domain_step(dom, EV_READY, WORKER_CAUSE_BOOTED, NULL, NULL);
	life_take_state(dom, hello->state, hello->cause, hello->detail);
	if (save_adopt(dom, hello->state, hello->cause, hello->detail))
		return;
	disk_job_adopt(dom);
	g_message("domain '%s' goes on, %s, id %d", dom->name, state_name(dom->state), dom->id);
	logbook_domain(dom, LOG_LEVEL_NOTE, "found", NULL, "it goes on, %s: vmmd was started",
		       state_name(dom->state));
	if (supervisor_marked(dom->daemon, dom->uuid_text, SUPERVISOR_AUTODESTROY))
		lifecycle_destroy(dom, false, destroyed_orphan, NULL);
}

/* Its worker has ended while nobody looked, or was not stored and told as dead. */
static void adopt_end(struct domain *dom, const struct supervisor_end *end)
{
	int cause = end->cause ?: WORKER_CAUSE_LOST;
	const char *detail = end->cause ? end->detail : "its worker died while vmmd was away";

	if (dom->state == DOMAIN_OFF) {
		dom->reason = state_reason(DOMAIN_OFF, cause);
		dom->detail = detail && *detail ? g_strdup(detail) : NULL;
		life_store_state(dom);
	}
	life_note_run(dom, cause, detail);
	life_tell_end(dom, cause);
}

static void adopt_dead(struct daemon *daemon, struct domain *dom, const char *uuid_text)
{
	struct supervisor_end end;

	supervisor_last_words(daemon, uuid_text, &end);
	if (dom)
		adopt_end(dom, &end);
	else			/* a transient one */
		console_log_remove_stray(daemon, uuid_text);
	g_free(end.detail);
	supervisor_bury(daemon, SUPERVISED_DOMAIN, uuid_text);
}

static void adopt(struct daemon *daemon, const char *uuid_text, unsigned *waiting)
{
	uint8_t uuid[UUID_BYTES];
	struct domain *dom;
	int fd, pidfd;

	if (!uuid_from_text(uuid_text, uuid))
		return;
	dom = domain_find_uuid(daemon->domains, uuid);
	if (!supervisor_find(daemon, SUPERVISED_DOMAIN, uuid_text, &fd, &pidfd)) {
		adopt_dead(daemon, dom, uuid_text);
		return;
	}
	if (!dom)
		dom = domain_new(daemon, uuid, uuid_text);
	dom->life = life_new();
	dom->life->adopting = waiting;
	++*waiting;
	domain_step(dom, EV_START, WORKER_CAUSE_NONE, NULL, NULL);
	dom->link = link_new(fd, pidfd, &life_link_ops, dom);
	life_hear(dom);
	link_hello(dom->link, 0, on_adopted, dom);
}

static gboolean on_adopt_deadline(void *opaque)
{
	*(bool *)opaque = true;
	return G_SOURCE_REMOVE;
}

/* They are there but silent: their clients may see and destroy them. */
static void adopt_rest(struct daemon *daemon)
{
	g_autoptr(GPtrArray) all = domain_table_peek(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		if (!dom->life || !dom->life->adopting)
			continue;
		dom->life->adopting = NULL;
		domain_read(dom);
		if (dom->saved)
			domain_set_live(dom, domain_def_copy(dom->saved));
		domain_step(dom, EV_READY, WORKER_CAUSE_NONE, "its worker does not answer", NULL);
		g_warning("domain '%s': its worker has not answered yet", dom->name);
	}
}

void lifecycle_adopt_all(struct daemon *daemon, unsigned wait_ms)
{
	g_auto(GStrv) found = supervisor_scan(daemon, SUPERVISED_DOMAIN);
	unsigned waiting = 0;
	bool late = false;
	guint deadline;

	for (char **uuid = found; *uuid; uuid++)
		adopt(daemon, *uuid, &waiting);
	deadline = g_timeout_add(wait_ms, on_adopt_deadline, &late);
	while (waiting > 0 && !late)
		g_main_context_iteration(NULL, TRUE);
	if (!late)
		g_source_remove(deadline);
	adopt_rest(daemon);
}

static void leave(struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	/* A machine that is half built can't be: nobody would answer its questions. */
	if (dom->state == DOMAIN_STARTING)
		link_kill(dom->link);
	error_set(&error, VMM_ERR_ABORTED, "operation aborted: vmmd is ending");
	life_tell_starter(dom, error);
	life_tell_enders(dom, error);
	g_clear_pointer(&dom->link, link_free);
	g_clear_pointer(&dom->said, said_free);
	g_clear_pointer(&dom->life, life_free);
}

void lifecycle_leave_all(struct daemon *daemon)
{
	g_autoptr(GPtrArray) all = domain_table_peek(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		if (dom->life)
			leave(dom);
	}
}
