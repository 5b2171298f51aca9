/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From wish to fact.  A wish is checked against the state table and told to
 * the worker; what the worker says, or its process's end, makes the new state.
 *
 * One start at most is under way for a domain; any number of clients may wait
 * for its end.  Whoever waits is told exactly once: a start by START's answer
 * or by on_gone(), an end by on_gone(), the rest by the worker's answer (a
 * link that ends answers its pending calls with an error first).
 */
#include "config.h"
#include "vmmd/lifecycle.h"

#include <errno.h>

#include "libvmm/rpc/conn.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/event.h"
#include "vmmd/link.h"
#include "vmmd/permit.h"
#include "vmmd/store.h"
#include "vmmd/supervisor.h"

struct waiter {
	lifecycle_done *done;
	void *opaque;
};

/* What a domain has only while a worker is there; lives from spawn to on_gone(). */
struct lifecycle {
	struct waiter starter;		/* done is NULL: nobody waits */
	GError *start_error;		/* why the start has failed; its worker is about to end */
	GArray *enders;			/* of struct waiter */
	guint timer;			/* of the start, later of the stop */
	guint powerdown_timer;
	bool start_paused;
	bool polite;			/* the end must not be forced */
	bool by_host;			/* we pressed the power button */
	int said_cause;			/* of WORKER_STOPPED */
	char *said_detail;
	struct permit *permit;		/* only while START runs */
	unsigned *adopting;		/* counts the adopted that have not answered; NULL */
};

static const struct link_ops link_ops;

static struct lifecycle *life_new(void)
{
	struct lifecycle *life = g_new0(struct lifecycle, 1);

	life->enders = g_array_new(FALSE, FALSE, sizeof(struct waiter));
	return life;
}

static void life_free(struct lifecycle *life)
{
	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_handle_id(&life->powerdown_timer, g_source_remove);
	g_array_unref(life->enders);
	permit_free(life->permit);
	g_clear_error(&life->start_error);
	g_free(life->said_detail);
	g_free(life);
}

static void starter_tell(struct domain *dom, const GError *error)
{
	struct waiter w = dom->life->starter;

	dom->life->starter = (struct waiter){ 0 };
	if (w.done)
		w.done(dom, error, w.opaque);
}

static void state_store(struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	if (dom->persistent && !store_set_state(dom->daemon->store, dom->uuid, (int)dom->state,
						(int)dom->reason, &error))
		g_warning("domain '%s': %s", dom->name, error->message);
}

/* ---- what becomes known ---- */

static void adopt_settled(struct domain *dom)
{
	if (dom->life->adopting)
		--*dom->life->adopting;
	dom->life->adopting = NULL;
}

static void tell_state_change(struct domain *dom, enum domain_state from, int cause)
{
	if (from == dom->state)
		return;
	if (dom->state == DOMAIN_PAUSED)
		event_lifecycle(dom, LIFECYCLE_SUSPENDED, cause == WORKER_CAUSE_IO_ERROR
				? LIFECYCLE_SUSPENDED_IO_ERROR : LIFECYCLE_SUSPENDED_PAUSED);
	else if (dom->state == DOMAIN_CRASHED)
		event_lifecycle(dom, LIFECYCLE_CRASHED, LIFECYCLE_CRASHED_PANICKED);
	else if (dom->state == DOMAIN_RUNNING && from == DOMAIN_PAUSED)
		event_lifecycle(dom, LIFECYCLE_RESUMED, LIFECYCLE_RESUMED_UNPAUSED);
}

static void on_state(int state, int cause, const char *detail, void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;
	enum domain_state from = dom->state;
	enum domain_event event = EV_RUNS;

	if (state == WORKER_STOPPED) {
		life->said_cause = cause;
		g_free(life->said_detail);
		life->said_detail = g_strdup(detail);
		return;
	}
	if (state == WORKER_PAUSED)
		event = cause == WORKER_CAUSE_CRASHED ? EV_CRASHED : EV_STANDS;
	else if (state != WORKER_RUNNING)
		return;
	if (cause == WORKER_CAUSE_BOOTED || event != EV_RUNS) {
		g_clear_handle_id(&life->powerdown_timer, g_source_remove);
		life->by_host = false;
	}
	if (domain_step(dom, event, cause, detail, NULL))
		tell_state_change(dom, from, cause);
}

