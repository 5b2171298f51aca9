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
#include "vmmd/lifecycle-priv.h"

#include <errno.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/disk-job.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/handed.h"
#include "vmmd/network.h"
#include "vmmd/outbound.h"
#include "vmmd/said.h"
#include "vmmd/save.h"
#include "vmmd/store.h"
#include "vmmd/supervisor.h"

struct lifecycle *life_new(void)
{
	struct lifecycle *life = g_new0(struct lifecycle, 1);

	life->state_fd = -1;
	life->enders = g_array_new(FALSE, FALSE, sizeof(struct waiter));
	return life;
}

void life_free(struct lifecycle *life)
{
	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_handle_id(&life->powerdown_timer, g_source_remove);
	g_array_unref(life->enders);
	permit_free(life->permit);
	fd_close(&life->state_fd);
	g_clear_error(&life->start_error);
	g_free(life->said_detail);
	g_free(life);
}

void life_tell_starter(struct domain *dom, const GError *error)
{
	struct waiter w = dom->life->starter;

	dom->life->starter = (struct waiter){ 0 };
	if (w.done)
		w.done(dom, error, w.opaque);
}

void life_tell_enders(struct domain *dom, const GError *error)
{
	g_autoptr(GArray) enders = g_steal_pointer(&dom->life->enders);

	dom->life->enders = g_array_new(FALSE, FALSE, sizeof(struct waiter));
	for (unsigned i = 0; i < enders->len; i++) {
		struct waiter w = g_array_index(enders, struct waiter, i);

		w.done(dom, error, w.opaque);
	}
}

void life_answered(struct domain *dom)
{
	if (dom->life->adopting)
		--*dom->life->adopting;
	dom->life->adopting = NULL;
}

void life_hear(struct domain *dom)
{
	int fd = supervisor_hear(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);

	dom->said = said_new(fd, said_domain_line, dom);
}

void life_store_state(struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	if (dom->persistent && !store_set_state(dom->daemon->store, dom->uuid, (int)dom->state,
						(int)dom->reason, &error))
		g_warning("domain '%s': %s", dom->name, error->message);
}

/* ---- what becomes known ---- */

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

