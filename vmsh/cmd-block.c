/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the disks of domains that run: jobs on their chains, size, limits. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/progress.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"

#define POLL_MS 100

static bool advised(vmm_domain *dom, bool ok, GError **error)
{
	if (!ok)
		fleet_advise(dom, error);
	return ok;
}

/* In bytes a second; virsh counts MiB unless told otherwise. */
static bool bandwidth_of(const struct command_args *args, uint64_t *ret, GError **error)
{
	uint64_t number = args_number(args, "bandwidth", 0);
	bool bytes = args_given(args, "bytes");

	if (!bytes && number > G_MAXUINT64 >> 20)
		return usage_error(error, "%s: no disk is that fast: '%s' MiB/s",
				   args_command(args)->name, args_text(args, "bandwidth"));
	*ret = bytes ? number : number << 20;
	return true;
}

/* ---- waiting for a job ---- */

enum wait_end { WAIT_FAILED, WAIT_OVER, WAIT_READY };

static bool is_waited_for(const struct command_args *args, bool commits)
{
	return args_given(args, "wait") || args_given(args, "timeout") ||
	       (commits && (args_given(args, "pivot") || args_given(args, "keep-overlay")));
}

static void give_up(vmm_domain *dom, const char *disk, const struct command_args *args)
{
	vmm_domain_block_job_abort(dom, disk, args_given(args, "async") ? VMM_BLOCK_ABORT_ASYNC : 0,
				   NULL);
}

/* A job of a head is ready when it is at its end, any other is gone then. */
static enum wait_end job_wait(struct shell *sh, vmm_domain *dom, const char *disk,
			      const struct command_args *args, GError **error)
{
	uint64_t seconds = MIN(args_number(args, "timeout", 0), (uint64_t)G_MAXINT32);
	gint64 until = seconds ? g_get_monotonic_time() + (gint64)seconds * G_USEC_PER_SEC :
				 G_MAXINT64;
	struct progress p = progress_new(sh, args_given(args, "verbose"), false);
	struct vmm_block_job job;

	do {
		if (!vmm_domain_block_job(dom, disk, &job, error)) {
			progress_end(&p, false);
			return WAIT_FAILED;
		}
		progress_tell(&p, job.type ? job.done : 1, job.type ? job.total : 1);
		if (!job.type || (job.type == 4 && job.done == job.total)) {
			progress_end(&p, true);
			return job.type ? WAIT_READY : WAIT_OVER;
		}
	} while (g_get_monotonic_time() < until && shell_sleep(sh, POLL_MS));
	progress_end(&p, false);
	give_up(dom, disk, args);
	g_set_error(error, VMM_ERROR, VMM_ERR_TIMEOUT, "%s of disk '%s' %s: it was aborted",
		    vmm_block_job_text(job.type), disk,
		    shell_interrupted(sh) ? "was interrupted" : "took too long");
	return WAIT_FAILED;
}

/* ---- pull and commit ---- */

static bool cmd_blockpull(struct shell *sh, struct command_args *args, GError **error)
{
	const char *disk = args_text(args, "path");
	g_autoptr(vmm_domain) dom = NULL;
	uint64_t speed;

	if (!bandwidth_of(args, &speed, error))
		return false;
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (!vmm_domain_block_pull(dom, disk, args_text(args, "base"), speed,
				   args_given(args, "keep-relative") ? VMM_BLOCK_PULL_RELATIVE : 0,
				   error))
		return advised(dom, false, error);
	if (!is_waited_for(args, false)) {
		shell_say(sh, "Block Pull of disk '%s' has begun: 'vmsh blockjob' shows it", disk);
		return true;
	}
	if (job_wait(sh, dom, disk, args, error) == WAIT_FAILED)
		return false;
	shell_say(sh, "Disk '%s' has pulled in what was behind it", disk);
	return true;
}

static unsigned commit_flags(const struct command_args *args)
{
	static const struct option_bit flags[] = {
		{ "shallow", VMM_BLOCK_COMMIT_SHALLOW }, { "active", VMM_BLOCK_COMMIT_ACTIVE },
		{ "pivot", VMM_BLOCK_COMMIT_ACTIVE }, { "keep-overlay", VMM_BLOCK_COMMIT_ACTIVE },
		{ "keep-relative", VMM_BLOCK_COMMIT_RELATIVE },
		{ "delete", VMM_BLOCK_COMMIT_DELETE },
		{ 0 },
	};

	return args_bits(args, flags);
}