static void on_rebooted(void *opaque)
{
	event_reboot(opaque);
}

static void on_balloon(uint64_t kib, void *opaque)
{
	struct domain *dom = opaque;

	dom->balloon_kib = kib;
	event_balloon(dom, kib);
}

static void on_io_error(const worker_event_io_error *ev, void *opaque)
{
	struct domain *dom = opaque;

	for (unsigned i = 0; dom->live && i < dom->live->disks->len; i++) {
		const struct disk_def *d = g_ptr_array_index(dom->live->disks, i);

		if (g_strcmp0(d->target, ev->target) == 0)
			event_io_error(dom, d->path, d->alias, ev->paused, ev->error == ENOSPC);
	}
}

static int on_open(const char *path, unsigned flags, void *opaque, GError **error)
{
	struct domain *dom = opaque;

	if (dom->life->permit)
		return permit_open(dom->life->permit, path, flags, error);
	error_set(error, VMM_ERR_ACCESS_DENIED, "files are opened only while the domain starts");
	return -1;
}

static bool on_open_tap(const char *alias, unsigned queues, int *fds, char **ret_ifname, void *opaque,
			GError **error)
{
	struct domain *dom = opaque;

	if (!dom->life->permit)
		return error_set(error, VMM_ERR_ACCESS_DENIED,
				 "interfaces are opened only while the domain starts");
	if (!permit_open_tap(dom->life->permit, alias, queues, fds, ret_ifname, error))
		return false;
	for (unsigned i = 0; i < dom->live->ifaces->len; i++) {
		struct iface_def *iface = g_ptr_array_index(dom->live->ifaces, i);

		if (g_strcmp0(iface->alias, alias) == 0) {
			g_free(iface->target);
			iface->target = g_strdup(*ret_ifname);
		}
	}
	domain_refresh_live(dom);
	return true;
}

/* ---- the end ---- */

/* The worker's own words if it had any, else what its process's end tells. */
static int end_cause(struct domain *dom, const struct supervisor_end *end, const char *how,
		     char **ret_detail)
{
	struct lifecycle *life = dom->life;

	if (life->start_error) {
		*ret_detail = g_strdup(life->start_error->message);
		return WORKER_CAUSE_FAILED;
	}
	if (dom->state == DOMAIN_STOPPING)
		return WORKER_CAUSE_DESTROYED;
	if (end->cause != WORKER_CAUSE_NONE) {
		*ret_detail = g_strdup(end->detail);
		return end->cause;
	}
	if (life->said_cause != WORKER_CAUSE_NONE) {
		*ret_detail = g_strdup(life->said_detail);
		return life->said_cause;
	}
	*ret_detail = g_strdup_printf("its worker %s", how);
	return WORKER_CAUSE_FAILED;
}

static void tell_end(struct domain *dom, int cause, bool by_host)
{
	switch (cause) {
	case WORKER_CAUSE_GUEST_POWEROFF:
		event_lifecycle(dom, LIFECYCLE_SHUTDOWN, by_host ? LIFECYCLE_SHUTDOWN_HOST
								 : LIFECYCLE_SHUTDOWN_GUEST);
		event_lifecycle(dom, LIFECYCLE_STOPPED, LIFECYCLE_STOPPED_SHUTDOWN);
		return;
	case WORKER_CAUSE_GUEST_RESET:
		event_lifecycle(dom, LIFECYCLE_STOPPED, LIFECYCLE_STOPPED_SHUTDOWN);
		return;
	case WORKER_CAUSE_DESTROYED:
		event_lifecycle(dom, LIFECYCLE_STOPPED, LIFECYCLE_STOPPED_DESTROYED);
		return;
	case WORKER_CAUSE_CRASHED:
		event_lifecycle(dom, LIFECYCLE_STOPPED, LIFECYCLE_STOPPED_CRASHED);
		return;
	default:
		event_lifecycle(dom, LIFECYCLE_STOPPED, LIFECYCLE_STOPPED_FAILED);
	}
}