void life_take_state(struct domain *dom, int state, int cause, const char *detail)
{
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

static void on_state(int state, int cause, const char *detail, void *opaque)
{
	life_take_state(opaque, state, cause, detail);
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

static void on_job(const worker_event_job *ev, void *opaque)
{
	disk_job_event(opaque, ev);
}

static int on_open(const char *path, unsigned flags, void *opaque, GError **error)
{
	struct domain *dom = opaque;
	auto_close int fd = -1;

	if (!dom->life->permit) {
		error_set(error, VMM_ERR_ACCESS_DENIED,
			  "files are opened only while the domain starts");
		return -1;
	}
	fd = permit_open(dom->life->permit, path, flags, error);
	return fd >= 0 && handed_note(dom, fd, error) ? TAKE_FD(fd) : -1;
}

static int on_open_folder(const char *alias, worker_folder_ret *ret, void *opaque, GError **error)
{
	struct domain *dom = opaque;
	struct folder folder;

	if (!dom->life->permit) {
		error_set(error, VMM_ERR_ACCESS_DENIED,
			  "folders are opened only while the domain starts");
		return -1;
	}
	if (!permit_open_folder(dom->life->permit, dom->daemon, alias, &folder, error))
		return -1;
	*ret = (worker_folder_ret){ folder.mapped, folder.uid, folder.gid };
	return folder.fd;
}

static struct iface_def *iface_of(struct domain *dom, const char *alias)
{
	for (unsigned i = 0; dom->live && i < dom->live->ifaces->len; i++) {
		struct iface_def *iface = g_ptr_array_index(dom->live->ifaces, i);

		if (g_strcmp0(iface->alias, alias) == 0)
			return iface;
	}
	return NULL;
}

static enum link_tap on_open_tap(const char *alias, unsigned queues, int *fds, char **ret_ifname,
				 const struct frame_header *call, void *opaque, GError **error)
{
	struct domain *dom = opaque;
	struct iface_def *iface = iface_of(dom, alias);
	enum link_tap tap;

	if (!dom->life->permit || !iface) {
		error_set(error, VMM_ERR_ACCESS_DENIED,
			  "a domain's own interfaces are opened, and only while it starts");
		return LINK_TAP_FAILED;
	}
	if (iface->type == IFACE_NETWORK)
		tap = network_open_tap(dom, iface, fds, ret_ifname, call, error);
	else
		tap = permit_open_tap(dom->life->permit, alias, queues, fds, ret_ifname, error)
			      ? LINK_TAP_DONE : LINK_TAP_FAILED;
	if (tap == LINK_TAP_DONE) {
		g_free(iface->target);
		iface->target = g_strdup(*ret_ifname);
		domain_refresh_live(dom);
	}
	return tap;
}

static int on_outbound(void *opaque, GError **error)
{
	struct domain *dom = opaque;

	return outbound_again(dom, &dom->life->outbound_us, error);
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
		return life->saved ? WORKER_CAUSE_SAVED : WORKER_CAUSE_DESTROYED;
	if (end->cause != WORKER_CAUSE_NONE) {
		*ret_detail = g_strdup(end->detail);
		return end->cause;
	}
	if (life->said_cause != WORKER_CAUSE_NONE) {
		*ret_detail = g_strdup(life->said_detail);
		return life->said_cause;
	}
	*ret_detail = g_strdup_printf("its worker %s", how);
	return WORKER_CAUSE_LOST;
}

static enum lifecycle_detail stopped_detail(int cause)
{
	switch (cause) {
	case WORKER_CAUSE_GUEST_POWEROFF:
	case WORKER_CAUSE_GUEST_RESET:
		return LIFECYCLE_STOPPED_SHUTDOWN;
	case WORKER_CAUSE_DESTROYED:
		return LIFECYCLE_STOPPED_DESTROYED;
	case WORKER_CAUSE_SAVED:
		return LIFECYCLE_STOPPED_SAVED;
	case WORKER_CAUSE_CRASHED:
		return LIFECYCLE_STOPPED_CRASHED;
	default:	/* a lost worker too: "Crashed" is of guests, and libvirt tells it so */
		return LIFECYCLE_STOPPED_FAILED;
	}
}

static const char *end_word(int cause)
{
	switch (cause) {
	case WORKER_CAUSE_GUEST_POWEROFF:
	case WORKER_CAUSE_GUEST_RESET:
		return "shut down";
	case WORKER_CAUSE_DESTROYED:
		return "destroyed";
	case WORKER_CAUSE_SAVED:
		return "saved";
	case WORKER_CAUSE_CRASHED:
		return "crashed";
	default:
		return "failed";
	}
}

void life_note_run(struct domain *dom, int cause, const char *detail)
{
	const char *word = end_word(cause);
	g_autofree char *how = detail && *detail ? g_strdup_printf("%s: %s", word, detail) :
						   g_strdup(word);

	event_run(dom, how);
}

void life_tell_end(struct domain *dom, int cause)
{
	event_lifecycle(dom, LIFECYCLE_STOPPED, stopped_detail(cause));
	event_flush(dom->daemon->events);
}

static void tell_waiters(struct domain *dom)
{
	g_autoptr(GError) error = g_steal_pointer(&dom->life->start_error);

	if (!error)
		error_set(&error, VMM_ERR_ABORTED,
			  "operation aborted: domain '%s' was stopped while it started", dom->name);
	life_tell_starter(dom, error);
	life_tell_enders(dom, NULL);
}

static int conclude(struct domain *dom, const char *how, char **ret_detail)
{
	struct supervisor_end end;
	int cause;

	supervisor_last_words(dom->daemon, dom->uuid_text, &end);
	cause = end_cause(dom, &end, how, ret_detail);
	g_free(end.detail);
	supervisor_conclude(dom->daemon, dom->uuid_text, cause, *ret_detail);
	fault_point("gone:concluded");
	return cause;
}

/* What it had as long as it ran. */
static void forget_live(struct domain *dom)
{
	g_clear_pointer(&dom->link, link_free);
	if (dom->live)
		graph_settle(dom->daemon, dom->live);
	domain_set_live(dom, NULL);
	disk_job_gone(dom);
	dom->autodestroy = NULL;
	dom->balloon_kib = 0;
}

/* The folder goes when the end is stored, so that whenever vmmd is killed one of the two has it. */
static void on_gone(const char *how, void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;
	bool had_started =
		dom->state != DOMAIN_STARTING && !life->start_error && !life->starter.done;
	g_autofree char *detail = NULL;
	int cause;

	life_answered(dom);
	g_clear_pointer(&dom->said, said_free);
	cause = conclude(dom, how, &detail);
	g_message("domain '%s' has ended (cause %d)%s%s", dom->name, cause, detail ? ": " : "",
		  detail ?: "");
	domain_step(dom, EV_GONE, cause, detail, NULL);
	if (save_managed_is_there(dom))
		domain_step(dom, EV_SAVED, cause, life->start_error ? detail : NULL, NULL);
	if (had_started)
		life_note_run(dom, cause, detail);
	forget_live(dom);
	life_store_state(dom);
	fault_point("gone:stored");
	if (had_started && cause == WORKER_CAUSE_GUEST_POWEROFF)
		event_lifecycle(dom, LIFECYCLE_SHUTDOWN, life->by_host ? LIFECYCLE_SHUTDOWN_HOST :
									 LIFECYCLE_SHUTDOWN_GUEST);
	if (had_started)
		life_tell_end(dom, cause);
	else
		logbook_domain(dom, LOG_LEVEL_ERROR, "start-failed", NULL, "%s", detail ?: how);
	fault_point("gone:told");
	supervisor_bury(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);
	fault_point("gone:buried");
	tell_waiters(dom);
	g_clear_pointer(&dom->life, life_free);
	if (!dom->persistent)
		domain_drop(dom);
}

const struct link_ops life_link_ops = {
	.state = on_state, .rebooted = on_rebooted, .balloon = on_balloon, .io_error = on_io_error,
	.job = on_job,
	.open = on_open, .open_tap = on_open_tap,
	.open_folder = on_open_folder, .outbound = on_outbound, .gone = on_gone,
};

