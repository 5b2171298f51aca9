/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From the wish to start a domain to START's answer. */
#include "config.h"
#include "vmmd/lifecycle-priv.h"

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/fault.h"
#include "vmmd/cgroup.h"
#include "vmmd/cid.h"
#include "vmmd/console-log.h"
#include "vmmd/event.h"
#include "vmmd/graph.h"
#include "vmmd/network.h"
#include "vmmd/save.h"
#include "vmmd/store.h"
#include "vmmd/supervisor.h"
#include "vmmd/threads.h"

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

	/* destroyed meanwhile: that is not its worker's fault */
	if (dom->state == DOMAIN_STOPPING)
		return;
	if (g_error_matches(error, VMM_ERROR, VMM_ERR_RPC))
		error_set(
			&why, VMM_ERR_OPERATION_FAILED,
			"operation failed: the worker of domain '%s' ended before its machine was "
			"built (%s): \"vmsh log %s\" may know why",
			dom->name, error->message, dom->name);
	else
		why = g_error_copy(error);
	start_fail(dom, why);
}

static gboolean on_start_timeout(void *opaque)
{
	struct domain *dom = opaque;

	dom->life->timer = 0;
	start_fail(
		dom,
		g_error_new(
			VMM_ERROR, VMM_ERR_TIMEOUT,
			"operation timed out: the worker of domain '%s' did not answer within %u "
			"ms: \"vmsh log %s\" may know why",
			dom->name, dom->daemon->start_timeout_ms, dom->name));
	return G_SOURCE_REMOVE;
}

static void start_end(struct domain *dom)
{
	struct lifecycle *life = dom->life;
	int cause = life->restored ? WORKER_CAUSE_RESTORED : WORKER_CAUSE_BOOTED;

	g_clear_handle_id(&life->timer, g_source_remove);
	g_clear_pointer(&life->permit, permit_free);
	dom->started_us = g_get_real_time();
	dom->boot_ms = (g_get_monotonic_time() - life->wished_us + 500) / 1000;
	dom->restored = life->restored;
	event_run(dom, NULL);
	domain_step(dom, life->start_paused ? EV_READY_PAUSED : EV_READY,
		    life->start_paused ? WORKER_CAUSE_USER : cause, NULL, NULL);
	g_message("domain '%s' has started, id %d", dom->name, dom->id);
	event_lifecycle(dom, LIFECYCLE_STARTED,
			life->restored ? LIFECYCLE_STARTED_RESTORED : LIFECYCLE_STARTED_BOOTED);
	if (life->start_paused)
		event_lifecycle(dom, LIFECYCLE_SUSPENDED, LIFECYCLE_SUSPENDED_PAUSED);
	else
		event_lifecycle(dom, LIFECYCLE_RESUMED, life->restored
				? LIFECYCLE_RESUMED_FROM_SNAPSHOT : LIFECYCLE_RESUMED_UNPAUSED);
	life_tell_starter(dom, NULL);
}

static void on_running(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;

	if (error)
		start_fail_by(dom, error);
	else if (!dom->life->start_error && dom->state != DOMAIN_STOPPING)
		start_end(dom);
}

/* The machine is there, and held: its file goes, then it runs (save.h). */
static void managed_commit(struct domain *dom)
{
	g_autoptr(GError) error = NULL;

	fault_point("restore:held");
	if (!save_managed_remove(dom, &error)) {
		start_fail(dom, g_steal_pointer(&error));
		return;
	}
	fault_point("restore:removed");
	if (dom->life->start_paused)
		start_end(dom);
	else
		link_command(dom->link, WORKER_PROC_RESUME, 0, on_running, dom);
}

static void on_started(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	struct lifecycle *life = dom->life;
	g_autoptr(GError) why = NULL;

	if (error) {
		start_fail_by(dom, error);
		return;
	}
	if (life->start_error || dom->state == DOMAIN_STOPPING)
		return;
	fd_close(&life->state_fd);
	if (!threads_pin_all(supervisor_pid(dom->daemon, dom->uuid_text), dom->live, &why)) {
		start_fail(dom, g_steal_pointer(&why));
		return;
	}
	if (life->managed)
		managed_commit(dom);
	else
		start_end(dom);
}

static unsigned start_flags(const struct lifecycle *life)
{
	if (life->start_paused)
		return WORKER_START_PAUSED;
	return life->managed ? WORKER_START_HELD : 0;
}

static void worker_start(struct domain *dom)
{
	auto_close int log_fd = console_log_open(dom);

	link_start(dom->link, dom->live_xml, dom->id, start_flags(dom->life), dom->life->state_fd,
		   log_fd, dom->daemon->console_log_bytes, on_started, dom);
}

