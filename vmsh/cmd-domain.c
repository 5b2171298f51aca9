/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands on the life of domains. */
#include "config.h"
#include "vmsh/commands.h"

#include <string.h>

#include "vmsh/boot-watch.h"
#include "vmsh/console.h"
#include "vmsh/fleet.h"
#include "vmsh/options.h"
#include "vmsh/plan.h"
#include "vmsh/usage.h"
#include "vmsh/xml-file.h"
#include "vmsh/words.h"

static bool define_file(struct shell *sh, const char *path, unsigned flags, GError **error)
{
	g_autofree char *xml = xml_file_read(path, error);
	vmm_connect *conn = xml ? shell_connect(sh, error) : NULL;
	g_autoptr(vmm_domain) dom = conn ? vmm_domain_define_xml(conn, xml, flags, error) : NULL;

	if (!dom)
		return false;
	shell_say(sh, "Domain '%s' defined from %s", vmm_domain_name(dom), path);
	return true;
}

static bool cmd_define(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *files = args_words(args, "file");
	unsigned flags = args_given(args, "validate") ? VMM_DEFINE_VALIDATE : 0, failed = 0;

	if (args_given(args, "plan"))
		return cmd_plan(sh, args, error);
	for (unsigned i = 0; i < files->len; i++) {
		const char *path = ((struct word *)files->pdata[i])->text;
		g_autoptr(GError) why = NULL;

		if (define_file(sh, path, flags, &why))
			continue;
		g_prefix_error(&why, "%s: ", path);
		if (files->len == 1) {
			g_propagate_error(error, g_steal_pointer(&why));
			return false;
		}
		shell_print_error(sh, why);
		failed++;
	}
	if (failed)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED, "%u of %u files refused",
			    failed, files->len);
	return failed == 0;
}

static bool attach_if_asked(struct shell *sh, struct command_args *args, vmm_domain *dom,
			    GError **error)
{
	return !args_given(args, "console") || console_run(sh, dom, NULL, error);
}

static bool cmd_create(struct shell *sh, struct command_args *args, GError **error)
{
	const char *path = args_text(args, "file");
	g_autofree char *xml = xml_file_read(path, error);
	vmm_connect *conn = xml ? shell_connect(sh, error) : NULL;
	unsigned flags = (args_given(args, "paused") ? VMM_START_PAUSED : 0) |
			 (args_given(args, "autodestroy") ? VMM_START_AUTODESTROY : 0) |
			 (args_given(args, "validate") ? VMM_START_VALIDATE : 0);
	g_autoptr(vmm_domain) dom = conn ? vmm_domain_create_xml(conn, xml, flags, error) : NULL;

	if (!dom) {
		if (conn)
			g_prefix_error(error, "%s: ", path);
		return false;
	}
	shell_say(sh, "Domain '%s' created from %s", vmm_domain_name(dom), path);
	return attach_if_asked(sh, args, dom, error);
}

#define BOOT_TIMEOUT_MS 120000

/* A line that is written over has room for one guest. */
static bool is_alone(const struct command_args *args)
{
	const GPtrArray *words = args_words(args, "domain");

	return words->len == 1 && !pattern_is_glob(((struct word *)words->pdata[0])->pattern);
}

static bool wait_ready(struct shell *sh, vmm_domain *dom, const struct command_args *args,
		       GError **error)
{
	const uint64_t ms = args_ms(args, "timeout", BOOT_TIMEOUT_MS);

	if (boot_watch_ready(sh, dom, ms, is_alone(args), error))
		return true;
	g_prefix_error(error, "domain '%s' has started, but: ", vmm_domain_name(dom));
	return false;
}

static bool start_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	if (!vmm_domain_create(dom,
			       (args_given(args, "paused") ? VMM_START_PAUSED : 0) |
			       (args_given(args, "force-boot") ? VMM_START_FORCE_BOOT : 0),
			       error))
		return false;
	return !args_given(args, "wait") || wait_ready(sh, dom, args, error);
}

static bool cmd_start(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "starting",
				       args_given(args, "wait") ? "started and ready" : "started",
				       start_one, args, true };
	g_autoptr(vmm_domain) dom = NULL;

	if (args_given(args, "wait") && args_given(args, "paused"))
		return usage_error(error, "start: a guest that is left paused will never be ready: "
				   "--wait or --paused, not both");
	if (!args_given(args, "console"))
		return fleet_run(sh, args, VMM_LIST_INACTIVE, &job, error);
	dom = fleet_domain(sh, args, error);
	if (!dom)
		return false;
	if (!start_one(sh, dom, args, error)) {
		fleet_advise(dom, error);
		return false;
	}
	shell_say(sh, "Domain '%s' started", vmm_domain_name(dom));
	return attach_if_asked(sh, args, dom, error);
}

/* ---- the ways to end ---- */