/* The head and its base are the same now. */
static bool commit_ready(struct shell *sh, vmm_domain *dom, const char *disk,
			 const struct command_args *args, GError **error)
{
	bool pivot = args_given(args, "pivot"), keep = args_given(args, "keep-overlay");

	if (!pivot && !keep) {
		shell_say(sh, "Disk '%s' and its base are the same from now on: 'vmsh blockjob' "
			  "with --pivot or --abort ends it", disk);
		return true;
	}
	if (!vmm_domain_block_job_abort(dom, disk, pivot ? VMM_BLOCK_ABORT_PIVOT : 0, error))
		return advised(dom, false, error);
	shell_say(sh, pivot ? "Disk '%s' goes on with its base" :
			      "Disk '%s' was committed and goes on as it was", disk);
	return true;
}

static bool cmd_blockcommit(struct shell *sh, struct command_args *args, GError **error)
{
	const char *disk = args_text(args, "path");
	g_autoptr(vmm_domain) dom = NULL;
	enum wait_end end;
	uint64_t speed;

	if (args_given(args, "pivot") && args_given(args, "keep-overlay"))
		return usage_error(error, "blockcommit: --pivot and --keep-overlay exclude each "
				   "other");
	if (!bandwidth_of(args, &speed, error))
		return false;
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (!vmm_domain_block_commit(dom, disk, args_text(args, "base"), args_text(args, "top"),
				     speed, commit_flags(args), error))
		return advised(dom, false, error);
	if (!is_waited_for(args, true)) {
		shell_say(sh, "Block Commit of disk '%s' has begun: 'vmsh blockjob' shows it",
			  disk);
		return true;
	}
	end = job_wait(sh, dom, disk, args, error);
	if (end == WAIT_READY)
		return commit_ready(sh, dom, disk, args, error);
	if (end == WAIT_OVER)
		shell_say(sh, "Images of disk '%s' were committed", disk);
	return end == WAIT_OVER;
}

/* ---- a job that is under way ---- */

static bool job_show(struct shell *sh, struct command_args *args, vmm_domain *dom, GError **error)
{
	static const struct column columns[] = {
		{ "Disk", "disk", 0 }, { "Job", "job", 0 }, { "Done", "done", 0 },
		{ "Of", "total", 0 }, { "Limit a second", "bytes-per-second", 0 }, { 0 },
	};
	const char *disk = args_text(args, "path");
	g_autoptr(table) t = table_new(columns);
	struct vmm_block_job job;

	if (!vmm_domain_block_job(dom, disk, &job, error))
		return advised(dom, false, error);
	if (!job.type && !args_json(args)) {
		shell_say(sh, "No block job on disk '%s'", disk);
		return true;
	}
	table_text(t, disk);
	table_text(t, job.type ? vmm_block_job_text(job.type) : NULL);
	table_size(t, job.done);
	table_size(t, job.total);
	if (job.bytes_per_s)
		table_size(t, job.bytes_per_s);
	else
		table_none(t);
	shell_print_record(sh, args, t);
	return true;
}

static bool cmd_blockjob(struct shell *sh, struct command_args *args, GError **error)
{
	bool pivot = args_given(args, "pivot"), async = args_given(args, "async");
	bool ends = args_given(args, "abort") || pivot || async;
	bool limit = args_given(args, "bandwidth");
	const char *disk = args_text(args, "path");
	g_autoptr(vmm_domain) dom = NULL;
	uint64_t speed;

	if (ends + limit + args_given(args, "info") > 1)
		return usage_error(error, "blockjob: one of --abort (--pivot), --bandwidth and "
				   "--info at a time");
	if (!bandwidth_of(args, &speed, error))
		return false;
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (limit)
		return advised(dom, vmm_domain_block_job_set_speed(dom, disk, speed, error), error);
	if (!ends)
		return job_show(sh, args, dom, error);
	if (!vmm_domain_block_job_abort(dom, disk, (pivot ? VMM_BLOCK_ABORT_PIVOT : 0) |
					(async ? VMM_BLOCK_ABORT_ASYNC : 0), error))
		return advised(dom, false, error);
	shell_say(sh, pivot ? "Disk '%s' goes on with its base" :
			      "The block job on disk '%s' was aborted", disk);
	return true;
}

/* ---- size, errors ---- */

static bool cmd_blockresize(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	uint64_t bytes = args_size(args, "size", 1024, 0);
	const char *disk = args_text(args, "path");

	if (!dom || !vmm_domain_block_resize(dom, disk, bytes, error))
		return dom && advised(dom, false, error);
	shell_say(sh, "Disk '%s' resized", disk);
	return true;
}

