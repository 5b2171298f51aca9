/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about the host, the daemon, and what happens there. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>

#include "vmsh/event.h"
#include "vmsh/host-validate.h"
#include "vmsh/options.h"
#include "vmsh/run.h"
#include "vmsh/shell.h"

static bool print_taken(struct shell *sh, struct command_args *args, const char *key, char *text)
{
	if (text)
		shell_print_text(sh, args, key, text);
	g_free(text);
	return text != NULL;
}

static bool cmd_capabilities(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn && print_taken(sh, args, "xml", vmm_connect_capabilities(conn, error));
}

static bool cmd_domcapabilities(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	char *xml;

	if (!conn)
		return false;
	xml = vmm_connect_domain_capabilities(conn, args_text(args, "emulatorbin"),
					      args_text(args, "arch"), args_text(args, "machine"),
					      args_text(args, "virttype"), error);
	return print_taken(sh, args, "xml", xml);
}

static bool cmd_hostname(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn && print_taken(sh, args, "hostname", vmm_connect_hostname(conn, error));
}

static bool cmd_uri(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);

	return conn && print_taken(sh, args, "uri", g_strdup(vmm_connect_uri(conn)));
}

static const struct column columns_node[] = {
	{ "CPU model", "model", 0 },
	{ "CPU(s)", "cpus", 0 },
	{ "CPU frequency", "mhz", 0 },
	{ "CPU socket(s)", "sockets", 0 },
	{ "Core(s) per socket", "cores", 0 },
	{ "Thread(s) per core", "threads", 0 },
	{ "NUMA cell(s)", "nodes", 0 },
	{ "Memory size", "memory_kib", 0 },
	{ "Free memory", "free_bytes", 0 },
	{ 0 },
};

static bool cmd_nodeinfo(struct shell *sh, struct command_args *args, GError **error)
{
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(table) t = table_new(columns_node);
	g_autofree char *mhz = NULL;
	g_autofree char *memory = NULL;
	struct vmm_node_info info;
	uint64_t free_bytes;

	if (!conn || !vmm_node_info(conn, &info, error))
		return false;
	mhz = g_strdup_printf("%u MHz", info.mhz);
	memory = g_strdup_printf("%" G_GUINT64_FORMAT " KiB", info.memory_kib);
	table_text(t, info.model);
	table_number(t, info.cpus, NULL);
	table_number(t, info.mhz, mhz);
	table_number(t, info.sockets, NULL);
	table_number(t, info.cores, NULL);
	table_number(t, info.threads, NULL);
	table_number(t, info.nodes, NULL);
	table_number(t, info.memory_kib, memory);
	if (vmm_node_free_memory(conn, &free_bytes, NULL))
		table_size(t, free_bytes);
	else
		table_none(t);
	shell_print_record(sh, args, t);
	return true;
}

static const struct column columns_version[] = {
	{ "vmsh", "vmsh", 0 }, { 0 },
};

static const struct column columns_version_daemon[] = {
	{ "vmsh", "vmsh", 0 },
	{ "Protocol", "protocol", 0 },
	{ "Driver", "driver", 0 },
	{ "Daemon", "daemon", 0 },
	{ 0 },
};

static void row_version(struct table *t, uint64_t n)
{
	g_autofree char *text = g_strdup_printf("%u.%u.%u", (unsigned)(n / 1000000),
						(unsigned)(n / 1000 % 1000), (unsigned)(n % 1000));

	table_text(t, text);
}

static bool cmd_version(struct shell *sh, struct command_args *args, GError **error)
{
	bool daemon = args_given(args, "daemon");
	vmm_connect *conn = shell_connect(sh, daemon ? error : NULL);
	g_autoptr(table) t = table_new(conn ? columns_version_daemon : columns_version);
	g_autofree char *type = NULL;
	uint64_t library = 0, driver = 0;

	if (!conn && daemon)
		return false;
	table_text(t, PACKAGE_VERSION);
	if (conn) {
		type = vmm_connect_type(conn, error);
		if (!type || !vmm_connect_lib_version(conn, &library, error) ||
		    !vmm_connect_version(conn, &driver, error))
			return false;
		row_version(t, library);
		table_text(t, type);
		row_version(t, driver);
	}
	shell_print_record(sh, args, t);
	return true;
}

