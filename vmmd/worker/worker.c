/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine's life: what follows when it ends, by the definition's on_poweroff,
 * on_reboot and on_crash.  Restarts happen here, in place, so they work while
 * no vmmd is there; every other end ends the worker.
 */
#include "config.h"
#include "vmmd/worker/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "libvmm/device/recorder.h"
#include "libvmm/domain/domain.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* A guest that crashes this often, each time within QUICK_US of its start, is left alone. */
#define QUICK_CRASHES_MAX 3
#define QUICK_US (20 * G_USEC_PER_SEC)
/* How long readers of the console get to take the last words. */
#define LAST_WORDS_MS 500

static const char *const state_names[] = {
	[WORKER_EMPTY] = "empty", [WORKER_PAUSED] = "paused",
	[WORKER_RUNNING] = "running", [WORKER_STOPPED] = "stopped",
};

static void state_set(struct worker *w, enum worker_state state, enum worker_cause cause,
		      const char *detail)
{
	g_autofree char *old G_GNUC_UNUSED = w->detail;

	w->state = state;
	w->cause = cause;
	w->detail = g_strdup(detail ?: "");
	g_info("%s: cause %d%s%s", state_names[state], cause, detail ? ": " : "", detail ?: "");
	if (w->front->state)
		w->front->state(w, w->front->opaque);
}

static void restart_ready(void *opaque, const GError *error)
{
	struct worker *w = opaque;

	w->restarting = false;
	if (error) {
		worker_stop(w, WORKER_CAUSE_FAILED, error->message);
		return;
	}
	w->last_restart_us = g_get_monotonic_time();
	if (w->recorder)
		recorder_boot(w->recorder, CONLOG_REBOOTED);
	machine_resume(w->machine);
	state_set(w, WORKER_RUNNING, WORKER_CAUSE_BOOTED, NULL);
	if (w->front->rebooted)
		w->front->rebooted(w->front->opaque);
}

static void restart(struct worker *w)
{
	if (w->restarting)
		return;
	w->restarting = true;
	w->restart_at_poweroff = false;
	machine_reset(w->machine, restart_ready, w);
}

static bool crashes_too_often(struct worker *w)
{
	bool quick = g_get_monotonic_time() - w->last_restart_us < QUICK_US;

	w->quick_crashes = quick ? w->quick_crashes + 1 : 1;
	return w->quick_crashes > QUICK_CRASHES_MAX;
}

static void end_follow(struct worker *w, int action, enum worker_cause cause, const char *detail)
{
	bool crash = cause == WORKER_CAUSE_CRASHED;

	if (action == WORKER_ACTION_PRESERVE) {
		state_set(w, WORKER_PAUSED, cause, detail);
	} else if (action == WORKER_ACTION_DESTROY) {
		worker_stop(w, cause, detail);
	} else if (crash && crashes_too_often(w)) {
		g_autofree char *text = g_strdup_printf("%s (and so %u times in a row)",
							detail ?: "crashed", w->quick_crashes);
		worker_stop(w, cause, text);
	} else {
		restart(w);
	}
}

static void on_ended(void *opaque, enum machine_end end, const char *detail)
{
	struct worker *w = opaque;

	switch (end) {
	case MACHINE_POWEROFF:
		end_follow(w,
			   w->restart_at_poweroff ? w->actions.on_reboot : w->actions.on_poweroff,
			   WORKER_CAUSE_GUEST_POWEROFF, detail);
		return;
	case MACHINE_RESET:
		end_follow(w, w->actions.on_reboot, WORKER_CAUSE_GUEST_RESET, detail);
		return;
	case MACHINE_CRASHED:
		end_follow(w, w->actions.on_crash, WORKER_CAUSE_CRASHED, detail);
		return;
	case MACHINE_FAILED:
		worker_stop(w, WORKER_CAUSE_FAILED, detail);
		return;
	}
}