static void tell_waiters(struct domain *dom, struct lifecycle *life)
{
	g_autoptr(GError) error = g_steal_pointer(&life->start_error);

	if (!error)
		error_set(&error, VMM_ERR_ABORTED, "operation aborted: domain '%s' was stopped while it started",
			  dom->name);
	if (life->starter.done)
		life->starter.done(dom, error, life->starter.opaque);
	for (unsigned i = 0; i < life->enders->len; i++) {
		struct waiter w = g_array_index(life->enders, struct waiter, i);

		w.done(dom, NULL, w.opaque);
	}
}

static void on_gone(const char *how, void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = g_steal_pointer(&dom->life);
	bool had_started = dom->state != DOMAIN_STARTING && !life->start_error && !life->starter.done;
	bool by_host = life->by_host;
	g_autofree char *detail = NULL;
	struct supervisor_end end;
	int cause;

	dom->life = life;
	adopt_settled(dom);
	supervisor_bury(dom->daemon, dom->uuid_text, &end);
	cause = end_cause(dom, &end, how, &detail);
	g_free(end.detail);
	dom->life = NULL;
	g_message("domain '%s' has ended (cause %d)%s%s", dom->name, cause, detail ? ": " : "",
		  detail ?: "");
	domain_step(dom, EV_GONE, cause, detail, NULL);
	g_clear_pointer(&dom->link, link_free);
	domain_set_live(dom, NULL);
	dom->autodestroy = NULL;
	dom->balloon_kib = 0;
	state_store(dom);
	if (had_started)
		tell_end(dom, cause, by_host);
	tell_waiters(dom, life);
	life_free(life);
	if (!dom->persistent)
		domain_drop(dom);
}

static const struct link_ops link_ops = {
	.state = on_state, .rebooted = on_rebooted, .balloon = on_balloon, .io_error = on_io_error,
	.open = on_open, .open_tap = on_open_tap, .gone = on_gone,
};

/* ---- start ---- */

/* A half-built machine has nothing to lose: away with it, on_gone() tells the starter. */
static void start_fail(struct domain *dom, GError *error)
{
	struct lifecycle *life = dom->life;

	if (life->start_error)
		g_error_free(error);
	else
		life->start_error = error;
	if (dom->link)
		link_kill(dom->link);
}

static void start_fail_by(struct domain *dom, const GError *error)
{
	GError *why = NULL;

	if (dom->state == DOMAIN_STOPPING)	/* destroyed meanwhile: that is not its worker's fault */
		return;
	if (g_error_matches(error, VMM_ERROR, VMM_ERR_RPC))
		error_set(&why, VMM_ERR_OPERATION_FAILED,
			  "operation failed: the worker of domain '%s' ended before its machine was built (%s): "
			  "see %s/%s.log", dom->name, error->message, dom->daemon->log_dir, dom->name);
	else
		why = g_error_copy(error);
	start_fail(dom, why);
}

static gboolean on_start_timeout(void *opaque)
{
	struct domain *dom = opaque;

	dom->life->timer = 0;
	start_fail(dom, g_error_new(VMM_ERROR, VMM_ERR_TIMEOUT,
				    "operation timed out: the worker of domain '%s' did not answer within %u ms: "
				    "see %s/%s.log", dom->name, dom->daemon->start_timeout_ms,
				    dom->daemon->log_dir, dom->name));
	return G_SOURCE_REMOVE;
}

