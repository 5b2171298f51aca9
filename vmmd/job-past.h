/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last job of a domain that has ended: listeners hear of it, and it is kept to be asked for. */
#pragma once

#include "vmmd/domain.h"

/* libvirt's numbers. */
enum job_operation { JOB_OPERATION_SAVE = 2 };
enum wire_job { JOB_NONE = 0, JOB_UNBOUNDED = 2, JOB_COMPLETED = 3, JOB_FAILED = 4,
		JOB_CANCELLED = 5 };

struct job_past;

/* began_us: monotonic; bytes: of what it made; error NULL: it has succeeded. */
void job_past_note(struct domain *dom, enum job_operation operation, int64_t began_us,
		   uint64_t bytes, const GError *error);
/* JOB_NONE: there was none.  *ret_params, of remote_param, is job's; untouched then. */
enum wire_job job_past_look(const struct job_past *job, const GArray **ret_params);
void job_past_free(struct job_past *job);