static void on_io_error(void *opaque, const char *target, const char *path, int err, bool paused)
{
	struct worker *w = opaque;

	if (w->front->io_error)
		w->front->io_error(target, path, err, paused, w->front->opaque);
	if (paused && w->state == WORKER_RUNNING) {
		g_autofree char *text = g_strdup_printf("disk '%s' (%s): %s", target, path,
							g_strerror(err));
		state_set(w, WORKER_PAUSED, WORKER_CAUSE_IO_ERROR, text);
	}
}

/* Whoever paused it himself meanwhile wants it to stay so. */
static void on_io_room(void *opaque)
{
	struct worker *w = opaque;

	if (w->state == WORKER_PAUSED && w->cause == WORKER_CAUSE_IO_ERROR)
		worker_resume(w, WORKER_CAUSE_USER);
}

static void on_job(void *opaque, const char *target, int kind, int event, const char *text)
{
	struct worker *w = opaque;

	if (w->front->job)
		w->front->job(target, kind, event, text, w->front->opaque);
}

static void on_balloon(void *opaque, uint64_t guest_bytes)
{
	struct worker *w = opaque;

	if (w->front->balloon)
		w->front->balloon(guest_bytes / 1024, w->front->opaque);
}

/* <vcpu cpuset=>: before there are other threads, so that all that come are there too. */
static bool pin(const struct domain_def *def, GError **error)
{
	uint8_t map[DOMAIN_CPUS_MAX / 8];
	cpu_set_t *cpus = CPU_ALLOC(DOMAIN_CPUS_MAX);
	size_t bytes = CPU_ALLOC_SIZE(DOMAIN_CPUS_MAX);
	int r;

	CPU_ZERO_S(bytes, cpus);
	domain_cpuset_map(def->cpuset, map);
	for (unsigned i = 0; i < DOMAIN_CPUS_MAX; i++)
		if (map[i / 8] & 1u << i % 8)
			CPU_SET_S(i, bytes, cpus);
	r = sched_setaffinity(0, bytes, cpus) < 0 ? errno : 0;
	CPU_FREE(cpus);
	return r == 0 || error_errno(error, r, "<vcpu cpuset='%s'>: none of these CPUs can be used",
				     def->cpuset);
}

/* Without a journal a guest runs all the same. */
static void record(struct worker *w, const struct worker_log *log)
{
	g_autoptr(GError) error = NULL;

	if (log->fd >= 0)
		w->recorder = recorder_new(log->fd, log->bytes, &error);
	if (error)
		g_warning("the consoles' output is not kept: %s", error->message);
}

static bool build(struct worker *w, struct domain_def *def, const struct machine_host *opts,
		  const struct worker_log *log, int state_fd, GError **error)
{
	struct machine_host host = *opts;
	const struct machine_events events = {
		.ended = on_ended,
		.io_error = on_io_error,
		.io_room = on_io_room,
		.job = on_job,
		.balloon_changed = on_balloon,
		.opaque = w,
	};

	w->def = def;
	w->actions = (struct worker_actions){
		.on_poweroff = (int)def->on_poweroff,
		.on_reboot = (int)def->on_reboot,
		.on_crash = (int)def->on_crash,
	};
	record(w, log);
	if (def->cpuset && !pin(def, error))
		return false;
	host.recorder = w->recorder;
	w->machine = state_fd < 0 ? machine_build(def, &host, &events, error)
				  : machine_build_saved(def, &host, &events, state_fd, error);
	if (w->machine && w->recorder)
		recorder_boot(w->recorder, state_fd < 0 ? CONLOG_STARTED : CONLOG_RESTORED);
	return w->machine != NULL;
}

bool worker_build(struct worker *w, struct domain_def *def, const struct machine_host *host,
		  const struct worker_log *log, GError **error)
{
	return build(w, def, host, log, -1, error);
}

bool worker_restore(struct worker *w, struct domain_def *def, const struct machine_host *host,
		    const struct worker_log *log, int state_fd, GError **error)
{
	return build(w, def, host, log, state_fd, error);
}

void worker_resume(struct worker *w, enum worker_cause cause)
{
	w->last_restart_us = cause == WORKER_CAUSE_BOOTED ? g_get_monotonic_time()
							  : w->last_restart_us;
	machine_resume(w->machine);
	state_set(w, WORKER_RUNNING, cause, NULL);
}

