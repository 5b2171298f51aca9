/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "run": one machine on the terminal, or for one command (run-once.h).
 *
 * The options become a domain XML in a memfd, which vmm-worker gets as its
 * file: nothing is left behind however it ends.
 */
#include "config.h"
#include "vmsh/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/domain-write.h"
#include "vmsh/agent-options.h"
#include "vmsh/program.h"
#include "vmsh/run-once.h"
#include "vmsh/usage.h"
#include "vmsh/shell.h"

char *run_xml(const struct command_args *args, GError **error)
{
	const struct domain_words words = { .name = args_text(args, "name") ?: "run",
					    .cpus = args_number(args, "cpus", 1) };

	return domain_write(args, &words, error);
}

static bool put_memfd(int fd, const char *xml)
{
	size_t n = strlen(xml);

	return write(fd, xml, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0;
}

bool cmd_run(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = NULL, *program = NULL, *file = NULL;
	auto_close int fd = -1;

	if (run_is_once(args))
		return run_once(sh, args, error);
	if (args_words(args, "allow")->len > 0)
		return usage_error(error, "--allow needs a command behind --, or create-domain: a "
				   "machine on the terminal has no vsock");
	if (!args_given(args, "kernel"))
		return usage_error(error, "run: FILE is missing: --kernel FILE for a machine on "
				   "this terminal; or a COMMAND for one that runs it, and is gone");
	xml = run_xml(args, error);
	if (!xml)
		return false;
	if (args_given(args, "print-xml")) {
		fputs(xml, stdout);
		return true;
	}
	program = program_find("vmmd", "vmm-worker", "VMM_WORKER", error);
	if (!program)
		return false;
	fd = memfd_create("domain.xml", 0);
	if (fd < 0 || !put_memfd(fd, xml))
		return error_errno(error, errno, "keep the domain XML");
	file = g_strdup_printf("/proc/self/fd/%d", fd);
	return program_run(sh, program,
			   (const char *[]){ "vmm-worker", "--foreground", file, NULL }, error);
}

const struct option_def options_run[] = {
	{ .name = "command", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .value = "COMMAND",
	  .help = "with its words, behind --: for it alone the machine is there" },
	{ .name = "from", .kind = OPT_STRING, .complete = COMPLETE_DOMAIN, .value = "DOMAIN",
	  .help = "a machine like this domain, on what its disks hold" },
	{ .name = "image", .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "IMAGE",
	  .help = "the first disk; or a folder, also one of the pool default by its name, with "
		  "root.qcow2; vmlinuz and initrd.img beside it are used" },
	OPTIONS_MACHINE(0),
	{ .name = "cpus", .kind = OPT_NUMBER, .value = "N", .help = "processors; 1 if not given" },
	{ .name = "name", .kind = OPT_STRING, .value = "NAME",
	  .help = "of the machine; made up if not given" },
	OPTION_FLAG("network", "as --net; the command begins when the guest has its address"),
	OPTION_FLAG("sandbox", "the command in the guest's sandbox, as exec does it"),
	OPTION_FLAG("rm", "remove the machine when the command ends: the default"),
	OPTION_FLAG("keep", "leave it running: shell, exec, destroy"),
	OPTIONS_STREAMS,
	OPTIONS_USER,
	{ .name = "timeout", .kind = OPT_TIME, .value = "DURATION",
	  .help = "wait so long for the guest's agent; 2 minutes if not given" },
	OPTION_FLAG("print-xml", "only print the domain's XML, to define it for good"),
	{ 0 },
};
