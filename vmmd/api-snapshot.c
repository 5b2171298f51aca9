/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of snapshots, saved memory and jobs, for domains that have none of them. */
#include "config.h"

#include "vmmd/api.h"

static void no_number(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_int_ret){ 0 });
}

static void no_names(struct call *call, const void *argp)
{
	const remote_dom_int_flags_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_names_ret){ 0 });
}

static void no_snapshots(struct call *call, const void *argp)
{
	const remote_dom_list_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_snaps_ret){ 0 });
}

static void no_checkpoints(struct call *call, const void *argp)
{
	const remote_dom_list_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_reply(call, &(remote_checkpoints_ret){ 0 });
}

static void no_snapshot_named(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	if (api_domain_of(call, &args->dom))
		call_fail_text(call, VMM_ERR_NO_SNAPSHOT,
			       "Domain snapshot not found: no domain snapshot with "
			       "matching name '%s'",
			       args->text);
}

static void no_current(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);

	if (dom)
		call_fail_text(call, VMM_ERR_NO_SNAPSHOT,
			       "Domain snapshot not found: domain '%s' has no "
			       "current snapshot",
			       dom->name);
}

static void job_info(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;

	if (api_active_of(call, &args->dom))
		call_reply(call, &(remote_job_info_ret){ 0 });
}

static void job_stats(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;

	if (api_flags(call, args->flags, 3) && api_active_of(call, &args->dom))
		call_reply(call, &(remote_job_stats_ret){ 0 });
}

static void block_job_info(struct call *call, const void *argp)
{
	const remote_dom_text_flags_args *args = argp;

	if (api_flags(call, args->flags, 1) && api_active_of(call, &args->dom))
		call_reply(call, &(remote_block_job_ret){ 0 });
}

static void no_job_to_abort(struct call *call, const void *argp)
{
	const remote_dom_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);

	if (dom)
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: no job is "
			       "active on domain '%s'",
			       dom->name);
}

const struct api_entry api_snapshot[] = {
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_NUM, no_number },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LIST_NAMES, no_names },
	{ REMOTE_PROC_DOMAIN_LIST_ALL_SNAPSHOTS, no_snapshots },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_LOOKUP_BY_NAME, no_snapshot_named },
	{ REMOTE_PROC_DOMAIN_HAS_CURRENT_SNAPSHOT, no_number },
	{ REMOTE_PROC_DOMAIN_SNAPSHOT_CURRENT, no_current },
	{ REMOTE_PROC_DOMAIN_LIST_ALL_CHECKPOINTS, no_checkpoints },
	{ REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, no_number },
	{ REMOTE_PROC_DOMAIN_GET_JOB_INFO, job_info },
	{ REMOTE_PROC_DOMAIN_GET_JOB_STATS, job_stats },
	{ REMOTE_PROC_DOMAIN_ABORT_JOB, no_job_to_abort },
	{ REMOTE_PROC_DOMAIN_GET_BLOCK_JOB_INFO, block_job_info },
	{ 0 }
};
