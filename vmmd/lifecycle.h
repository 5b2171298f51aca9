/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What happens to a domain over time: start, stop and all between, in steps
 * that wait for its worker.
 *
 * done runs once per call, perhaps before the call returns; the domain is
 * still there then, but a transient one may be gone right after.
 */
#pragma once

#include "vmmd/domain.h"

typedef void lifecycle_done(struct domain *dom, const GError *error, void *opaque);

/* Takes out what a start has put into the definition: somebody gives us a live one to keep. */
void lifecycle_strip(const struct daemon *daemon, domain_def *def);
/* def (not taken) is what runs: NULL for the saved definition, or the saved memory. */
void lifecycle_start(struct domain *dom, const domain_def *def, bool paused, lifecycle_done *done,
		     void *opaque);
/*
 * As def in fd (both the caller's, fd taken) was saved.  managed: the domain's
 * own file, which is removed before the guest runs.
 */
void lifecycle_start_saved(struct domain *dom, const domain_def *def, int fd, bool managed,
			   bool paused, lifecycle_done *done, void *opaque);
/* graceful: never by SIGKILL; an error when the worker does not end in time. */
void lifecycle_destroy(struct domain *dom, bool graceful, lifecycle_done *done, void *opaque);
void lifecycle_suspend(struct domain *dom, lifecycle_done *done, void *opaque);
void lifecycle_resume(struct domain *dom, lifecycle_done *done, void *opaque);
void lifecycle_shutdown(struct domain *dom, lifecycle_done *done, void *opaque);
void lifecycle_reboot(struct domain *dom, lifecycle_done *done, void *opaque);
void lifecycle_reset(struct domain *dom, lifecycle_done *done, void *opaque);

/*
 * Finds the workers of an earlier vmmd and goes on with them; buries the dead.
 * Iterates the main loop until all have answered, wait_ms at most: the rest is
 * taken as running, and can be destroyed.
 */
void lifecycle_adopt_all(struct daemon *daemon, unsigned wait_ms);
/* Lets go of all workers; they go on. */
void lifecycle_leave_all(struct daemon *daemon);
