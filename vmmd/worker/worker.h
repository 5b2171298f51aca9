/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker: one machine, what is to be done when it ends, and who is told.
 *
 * Everything here belongs to the main loop's thread.  There are two fronts: the
 * control socket (control.c) and the terminal (foreground.c).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine.h"
#include "libvmm/machine/save.h"
#include "libvmm/rpc/worker.h"

struct worker;

/* What a front wants to know; each may be NULL. */
struct worker_front {
	void (*state)(struct worker *w, void *opaque);	/* state, cause or detail has changed */
	void (*rebooted)(void *opaque);
	void (*balloon)(uint64_t kib, void *opaque);
	void (*io_error)(const char *target, const char *path, int err, bool paused, void *opaque);
	void (*job)(const char *target, int kind, int event, const char *text, void *opaque);
	void *opaque;
};

struct worker {
	GMainLoop *loop;
	const struct worker_front *front;
	/* one line about the end, for a vmmd that comes later; or -1 */
	int status_fd;

	struct domain_def *def;		/* owned; NULL before start */
	struct machine *machine;	/* owned; NULL before start and after the end */
	struct recorder *recorder;	/* owned; NULL: what the consoles say is not kept */
	struct worker_actions actions;
	bool restart_at_poweroff;	/* a reboot by the power button */
	bool restarting;
	/* restarts after a crash, in a row, each soon after the last */
	unsigned quick_crashes;
	int64_t last_restart_us;	/* monotonic */
	int64_t save_begun_us;		/* monotonic; 0: none under way */

	enum worker_state state;
	enum worker_cause cause;
	char *detail;
	int exit_status;
};

/* The journal of the consoles. */
struct worker_log {
	int fd;				/* -1: none */
	uint64_t bytes;			/* its bound */
};

/* Builds the machine of def (taken, as log's descriptor is, also on failure); paused. */
bool worker_build(struct worker *w, struct domain_def *def, const struct machine_host *host,
		  const struct worker_log *log, GError **error);
/* The same of a saved machine; state_fd stays the caller's. */
bool worker_restore(struct worker *w, struct domain_def *def, const struct machine_host *host,
		    const struct worker_log *log, int state_fd, GError **error);
void worker_resume(struct worker *w, enum worker_cause cause);
/* done() when the guest stands still. */
void worker_pause(struct worker *w, enum worker_cause cause, void (*done)(void *opaque),
		  void *opaque);
/* machine_save(); after success the guest stands still for the cause SAVED. */
void worker_save(struct worker *w, const struct machine_save_opts *opts, const char *detail,
		 machine_saved_fn *done, void *opaque);
bool worker_powerdown(struct worker *w, bool restart, GError **error);
void worker_reset(struct worker *w);
/* Closes the disks, says why, ends the main loop.  The last thing a worker does. */
void worker_stop(struct worker *w, enum worker_cause cause, const char *detail);
void worker_done(struct worker *w);

/* Blocks the signals that ask a process to end, and one more (0: none); here is their signalfd. */
int worker_signals_new(int one_more);

/* vmmd, connecting to a control socket; -1: nobody, or somebody else. */
int control_accept(int listen_fd);

/* Fronts: each runs the worker to its end and returns the process's exit status. */
int control_run(int listen_fd, int status_fd);
int foreground_run(const char *xml_path);
/* A switch instead of a machine (network.c). */
int network_run(int listen_fd);