static void on_started(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;

	if (error) {
		start_fail_by(dom, error);
		return;
	}
	if (life->start_error || dom->state == DOMAIN_STOPPING)
		return;
	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_pointer(&life->permit, permit_free);
	dom->started_us = g_get_real_time();
	domain_step(dom, life->start_paused ? EV_READY_PAUSED : EV_READY,
		    life->start_paused ? WORKER_CAUSE_USER : WORKER_CAUSE_BOOTED, NULL, NULL);
	g_message("domain '%s' has started, id %d", dom->name, dom->id);
	event_lifecycle(dom, LIFECYCLE_STARTED, LIFECYCLE_STARTED_BOOTED);
	if (life->start_paused)
		event_lifecycle(dom, LIFECYCLE_SUSPENDED, LIFECYCLE_SUSPENDED_PAUSED);
	else
		event_lifecycle(dom, LIFECYCLE_RESUMED, LIFECYCLE_RESUMED_UNPAUSED);
	starter_tell(dom, NULL);
}

static void on_hello(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	const worker_hello_ret *hello = ret;

	if (error)
		start_fail_by(dom, error);
	else if (hello->protocol != WORKER_PROTOCOL_VERSION)
		start_fail(dom, g_error_new(VMM_ERROR, VMM_ERR_OPERATION_FAILED,
					    "operation failed: '%s' speaks version %u of the worker's protocol, "
					    "vmmd version %u: install them together",
					    dom->daemon->worker_path, hello->protocol,
					    WORKER_PROTOCOL_VERSION));
	else if (dom->state == DOMAIN_STARTING)
		link_start(dom->link, dom->live_xml, dom->id, dom->life->start_paused, 0, on_started, dom);
}

/* Sockets of channels that name none are in the run folder, and end with it. */
static void live_fill(struct domain *dom, domain_def *live)
{
	for (unsigned i = 0; i < live->channels->len; i++) {
		struct chardev_def *c = g_ptr_array_index(live->channels, i);
		g_autofree char *folder = supervisor_folder(dom->daemon, dom->uuid_text);
		g_autofree char *file = g_strconcat(c->alias, ".sock", NULL);

		if (c->backend == CHARDEV_UNIX && !c->path)
			c->path = g_build_filename(folder, file, NULL);
	}
}

static domain_def *live_new(struct domain *dom, const domain_def *def, GError **error)
{
	g_autoptr(domain_def) live = NULL;
	int id;

	if (!def)
		def = domain_need_saved(dom, error);
	if (!def || !domain_def_check_start(def, error) ||
	    !store_next_id(dom->daemon->store, &id, error))
		return NULL;
	live = domain_def_copy(def);
	live->id = id;
	live_fill(dom, live);
	return g_steal_pointer(&live);
}

static bool start_begin(struct domain *dom, const domain_def *def, bool paused, GError **error)
{
	domain_def *live;
	int fd, pidfd;

	if (!domain_may(dom, EV_START, error))
		return false;
	live = live_new(dom, def, error);
	if (!live)
		return false;
	if (!supervisor_spawn(dom->daemon, dom->name, dom->uuid_text, &fd, &pidfd, error)) {
		struct supervisor_end end;

		domain_def_free(live);
		supervisor_bury(dom->daemon, dom->uuid_text, &end);
		g_free(end.detail);
		return false;
	}
	domain_step(dom, EV_START, WORKER_CAUSE_NONE, NULL, NULL);
	dom->life = life_new();
	dom->life->start_paused = paused;
	dom->life->permit = permit_new(live);
	domain_set_live(dom, live);
	dom->link = link_new(fd, pidfd, &link_ops, dom);
	return true;
}

void lifecycle_start(struct domain *dom, const domain_def *def, bool paused, lifecycle_done *done,
		     void *opaque)
{
	g_autoptr(GError) error = NULL;

	if (!start_begin(dom, def, paused, &error)) {
		done(dom, error, opaque);
		if (!dom->persistent && !state_is_active(dom->state))
			domain_drop(dom);
		return;
	}
	dom->life->starter = (struct waiter){ done, opaque };
	dom->life->timer = g_timeout_add(dom->daemon->start_timeout_ms, on_start_timeout, dom);
	link_hello(dom->link, 0, on_hello, dom);
}

/* ---- stop ---- */