static bool mode_flags(const struct command_args *args, unsigned *ret)
{
	const char *mode = args_text(args, "mode");

	*ret = !mode ? 0 : g_str_equal(mode, "acpi") ? VMM_SHUTDOWN_ACPI : VMM_SHUTDOWN_AGENT;
	return true;
}

#define WAIT_STEP_MS 200

static bool wait_until_off(struct shell *sh, vmm_domain *dom, uint64_t timeout_sec, GError **error)
{
	gint64 end = g_get_monotonic_time() + timeout_sec * G_USEC_PER_SEC;
	int state, reason;

	do {
		g_autoptr(GError) why = NULL;

		if (!vmm_domain_state(dom, &state, &reason, &why)) {
			/* a transient domain is gone when it is off */
			if (g_error_matches(why, VMM_ERROR, VMM_ERR_NO_DOMAIN))
				return true;
			g_propagate_error(error, g_steal_pointer(&why));
			return false;
		}
		if (state == VMM_STATE_SHUTOFF || state == VMM_STATE_CRASHED)
			return true;
		if (!shell_sleep(sh, WAIT_STEP_MS)) {
			g_set_error(error, VMM_ERROR, VMM_ERR_ABORTED,
				    "domain '%s': no longer waiting for it", vmm_domain_name(dom));
			return false;
		}
	} while (!timeout_sec || g_get_monotonic_time() < end);
	g_set_error(error, VMM_ERROR, VMM_ERR_TIMEOUT,
		    "domain '%s' has not shut down in %" G_GUINT64_FORMAT
		    " seconds: stop it with: vmsh destroy %s",
		    vmm_domain_name(dom), timeout_sec, vmm_domain_name(dom));
	return false;
}

static bool shutdown_one(struct shell *sh, vmm_domain *dom, void *opaque, GError **error)
{
	struct command_args *args = opaque;
	unsigned flags;

	mode_flags(args, &flags);
	if (!vmm_domain_shutdown(dom, flags, error))
		return false;
	return !args_given(args, "wait") ||
	       wait_until_off(sh, dom, args_number(args, "timeout", 0), error);
}

static bool cmd_shutdown(struct shell *sh, struct command_args *args, GError **error)
{
	struct fleet_job job = { "shutting down", "asked to shut down", shutdown_one, args, true };

	if (args_given(args, "wait"))
		job.done = "shut down";
	else if (args_given(args, "timeout"))
		return usage_error(error, "shutdown: --timeout goes with --wait");
	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool stop_one(struct shell *sh, vmm_domain *dom, void *opaque, GError **error)
{
	uint64_t timeout_sec = args_number(opaque, "timeout", 0);

	return vmm_domain_shutdown(dom, 0, error) && wait_until_off(sh, dom, timeout_sec, error);
}

static bool cmd_stop(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "stopping", "stopped", stop_one, args, true };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool reboot_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	unsigned flags;

	mode_flags(args, &flags);
	return vmm_domain_reboot(dom, flags, error);
}

static bool cmd_reboot(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "rebooting", "asked to reboot", reboot_one, args };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool reset_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_reset(dom, error);
}

static bool cmd_reset(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "resetting", "reset", reset_one, args };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool destroy_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_destroy(dom, args_given(args, "graceful") ? VMM_DESTROY_GRACEFUL : 0,
				  error);
}

static bool cmd_destroy(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "stopping", "destroyed", destroy_one, args, true };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool suspend_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_suspend(dom, error);
}

static bool cmd_suspend(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "suspending", "suspended", suspend_one, args };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool resume_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_resume(dom, error);
}

static bool cmd_resume(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "resuming", "resumed", resume_one, args };

	return fleet_run(sh, args, VMM_LIST_ACTIVE, &job, error);
}

static bool undefine_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	unsigned flags =
		(args_given(args, "managed-save") ? VMM_UNDEFINE_MANAGED_SAVE : 0) |
		(args_given(args, "snapshots-metadata") ? VMM_UNDEFINE_SNAPSHOTS_METADATA : 0) |
		(args_given(args, "nvram") ? VMM_UNDEFINE_NVRAM : 0);

	return vmm_domain_undefine(dom, flags, error);
}

static bool cmd_undefine(struct shell *sh, struct command_args *args, GError **error)
{
	const struct fleet_job job = { "undefining", "undefined", undefine_one, args };

	return fleet_run(sh, args, 0, &job, error);
}

static bool autostart_one(struct shell *sh, vmm_domain *dom, void *args, GError **error)
{
	return vmm_domain_set_autostart(dom, !args_given(args, "disable"), error);
}

static bool cmd_autostart(struct shell *sh, struct command_args *args, GError **error)
{
	struct fleet_job job = { "marking", "marked to start with the daemon", autostart_one,
				 args };

	if (args_given(args, "disable"))
		job.done = "no longer marked to start with the daemon";
	return fleet_run(sh, args, VMM_LIST_PERSISTENT, &job, error);
}