static GPtrArray *ask_doctor(vmm_connect *conn, const struct command_args *args, GError **error)
{
	if (args_given(args, "fix") || args_given(args, "dry-run"))
		return vmm_connect_doctor_fix(conn, args_given(args, "dry-run"), error);
	return vmm_connect_doctor(conn, error);
}

/* What disagrees, and is not repaired: that many. */
static unsigned put_findings(struct table *t, const GPtrArray *found, bool dry)
{
	unsigned left = 0;

	for (unsigned i = 0; i < found->len; i++) {
		const struct vmm_finding *f = found->pdata[i];

		table_text(t, f->hint ? "hint" : "problem");
		table_text(t, *f->domain ? f->domain : NULL);
		table_text(t, f->what);
		table_text(t, *f->path ? f->path : NULL);
		table_text(t, *f->done ? f->done : NULL);
		table_text(t, *f->done ? NULL : f->advice);
		left += !f->hint && (dry || !*f->done);
	}
	return left;
}

#define FINDING_INDENT 9

/* A finding is a sentence or two: lines that may be wrapped, not cells that would be cut. */
static void print_findings(const struct shell *sh, const GPtrArray *found)
{
	unsigned width = sh->out.width ? sh->out.width : G_MAXUINT;
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; i < found->len; i++) {
		const struct vmm_finding *f = found->pdata[i];
		g_autofree char *kind = text_coloured(f->hint ? "hint" : "problem",
						      f->hint ? COLOUR_YELLOW : COLOUR_RED,
						      &sh->out);
		g_autofree char *text = g_strconcat(f->domain, *f->domain ? ": " : "", f->what,
						    *f->path ? ": " : "", f->path, NULL);
		g_autofree char *what = text_harmless(text);
		g_autofree char *then = text_harmless(*f->done ? f->done : f->advice);

		g_string_append_printf(s, "%s%*s", kind,
				       FINDING_INDENT - (f->hint ? 4 : 7), "");
		text_append_wrapped(s, what, FINDING_INDENT, width);
		if (!*then)
			continue;
		g_string_append_printf(s, "%*s", FINDING_INDENT, *f->done ? "done: " : "-> ");
		text_append_wrapped(s, then, FINDING_INDENT, width);
	}
	fputs(s->str, stdout);
	g_string_free(s, TRUE);
}

static bool cmd_doctor(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct column columns[] = {
		{ "Kind", "kind" }, { "Domain", "domain" }, { "Finding", "finding", COLUMN_SHRINK },
		{ "File", "file" }, { "Repair", "repair" },
		{ "Advice", "advice", COLUMN_SHRINK | COLUMN_DROP }, { 0 },
	};
	vmm_connect *conn = shell_connect(sh, error);
	g_autoptr(GPtrArray) found = conn ? ask_doctor(conn, args, error) : NULL;
	g_autoptr(table) t = found ? table_new(columns) : NULL;
	unsigned left;

	if (!found)
		return false;
	left = put_findings(t, found, args_given(args, "dry-run"));
	if (args_json(args) || (sh->member && found->len > 0))
		shell_print_table(sh, args, t);
	else if (found->len > 0)
		print_findings(sh, found);
	else
		shell_say(sh, "All is well");
	if (left > 0)
		g_set_error(error, VMM_ERROR, VMM_ERR_OPERATION_FAILED, "%u problem%s", left,
			    left == 1 ? "" : "s");
	return left == 0;
}

static const struct option_def options_doctor[] = {
	{ .name = "fix", .kind = OPT_FLAG, .flags = OPT_CHANGES,
	  .help = "repair what nobody can miss, and say what is left for you" },
	OPTION_FLAG("dry-run", "only say what --fix would do"),
	{ 0 },
};