static gboolean on_stop_timeout(void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;
	g_autoptr(GError) error = NULL;

	life->timer = 0;
	if (!life->polite) {
		g_warning("domain '%s': its worker did not stop: killed", dom->name);
		link_kill(dom->link);
		return G_SOURCE_REMOVE;
	}
	error_set(&error, VMM_ERR_OPERATION_FAILED,
		  "operation failed: the worker of domain '%s' does not stop; destroy it without --graceful",
		  dom->name);
	for (unsigned i = 0; i < life->enders->len; i++) {
		struct waiter w = g_array_index(life->enders, struct waiter, i);

		w.done(dom, error, w.opaque);
	}
	g_array_set_size(life->enders, 0);
	return G_SOURCE_REMOVE;
}

static void on_stop_answered(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;

	if (error && !dom->life->polite)
		link_kill(dom->link);
}

void lifecycle_destroy(struct domain *dom, bool graceful, lifecycle_done *done, void *opaque)
{
	enum domain_state from = dom->state;
	struct waiter w = { done, opaque };
	g_autoptr(GError) error = NULL;
	struct lifecycle *life = dom->life;

	if (!domain_step(dom, EV_DESTROY, WORKER_CAUSE_DESTROYED, NULL, &error)) {
		done(dom, error, opaque);
		return;
	}
	g_array_append_val(life->enders, w);
	life->polite = graceful && (from != DOMAIN_STOPPING || life->polite);
	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_handle_id(&life->powerdown_timer, g_source_remove);
	if (from == DOMAIN_STARTING) {
		link_kill(dom->link);
		return;
	}
	life->timer = g_timeout_add(dom->daemon->stop_timeout_ms, on_stop_timeout, dom);
	if (from != DOMAIN_STOPPING)
		link_command(dom->link, WORKER_PROC_STOP, dom->daemon->stop_timeout_ms, on_stop_answered, dom);
}

/* ---- commands that the worker answers ---- */

struct command {
	struct domain *dom;
	struct waiter waiter;
	enum domain_event event;
};

static void on_command(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct command *c = opaque;

	c->waiter.done(c->dom, error, c->waiter.opaque);
}

static struct command *command_new(struct domain *dom, enum domain_event event, lifecycle_done *done,
				   void *opaque)
{
	g_autoptr(GError) error = NULL;
	struct command *c;

	if (!domain_may(dom, event, &error)) {
		done(dom, error, opaque);
		return NULL;
	}
	c = g_new(struct command, 1);
	*c = (struct command){ dom, { done, opaque }, event };
	return c;
}

static void command_run(struct domain *dom, enum domain_event event, int procedure, lifecycle_done *done,
			void *opaque)
{
	struct command *c = command_new(dom, event, done, opaque);

	if (c)
		link_command(dom->link, procedure, 0, on_command, c);
}

void lifecycle_suspend(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_SUSPEND, WORKER_PROC_PAUSE, done, opaque);
}

void lifecycle_resume(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_RESUME, WORKER_PROC_RESUME, done, opaque);
}

void lifecycle_reset(struct domain *dom, lifecycle_done *done, void *opaque)
{
	command_run(dom, EV_RESET, WORKER_PROC_RESET, done, opaque);
}

static gboolean on_powerdown_ignored(void *opaque)
{
	struct domain *dom = opaque;

	dom->life->powerdown_timer = 0;
	dom->life->by_host = false;
	domain_step(dom, EV_IGNORED, WORKER_CAUSE_NONE, "the guest did not heed the power button", NULL);
	return G_SOURCE_REMOVE;
}

static void on_powerdown(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct command *c = opaque;
	struct domain *dom = c->dom;
	struct lifecycle *life = dom->life;

	if (!error && c->event == EV_SHUTDOWN &&
	    domain_step(dom, EV_SHUTDOWN, WORKER_CAUSE_NONE, NULL, NULL)) {
		life->by_host = true;
		g_clear_handle_id(&life->powerdown_timer, g_source_remove);
		life->powerdown_timer = g_timeout_add(dom->daemon->powerdown_timeout_ms,
						      on_powerdown_ignored, dom);
	}
	c->waiter.done(dom, error, c->waiter.opaque);
}