static void on_hello(const void *ret, const GError *error, void *opaque)
{
	struct domain *dom = opaque;
	const worker_hello_ret *hello = ret;
	g_autoptr(GError) why = NULL;

	if (error)
		start_fail_by(dom, error);
	else if (hello->protocol != WORKER_PROTOCOL_VERSION)
		start_fail(
			dom,
			g_error_new(
				VMM_ERROR, VMM_ERR_OPERATION_FAILED,
				"operation failed: '%s' speaks version %u of the worker's "
				"protocol, vmmd version %u: install them together",
				dom->daemon->worker_path, hello->protocol,
				WORKER_PROTOCOL_VERSION));
	else if (!cgroup_apply(dom->daemon, dom->uuid_text,
			       supervisor_pid(dom->daemon, dom->uuid_text), NULL, &dom->live->tune,
			       &why))
		start_fail(dom, g_steal_pointer(&why));
	else if (dom->state == DOMAIN_STARTING)
		worker_start(dom);
}

/* Sockets of channels that name none are in the run folder, and end with it. */
static void live_fill(struct domain *dom, domain_def *live)
{
	for (unsigned i = 0; i < live->channels->len; i++) {
		struct chardev_def *c = g_ptr_array_index(live->channels, i);
		g_autofree char *folder =
			supervisor_folder(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);
		g_autofree char *file = g_strconcat(c->alias, ".sock", NULL);

		if (c->backend == CHARDEV_UNIX && !c->path)
			c->path = g_build_filename(folder, file, NULL);
	}
}

void lifecycle_strip(const struct daemon *daemon, domain_def *def)
{
	g_autofree char *folders = supervisor_folder(daemon, SUPERVISED_DOMAIN, "");

	for (unsigned i = 0; i < def->channels->len; i++) {
		struct chardev_def *c = g_ptr_array_index(def->channels, i);

		if (c->backend == CHARDEV_UNIX && c->path && g_str_has_prefix(c->path, folders))
			g_clear_pointer(&c->path, g_free);
	}
}

static domain_def *live_new(struct domain *dom, const domain_def *def, GError **error)
{
	g_autoptr(domain_def) live = NULL;
	int id;

	if (!def)
		def = domain_need_saved(dom, error);
	if (!def || !domain_def_check_start(def, error) ||
	    !graph_check_start(dom->daemon, def, error) ||
	    !networks_check_start(dom->daemon, def, error) ||
	    !store_next_id(dom->daemon->store, &id, error))
		return NULL;
	live = domain_def_copy(def);
	live->id = id;
	live_fill(dom, live);
	return cid_choose(dom->daemon, dom, live, error) ? g_steal_pointer(&live) : NULL;
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
	if (!supervisor_spawn(dom->daemon, SUPERVISED_DOMAIN, dom->name, dom->uuid_text, &fd,
			      &pidfd, error)) {
		domain_def_free(live);
		supervisor_bury(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text);
		return false;
	}
	domain_step(dom, EV_START, WORKER_CAUSE_NONE, NULL, NULL);
	dom->life = life_new();
	dom->life->start_paused = paused;
	dom->life->permit = permit_new(live, dom->daemon->state_dir);
	domain_set_live(dom, live);
	dom->link = link_new(fd, pidfd, &life_link_ops, dom);
	life_hear(dom);
	return true;
}

/* Else the disks would go on, and the saved memory would meet others than it knew. */
static bool saved_is_heeded(const struct domain *dom, bool managed, GError **error)
{
	if (managed || dom->state != DOMAIN_SAVED)
		return true;
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: domain '%s' has saved memory: start it "
			 "from that, or discard it by managedsave-remove",
			 dom->name);
}

static void start(struct domain *dom, const domain_def *def, int fd, bool managed, bool paused,
		  lifecycle_done *done, void *opaque)
{
	int64_t wished_us = g_get_monotonic_time();
	auto_close int state_fd = fd;
	g_autoptr(GError) error = NULL;

	if (!saved_is_heeded(dom, managed, &error) || !start_begin(dom, def, paused, &error)) {
		done(dom, error, opaque);
		if (!dom->persistent && !state_is_active(dom->state))
			domain_drop(dom);
		return;
	}
	dom->life->wished_us = wished_us;
	dom->life->restored = fd >= 0;
	dom->life->managed = managed;
	dom->life->state_fd = TAKE_FD(state_fd);
	dom->life->starter = (struct waiter){ done, opaque };
	dom->life->timer = g_timeout_add(dom->daemon->start_timeout_ms, on_start_timeout, dom);
	link_hello(dom->link, 0, on_hello, dom);
}

void lifecycle_start(struct domain *dom, const domain_def *def, bool paused, lifecycle_done *done,
		     void *opaque)
{
	if (!def && dom->state == DOMAIN_SAVED)
		save_managed_start(dom, paused, done, opaque);
	else
		start(dom, def, -1, false, paused, done, opaque);
}

void lifecycle_start_saved(struct domain *dom, const domain_def *def, int fd, bool managed,
			   bool paused, lifecycle_done *done, void *opaque)
{
	start(dom, def, fd, managed, paused, done, opaque);
}