/* ---- tables ---- */

#define OPTION_XML(many) { \
	.name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED | (many), \
	.complete = COMPLETE_FILE, .value = "FILE", .help = "domain XML; - is the standard input", \
}
#define OPTION_VALIDATE OPTION_FLAG("validate", "check the XML against the schema first")
#define OPTION_CONSOLE OPTION_FLAG("console", "attach to the console at once")
#define OPTION_MODE { \
	.name = "mode", .kind = OPT_STRING, .complete = COMPLETE_WORDS, .words = "acpi agent", \
	.help = "how to ask the guest; the daemon chooses if not given", \
}

static const struct option_def options_define[] = {
	OPTION_XML(OPT_MANY), OPTION_VALIDATE,
	OPTION_FLAG("plan", "only show what that would change, as plan does"), { 0 },
};

static const struct option_def options_create[] = {
	OPTION_XML(0),
	OPTION_FLAG("paused", "leave it paused"),
	OPTION_CONSOLE,
	OPTION_FLAG("autodestroy", "destroy it when this connection ends"),
	OPTION_VALIDATE,
	{ 0 },
};

static const struct option_def options_start[] = {
	OPTION_DOMAINS(INACTIVE),
	OPTION_FLAG("paused", "leave it paused"),
	OPTION_CONSOLE,
	OPTION_FLAG("wait", "return when the guest's agent answers; meanwhile a terminal shows "
		    "what the console says"),
	{ .name = "timeout", .kind = OPT_TIME, .value = "DURATION",
	  .help = "with --wait: fail after this time; 2 minutes if not given" },
	OPTION_FLAG("force-boot", "discard its saved memory and boot"),
	OPTION_HIDDEN_FLAG("bypass-cache"),
	{ 0 },
};

static const struct option_def options_shutdown[] = {
	OPTION_DOMAINS(ACTIVE),
	OPTION_MODE,
	OPTION_FLAG("wait", "return when it is off"),
	{ .name = "timeout", .kind = OPT_NUMBER, .value = "SECONDS",
	  .help = "with --wait: fail after this time" },
	{ 0 },
};

static const struct option_def options_stop[] = {
	OPTION_DOMAINS(ACTIVE),
	{ .name = "timeout", .kind = OPT_NUMBER, .value = "SECONDS",
	  .help = "fail for a guest that is not off after this time" },
	{ 0 },
};

static const struct option_def options_reboot[] = { OPTION_DOMAINS(ACTIVE), OPTION_MODE, { 0 } };
static const struct option_def options_active[] = { OPTION_DOMAINS(ACTIVE), { 0 } };

static const struct option_def options_destroy[] = {
	OPTION_DOMAINS(ACTIVE),
	OPTION_FLAG("graceful", "fail rather than kill a worker that does not answer"),
	{ 0 },
};

static const struct option_def options_undefine[] = {
	OPTION_DOMAINS(DOMAIN),
	OPTION_FLAG("managed-save", "also its saved state"),
	OPTION_FLAG("snapshots-metadata", "also what is known of its snapshots"),
	OPTION_FLAG("nvram", "also its firmware's variables"),
	{ 0 },
};

static const struct option_def options_autostart[] = {
	OPTION_DOMAINS(DOMAIN), OPTION_FLAG("disable", "no longer start it"), { 0 },
};

#define GROUP "Domains"

const struct command commands_domain[] = {
	{ "define", GROUP, "store domains from XML files", options_define, COMMAND_JSON,
	  cmd_define },
	{ "undefine", GROUP, "forget domains", options_undefine, 0, cmd_undefine,
	  "A domain that runs goes on until it is off. Disk images are not touched." },
	{ "create", GROUP, "start a domain from an XML file, without storing it", options_create, 0,
	  cmd_create, "It is forgotten when it is off." },
	{ "start", GROUP, "start domains that are off", options_start, 0, cmd_start },
	{ "shutdown", GROUP, "ask guests to shut down", options_shutdown, 0, cmd_shutdown },
	{ "stop", GROUP, "shut guests down, and wait until they are off", options_stop, 0,
	  cmd_stop },
	{ "reboot", GROUP, "ask guests to reboot", options_reboot, 0, cmd_reboot },
	{ "reset", GROUP, "reset machines, as by the button", options_active, 0, cmd_reset },
	{ "destroy", GROUP, "stop machines at once, as by pulling the plug", options_destroy, 0,
	  cmd_destroy, "The stored definition and the disks stay." },
	{ "suspend", GROUP, "pause domains", options_active, 0, cmd_suspend },
	{ "resume", GROUP, "let paused domains run", options_active, 0, cmd_resume },
	{ "autostart", GROUP, "start domains with the daemon, or no longer", options_autostart, 0,
	  cmd_autostart },
	{ 0 },
};
