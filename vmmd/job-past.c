/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The last job of a domain that has ended. */
#include "config.h"
#include "vmmd/job-past.h"

#include "libvmm/util/error.h"
#include "vmmd/event.h"
#include "vmmd/params.h"

struct job_past {
	enum wire_job type;
	GArray *params;
};

static enum wire_job type_of(const GError *error)
{
	return !error ? JOB_COMPLETED :
	       g_error_matches(error, VMM_ERROR, VMM_ERR_ABORTED) ? JOB_CANCELLED : JOB_FAILED;
}

void job_past_note(struct domain *dom, enum job_operation operation, int64_t began_us,
		   uint64_t bytes, const GError *error)
{
	struct job_past *job = g_new0(struct job_past, 1);
	int64_t took_us = g_get_monotonic_time() - began_us;

	job->type = type_of(error);
	job->params = params_new();
	params_int(job->params, (int)operation, "operation");
	params_uhyper(job->params, (uint64_t)took_us / 1000, "time_elapsed");
	if (!error) {
		params_uhyper(job->params, bytes, "data_total");
		params_uhyper(job->params, bytes, "data_processed");
		params_uhyper(job->params, 0, "data_remaining");
	}
	params_bool(job->params, !error, "success");
	if (error)
		params_text(job->params, error->message, "errmsg");
	event_job(dom, job->params);
	job_past_free(dom->job_past);
	dom->job_past = job;
}

enum wire_job job_past_look(const struct job_past *job, const GArray **ret_params)
{
	if (!job)
		return JOB_NONE;
	*ret_params = job->params;
	return job->type;
}

void job_past_free(struct job_past *job)
{
	if (!job)
		return;
	g_array_unref(job->params);
	g_free(job);
}