struct pause {
	struct worker *w;
	enum worker_cause cause;
	void (*done)(void *opaque);
	void *opaque;
};

static void pause_done(void *opaque)
{
	g_autofree struct pause *p = opaque;
	bool stands = p->w->state == WORKER_PAUSED && p->w->cause == WORKER_CAUSE_IO_ERROR;

	/* It may have ended by itself in the meantime: then that is its state. */
	if (stands || (p->w->state == WORKER_RUNNING && !machine_is_running(p->w->machine)))
		state_set(p->w, WORKER_PAUSED, p->cause, NULL);
	p->done(p->opaque);
}

void worker_pause(struct worker *w, enum worker_cause cause, void (*done)(void *opaque),
		  void *opaque)
{
	struct pause *p = g_new(struct pause, 1);

	*p = (struct pause){ .w = w, .cause = cause, .done = done, .opaque = opaque };
	machine_pause(w->machine, pause_done, p);
}

struct save {
	struct worker *w;
	char *detail;
	machine_saved_fn *done;
	void *opaque;
};

static void save_done(void *opaque, const GError *error)
{
	g_autofree struct save *s = opaque;
	struct worker *w = s->w;

	w->save_begun_us = 0;
	if (!error)
		state_set(w, WORKER_PAUSED, WORKER_CAUSE_SAVED, s->detail);
	g_free(s->detail);
	s->done(s->opaque, error);
}

void worker_save(struct worker *w, const struct machine_save_opts *opts, const char *detail,
		 machine_saved_fn *done, void *opaque)
{
	struct save *s = g_new(struct save, 1);

	*s = (struct save){ w, g_strdup(detail), done, opaque };
	w->save_begun_us = g_get_monotonic_time();
	machine_save(w->machine, opts, save_done, s);
}

bool worker_powerdown(struct worker *w, bool restart_after, GError **error)
{
	if (w->state != WORKER_RUNNING)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "the guest is %s: it can't see the power button",
				 state_names[w->state]);
	w->restart_at_poweroff = restart_after;
	machine_powerdown(w->machine);
	return true;
}

void worker_reset(struct worker *w)
{
	w->quick_crashes = 0;
	restart(w);
}

/* "STATE CAUSE detail": what a vmmd that was not there reads later. */
static void status_write(const struct worker *w)
{
	g_autofree char *line = g_strdup_printf("%d %d %s\n", w->state, w->cause, w->detail);

	if (w->status_fd < 0)
		return;
	if (ftruncate(w->status_fd, 0) < 0 ||
	    pwrite(w->status_fd, line, strlen(line), 0) != (ssize_t)strlen(line))
		g_warning("can't write the status file: %s", g_strerror(errno));
}

void worker_stop(struct worker *w, enum worker_cause cause, const char *detail)
{
	g_autofree char *kept = g_strdup(detail);
	struct machine *m;

	if (w->state == WORKER_STOPPED)
		return;
	/* Freeing iterates the main loop: whoever comes meanwhile finds no machine. */
	m = g_steal_pointer(&w->machine);
	if (m)
		machine_drain_hubs(m, LAST_WORDS_MS);
	machine_free(m);
	g_clear_pointer(&w->recorder, recorder_free);
	state_set(w, WORKER_STOPPED, cause, kept);
	w->exit_status = cause == WORKER_CAUSE_CRASHED || cause == WORKER_CAUSE_FAILED;
	status_write(w);
	g_main_loop_quit(w->loop);
}

void worker_done(struct worker *w)
{
	machine_free(g_steal_pointer(&w->machine));
	g_clear_pointer(&w->recorder, recorder_free);
	g_clear_pointer(&w->def, domain_def_free);
	g_clear_pointer(&w->detail, g_free);
	g_clear_pointer(&w->loop, g_main_loop_unref);
}

int worker_signals_new(int one_more)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (one_more)
		sigaddset(&set, one_more);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}