static const struct option_def options_domcapabilities[] = {
	{ .name = "emulatorbin",
	  .kind = OPT_STRING,
	  .complete = COMPLETE_FILE,
	  .value = "PATH",
	  .help = "of this worker program" },
	{ .name = "arch",
	  .kind = OPT_STRING,
	  .complete = COMPLETE_WORDS,
	  .words = "x86_64",
	  .help = "of this architecture" },
	{ .name = "machine",
	  .kind = OPT_STRING,
	  .value = "MACHINE",
	  .help = "of this machine type" },
	{ .name = "virttype",
	  .kind = OPT_STRING,
	  .complete = COMPLETE_WORDS,
	  .words = "kvm",
	  .help = "of this kind of virtualization" },
	{ 0 },
};

static const struct option_def options_version[] = {
	OPTION_FLAG("daemon", "fail when no daemon answers"), { 0 },
};

#define GROUP "Host and daemon"

const struct command commands_host[] = {
	{ "capabilities", GROUP, "print what the host can do", NULL, COMMAND_JSON,
	  cmd_capabilities },
	{ "domcapabilities", GROUP, "print what domains can be made of", options_domcapabilities,
	  COMMAND_JSON, cmd_domcapabilities },
	{ "nodeinfo", GROUP, "show the host's processors and memory", NULL,
	  COMMAND_JSON | COMMAND_HOSTS,
	  cmd_nodeinfo },
	{ "hostname", GROUP, "print the host's name", NULL, COMMAND_JSON, cmd_hostname },
	{ "uri", GROUP, "print which daemon we talk to", NULL, COMMAND_JSON, cmd_uri },
	{ "version", GROUP, "show versions", options_version, COMMAND_JSON, cmd_version },
	{ "doctor", GROUP, "compare the daemon's records with what is on the disk, and repair",
	  options_doctor, COMMAND_JSON | COMMAND_HOSTS, cmd_doctor,
	  "Problems are files that belong to no domain or snapshot, files that are gone, work that "
	  "was interrupted and not gone on with, folders and sockets of workers that are gone, and "
	  "workers that nobody can reach. Hints are definitions that can't start, images that no "
	  "domain uses, and settings of the host that hurt. Changes nothing without --fix.\n"
	  "--fix removes remains of the daemon's own: run folders and sockets of dead workers, "
	  "saves that were not finished, logs of consoles and leases of what is not defined any "
	  "more, records of images and of work whose subject is gone. It never touches an image, a "
	  "machine's memory, a process, or a file of which it is not certain: the advice says what "
	  "to do about those.\n"
	  "Exit status 1 when a problem is left." },
	{ "event", GROUP, "wait for events of domains and print them", options_event, COMMAND_JSON,
	  cmd_event,
	  "Prints one event and ends, or goes on with --loop. JSON is an object a line." },
	{ "host-validate", GROUP, "check whether this host can run virtual machines", NULL,
	  COMMAND_JSON | COMMAND_OFFLINE, cmd_host_validate,
	  "A tiny guest tries what Linux needs of KVM. Exit status 1 when a check failed; what is "
	  "only a warning costs speed or comfort." },
	{ "run", GROUP, "run a command in a machine of its own; or one machine on this terminal",
	  options_run, COMMAND_OFFLINE, cmd_run,
	  "With a COMMAND, --from or --image the daemon starts a machine for it, which boots, "
	  "runs the command (else the user's shell) by the guest's agent, and is removed, also "
	  "when vmsh is killed. Streams, signals and exit status are as those of exec; it has all "
	  "rights in the guest. What is written to the image, or with --from to any disk, is "
	  "forgotten.\n"
	  "Without these one machine runs on the terminal, without a daemon; Ctrl-] leaves and "
	  "stops it. "
	  "The format of a disk is never guessed: by its name's suffix (.qcow2, .raw, .img) if the "
	  "file's first bytes agree, else say format=." },
	{ 0 },
};