static bool cmd_domblkerror(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct column columns[] = {
		{ "Disk", "disk", 0 }, { "Error", "error", 0 }, { 0 },
	};
	static const char *const words[] = { "none", "unspecified error", "no space" };
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	g_autoptr(GPtrArray) list = dom ? vmm_domain_disk_errors(dom, error) : NULL;
	g_autoptr(table) t = table_new(columns);

	if (!list)
		return dom && advised(dom, false, error);
	if (list->len == 0 && !args_json(args)) {
		shell_say(sh, "No errors found");
		return true;
	}
	for (unsigned i = 0; i < list->len; i++) {
		const struct vmm_disk_error *e = list->pdata[i];

		table_text(t, e->disk);
		table_text(t, e->error >= 0 && e->error < (int)G_N_ELEMENTS(words) ?
				      words[e->error] : "unknown error");
	}
	shell_print_table(sh, args, t);
	return true;
}

/* ---- limits ---- */

#define LIMITS_MAX 32

/* Those options of blkdeviotune that are limits: "--read-bytes-sec" is "read_bytes_sec". */
static unsigned limits_given(const struct command_args *args, struct vmm_param *ret)
{
	const struct option_def *opt = args_command(args)->options;
	unsigned n = 0;

	for (; opt->name; opt++) {
		if (opt->flags & OPT_POSITION || opt->kind == OPT_FLAG ||
		    !args_given(args, opt->name))
			continue;
		g_strlcpy(ret[n].name, opt->name, sizeof(ret[n].name));
		g_strdelimit(ret[n].name, "-", '_');
		ret[n].type = opt->kind == OPT_STRING ? VMM_PARAM_STRING : VMM_PARAM_ULLONG;
		if (opt->kind == OPT_STRING)
			ret[n].value.s = (char *)args_text(args, opt->name);
		else if (opt->kind == OPT_SIZE)
			ret[n].value.ul = args_size(args, opt->name, 1, 0);
		else
			ret[n].value.ul = args_number(args, opt->name, 0);
		n++;
	}
	return n;
}

static bool limits_show(struct shell *sh, struct command_args *args, vmm_domain *dom,
			GError **error)
{
	static const struct column columns[] = {
		{ "Limit", "limit", 0 }, { "Value", "value", COLUMN_RIGHT }, { 0 },
	};
	struct vmm_param params[LIMITS_MAX];
	g_autoptr(table) t = table_new(columns);
	int n = vmm_domain_get_iotune(dom, args_text(args, "device"), params, LIMITS_MAX,
				      args_affect(args), error);

	if (n < 0)
		return advised(dom, false, error);
	for (int i = 0; i < n; i++) {
		table_text(t, params[i].name);
		if (params[i].type == VMM_PARAM_STRING) {
			table_text(t, params[i].value.s);
			g_free(params[i].value.s);
		} else {
			table_number(t, params[i].value.ul, NULL);
		}
	}
	shell_print_table(sh, args, t);
	return true;
}

static bool cmd_blkdeviotune(struct shell *sh, struct command_args *args, GError **error)
{
	struct vmm_param params[LIMITS_MAX] = { 0 };
	unsigned n = limits_given(args, params);
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);

	if (!dom)
		return false;
	if (n == 0)
		return limits_show(sh, args, dom, error);
	return advised(dom, vmm_domain_set_iotune(dom, args_text(args, "device"), params, n,
						  args_affect(args), error), error);
}

/* ---- tables ---- */

#define OPTION_DISK(option) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_DISK, .value = "DISK", .help = "the disk's target or image", \
}
#define OPTION_IMAGE(option, text) { \
	.name = option, .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "IMAGE", \
	.help = text, \
}
#define OPTION_RELATIVE \
	OPTION_FLAG("keep-relative", "name the base as the chain does, by relative names")
#define OPTIONS_JOB \
	{ .name = "bandwidth", .kind = OPT_NUMBER, .value = "NUMBER", \
	  .help = "no more than so many MiB a second" }, \
	OPTION_FLAG("bytes", "the bandwidth is in bytes a second"), \
	OPTION_FLAG("wait", "until it is over; ^C aborts it"), \
	OPTION_FLAG("verbose", "with --wait: show how far it is, though not on a terminal"), \
	{ .name = "timeout", .kind = OPT_NUMBER, .value = "SECONDS", \
	  .help = "wait no longer; abort it then" }, \
	OPTION_FLAG("async", "do not wait for the end of what is aborted")