void lifecycle_shutdown(struct domain *dom, lifecycle_done *done, void *opaque)
{
	struct command *c = command_new(dom, EV_SHUTDOWN, done, opaque);

	if (c)
		link_powerdown(dom->link, false, on_powerdown, c);
}

void lifecycle_reboot(struct domain *dom, lifecycle_done *done, void *opaque)
{
	struct command *c = command_new(dom, EV_REBOOT, done, opaque);

	if (c)
		link_powerdown(dom->link, true, on_powerdown, c);
}

/* ---- an earlier vmmd's workers ---- */

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
	dom->started_us = hello->started_us;
	domain_set_live(dom, live);
}

static void destroyed_orphan(struct domain *dom, const GError *error, void *opaque)
{
	g_message("domain '%s' has ended with the client that it belonged to", dom->name);
}

static void on_adopted(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	const worker_hello_ret *hello = ret;

	adopt_settled(dom);
	if (error) {
		g_warning("domain '%s': its worker does not answer: %s", dom->name, error->message);
		domain_step(dom, EV_READY, WORKER_CAUSE_NONE, "its worker does not answer", NULL);
		return;
	}
	if (hello->state == WORKER_EMPTY || hello->state == WORKER_STOPPED) {
		link_kill(dom->link);		/* vmmd was killed before START, or it is ending anyhow */
		return;
	}
	adopt_live(dom, hello);
	if (dom->state == DOMAIN_STARTING)
		domain_step(dom, EV_READY, WORKER_CAUSE_BOOTED, NULL, NULL);
	on_state(hello->state, hello->cause, hello->detail, dom);
	g_message("domain '%s' goes on, %s, id %d", dom->name, state_name(dom->state), dom->id);
	if (supervisor_marked(dom->daemon, dom->uuid_text, SUPERVISOR_AUTODESTROY))
		lifecycle_destroy(dom, false, destroyed_orphan, NULL);
}

static void adopt(struct daemon *daemon, const char *uuid_text, unsigned *waiting)
{
	uint8_t uuid[UUID_BYTES];
	struct domain *dom;
	int fd, pidfd;

	if (!uuid_from_text(uuid_text, uuid))
		return;
	dom = domain_find_uuid(daemon->domains, uuid);
	if (!supervisor_find(daemon, uuid_text, &fd, &pidfd)) {
		struct supervisor_end end;

		supervisor_bury(daemon, uuid_text, &end);
		if (dom && dom->state == DOMAIN_OFF) {
			dom->reason = state_reason(DOMAIN_OFF, end.cause);
			dom->detail = g_strdup(end.detail ?: "its worker died while vmmd was away");
			state_store(dom);
		}
		g_free(end.detail);
		return;
	}
	if (!dom)
		dom = domain_new(daemon, uuid, uuid_text);
	dom->life = life_new();
	dom->life->adopting = waiting;
	++*waiting;
	domain_step(dom, EV_START, WORKER_CAUSE_NONE, NULL, NULL);
	dom->link = link_new(fd, pidfd, &link_ops, dom);
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
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		if (!dom->life || !dom->life->adopting)
			continue;
		dom->life->adopting = NULL;
		if (dom->saved)
			domain_set_live(dom, domain_def_copy(dom->saved));
		domain_step(dom, EV_READY, WORKER_CAUSE_NONE, "its worker does not answer", NULL);
		g_warning("domain '%s': its worker has not answered yet", dom->name);
	}
}

void lifecycle_adopt_all(struct daemon *daemon, unsigned wait_ms)
{
	g_auto(GStrv) found = supervisor_scan(daemon);
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
	starter_tell(dom, error);
	g_clear_pointer(&dom->link, link_free);
	g_clear_pointer(&dom->life, life_free);
}

void lifecycle_leave_all(struct daemon *daemon)
{
	g_autoptr(GPtrArray) all = domain_table_list(daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = g_ptr_array_index(all, i);

		if (dom->life)
			leave(dom);
	}
}