static const struct option_def options_blockpull[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_DISK("path"),
	OPTION_IMAGE("base", "what stays behind it; none if not given"),
	OPTION_RELATIVE, OPTIONS_JOB, { 0 },
};
static const struct option_def options_blockcommit[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_DISK("path"),
	OPTION_IMAGE("base", "what is written to; the last of the chain if not given"),
	OPTION_IMAGE("top", "the first that goes; the disk's own image if not given"),
	OPTION_FLAG("shallow", "into the image right behind the top"),
	OPTION_FLAG("active", "the disk's own image: both stay the same until blockjob ends it"),
	OPTION_FLAG("pivot", "wait, then go on with the base"),
	OPTION_FLAG("keep-overlay", "wait, then go on as before"),
	OPTION_FLAG("delete", "remove the images that were committed, when it is done"),
	OPTION_RELATIVE, OPTIONS_JOB, { 0 },
};
static const struct option_def options_blockjob[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_DISK("path"),
	OPTION_FLAG("info", "show it: the default"), OPTION_FLAG("abort", "end it"),
	OPTION_FLAG("pivot", "end it, and go on with the base"),
	OPTION_FLAG("async", "end it, and do not wait for that"),
	{ .name = "bandwidth", .kind = OPT_NUMBER, .value = "NUMBER",
	  .help = "from now on no more than so many MiB a second" },
	OPTION_FLAG("bytes", "the bandwidth is in bytes a second"), { 0 },
};
static const struct option_def options_blockresize[] = {
	OPTION_DOMAIN(ACTIVE), OPTION_DISK("path"),
	{ .name = "size", .kind = OPT_SIZE, .flags = OPT_POSITION | OPT_REQUIRED, .value = "SIZE",
	  .help = "in KiB, or with a suffix: 20G" },
	{ 0 },
};
static const struct option_def options_domblkerror[] = { OPTION_DOMAIN(ACTIVE), { 0 } };

#define OPTION_LIMIT(option, what, text) { \
	.name = option, .kind = what, .value = what == OPT_SIZE ? "SIZE" : "NUMBER", .help = text, \
}
#define OPTIONS_LIMITS(suffix, text) \
	OPTION_LIMIT("total-bytes-sec" suffix, OPT_SIZE, "bytes" text), \
	OPTION_LIMIT("read-bytes-sec" suffix, OPT_SIZE, "bytes that are read" text), \
	OPTION_LIMIT("write-bytes-sec" suffix, OPT_SIZE, "bytes that are written" text), \
	OPTION_LIMIT("total-iops-sec" suffix, OPT_NUMBER, "requests" text), \
	OPTION_LIMIT("read-iops-sec" suffix, OPT_NUMBER, "requests to read" text), \
	OPTION_LIMIT("write-iops-sec" suffix, OPT_NUMBER, "requests to write" text)
#define OPTION_LENGTH(what) \
	OPTION_LIMIT(what "-sec-max-length", OPT_NUMBER, "how many seconds its burst may last")

static const struct option_def options_blkdeviotune[] = {
	OPTION_DOMAIN(DOMAIN), OPTION_DISK("device"), OPTIONS_LIMITS("", " a second"),
	OPTIONS_LIMITS("-max", " a second, in a burst"),
	OPTION_LIMIT("size-iops-sec", OPT_SIZE, "a larger request counts as several of this size"),
	OPTION_LENGTH("total-bytes"), OPTION_LENGTH("read-bytes"), OPTION_LENGTH("write-bytes"),
	OPTION_LENGTH("total-iops"), OPTION_LENGTH("read-iops"), OPTION_LENGTH("write-iops"),
	{ .name = "group-name", .kind = OPT_STRING, .value = "NAME",
	  .help = "share the limits with the disks of this group; '': with none" },
	OPTIONS_AFFECT, { 0 },
};

#define GROUP "Disks in use"
#define MORE_IMAGES "Images of the chain are named by their path, or as \"vda[1]\": the first " \
	"behind the disk's own image is 1."

const struct command commands_block[] = {
	{ "blockpull", GROUP, "copy what is behind a disk into its image", options_blockpull, 0,
	  cmd_blockpull, MORE_IMAGES },
	{ "blockcommit", GROUP, "write a disk's overlays into an image behind them",
	  options_blockcommit, 0, cmd_blockcommit, MORE_IMAGES },
	{ "blockjob", GROUP, "show, limit or end the work on a disk", options_blockjob,
	  COMMAND_JSON, cmd_blockjob },
	{ "blockresize", GROUP, "make a disk larger", options_blockresize, 0, cmd_blockresize },
	{ "blkdeviotune", GROUP, "show or set the limits of a disk", options_blkdeviotune,
	  COMMAND_JSON, cmd_blkdeviotune, "A limit of 0 is none. A total goes without limits of "
	  "reading and writing. The disks of a group do together what the limits allow, one alone "
	  "all of it; what is set for one of them is set for all. Without a limit there is no "
	  "group." },
	{ "domblkerror", GROUP, "show which disks have failed", options_domblkerror, COMMAND_JSON,
	  cmd_domblkerror },
	{ 0 },
};
