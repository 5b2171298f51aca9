/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "run": one machine on the terminal.
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
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/format.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static char *absolute(const char *path)
{
	return g_canonicalize_filename(path, NULL);
}

/* ---- XML ---- */

static void append_file(GString *s, const char *element, const char *path)
{
	g_autofree char *full = absolute(path);
	g_autofree char *line =
		g_markup_printf_escaped("    <%s>%s</%s>\n", element, full, element);

	g_string_append(s, line);
}

static bool append_os(GString *s, const struct command_args *args, GError **error)
{
	const char *cmdline = args_text(args, "cmdline");
	g_autofree char *line = NULL;

	line = g_markup_printf_escaped("    <cmdline>%s</cmdline>\n",
				       cmdline ? cmdline : "console=ttyS0");
	g_string_append(s, "  <os>\n    <type arch='x86_64' machine='microvm'>hvm</type>\n");
	append_file(s, "kernel", args_text(args, "kernel"));
	if (args_given(args, "initrd"))
		append_file(s, "initrd", args_text(args, "initrd"));
	g_string_append(s, line);
	g_string_append(s, "  </os>\n");
	return true;
}

struct disk {
	char *path;
	const char *format;
	bool readonly;
};

static bool disk_option(struct disk *d, const char *option, GError **error)
{
	if (g_str_equal(option, "format=raw"))
		d->format = "raw";
	else if (g_str_equal(option, "format=qcow2"))
		d->format = "qcow2";
	else if (g_str_equal(option, "readonly"))
		d->readonly = true;
	else
		return usage_error(
			error, "run: --disk PATH[,format=raw|qcow2][,readonly], not '%s'", option);
	return true;
}

/* Options are taken from the end, so that a path may have commas. */
static bool disk_parse(const char *text, struct disk *d, GError **error)
{
	char *comma;

	d->path = g_strdup(text);
	while ((comma = strrchr(d->path, ',')) && access(d->path, F_OK) < 0) {
		if (!disk_option(d, comma + 1, error))
			return false;
		*comma = '\0';
	}
	if (!d->format)
		d->format = format_of_disk(d->path, "--disk PATH,format=raw|qcow2", error);
	return d->format != NULL;
}

static bool append_disk(GString *s, const char *text, unsigned i, GError **error)
{
	struct disk d = { 0 };
	bool ok = disk_parse(text, &d, error);
	g_autofree char *path = ok ? absolute(d.path) : NULL;
	g_autofree char *xml = NULL;

	g_free(d.path);
	if (!ok)
		return false;
	xml = g_markup_printf_escaped("    <disk type='file' device='disk'>\n"
				      "      <driver name='vmm' type='%s'/>\n"
				      "      <source file='%s'/>\n"
				      "      <target dev='vd%c' bus='virtio'/>\n",
				      d.format, path, 'a' + i);
	g_string_append(s, xml);
	g_string_append(s, d.readonly ? "      <readonly/>\n    </disk>\n" : "    </disk>\n");
	return true;
}

static bool port_parse(const char *text, unsigned *ret)
{
	guint64 n;

	*ret = 0;
	if (!g_ascii_string_to_unsigned(text, 10, 1, 65535, &n, NULL))
		return false;
	*ret = n;
	return true;
}

/* "2222:22", "127.0.0.1:2222:22", "udp:5353:53" */
static bool append_forward(GString *s, const char *text, GError **error)
{
	g_auto(GStrv) parts = g_strsplit(text, ":", 0);
	unsigned n = g_strv_length(parts), first = 0, host, guest;
	const char *proto = "tcp";
	g_autofree char *address = NULL;

	if (n > 2 && (g_str_equal(parts[0], "udp") || g_str_equal(parts[0], "tcp")))
		proto = parts[first++];
	if (n - first == 3)
		address = g_markup_printf_escaped(" address='%s'", parts[first++]);
	if (n - first != 2 || !port_parse(parts[first], &host) ||
	    !port_parse(parts[first + 1], &guest))
		return usage_error(error,
				   "run: --forward [udp:][ADDRESS:]HOST:GUEST with ports, not '%s'",
				   text);
	g_string_append_printf(s, "      <portForward proto='%s'%s>\n"
				  "        <range start='%u' to='%u'/>\n      </portForward>\n",
			       proto, address ? address : "", host, guest);
	return true;
}

static bool append_net(GString *s, const struct command_args *args, GError **error)
{
	const GPtrArray *forwards = args_words(args, "forward");

	if (!args_given(args, "net") && forwards->len == 0)
		return true;
	g_string_append(s, "    <interface type='user'>\n      <model type='virtio'/>\n");
	for (unsigned i = 0; i < forwards->len; i++) {
		if (!append_forward(s, ((struct word *)forwards->pdata[i])->text, error))
			return false;
	}
	g_string_append(s, "    </interface>\n");
	return true;
}

char *run_xml(const struct command_args *args, GError **error)
{
	const GPtrArray *disks = args_words(args, "disk");
	uint64_t memory = args_size(args, "memory", 1 << 20, 256 << 20);
	uint64_t cpus = args_number(args, "cpus", 1);
	const char *name = args_text(args, "name");
	g_autoptr(GString) s = g_string_new("<domain type='kvm'>\n");
	g_autofree char *line = NULL;

	line = g_markup_printf_escaped("  <name>%s</name>\n", name ? name : "run");
	g_string_append(s, line);
	g_string_append_printf(s, "  <memory unit='KiB'>%" G_GUINT64_FORMAT "</memory>\n"
				  "  <vcpu>%" G_GUINT64_FORMAT "</vcpu>\n",
			       memory / 1024, cpus);
	append_os(s, args, error);
	g_string_append(s, "  <devices>\n");
	if (cpus < 1 || cpus > 255) {
		usage_error(error, "run: --cpus 1 to 255");
		return NULL;
	}
	if (disks->len > 26) {
		usage_error(error, "run: 26 disks at most");
		return NULL;
	}
	for (unsigned i = 0; i < disks->len; i++) {
		if (!append_disk(s, ((struct word *)disks->pdata[i])->text, i, error))
			return NULL;
	}
	if (!append_net(s, args, error))
		return NULL;
	g_string_append(s, "    <serial type='pty'/>\n    <console type='pty'/>\n"
			   "    <rng model='virtio'>\n"
			   "      <backend model='random'>/dev/urandom</backend>\n    </rng>\n"
			   "  </devices>\n</domain>\n");
	return g_string_free(g_steal_pointer(&s), FALSE);
}

/* ---- the worker ---- */

static char *worker_program(GError **error)
{
	g_autofree char *self = g_file_read_link("/proc/self/exe", NULL);
	g_autofree char *folder = self ? g_path_get_dirname(self) : g_strdup(".");
	char *candidates[] = {
		g_strdup(g_getenv("VMM_WORKER")),
		/* of the build that this vmsh belongs to, seen from vmsh/ and vmsh/.libs/ */
		g_build_filename(folder, "..", "vmmd", "vmm-worker", NULL),
		g_build_filename(folder, "..", "..", "vmmd", "vmm-worker", NULL),
		g_strdup(PKGLIBEXECDIR "/vmm-worker"),
	};
	char *found = NULL;

	for (unsigned i = 0; i < G_N_ELEMENTS(candidates); i++) {
		if (!found && candidates[i] && access(candidates[i], X_OK) == 0)
			found = g_steal_pointer(&candidates[i]);
		g_free(candidates[i]);
	}
	if (!found)
		error_set(error, VMM_ERR_SYSTEM, "the program vmm-worker is not there: "
			  "install it in " PKGLIBEXECDIR " or name it in $VMM_WORKER");
	return found;
}

static bool put_memfd(int fd, const char *xml)
{
	size_t n = strlen(xml);

	return write(fd, xml, n) == (ssize_t)n && lseek(fd, 0, SEEK_SET) == 0;
}

static bool wait_for(pid_t pid, struct shell *sh, GError **error)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return error_errno(error, errno, "wait for vmm-worker");
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	sh->status = STATUS_FAILED;
	if (WIFSIGNALED(status))
		return error_set(error, VMM_ERR_OPERATION_FAILED, "vmm-worker was killed: %s",
				 strsignal(WTERMSIG(status)));
	return false;	/* it has said why */
}

static bool exec_worker(struct shell *sh, const char *program, int fd, GError **error)
{
	g_autofree char *file = g_strdup_printf("/proc/self/fd/%d", fd);
	char *const argv[] = { (char *)"vmm-worker", (char *)"--foreground", file, NULL };
	pid_t pid;

	fflush(stdout);
	/* a child when there is more to do afterwards, else we become the worker */
	pid = sh->one_shot ? 0 : fork();
	if (pid > 0)
		return wait_for(pid, sh, error);
	if (pid == 0)
		execv(program, argv);
	error_errno(error, errno, "run '%s'", program);
	if (!sh->one_shot && pid == 0)
		_exit(127);
	return false;
}

bool cmd_run(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *xml = run_xml(args, error);
	g_autofree char *program = NULL;
	auto_close int fd = -1;

	if (!xml)
		return false;
	if (args_given(args, "print-xml")) {
		fputs(xml, stdout);
		return true;
	}
	program = worker_program(error);
	if (!program)
		return false;
	fd = memfd_create("domain.xml", 0);
	if (fd < 0 || !put_memfd(fd, xml))
		return error_errno(error, errno, "keep the domain XML");
	return exec_worker(sh, program, fd, error);
}

const struct option_def options_run[] = {
	{ .name = "kernel", .kind = OPT_STRING, .flags = OPT_REQUIRED, .complete = COMPLETE_FILE,
	  .value = "FILE", .help = "bzImage or vmlinux" },
	{ .name = "initrd", .kind = OPT_STRING, .complete = COMPLETE_FILE, .value = "FILE",
	  .help = "initial RAM disk" },
	{ .name = "disk", .kind = OPT_STRING, .flags = OPT_MANY, .complete = COMPLETE_FILE,
	  .value = "PATH[,format=raw|qcow2][,readonly]", .help = "a disk; the first is /dev/vda" },
	{ .name = "cmdline", .kind = OPT_STRING, .value = "TEXT",
	  .help = "kernel command line; console=ttyS0 if not given" },
	{ .name = "memory", .kind = OPT_SIZE, .value = "MB",
	  .help = "in MiB, or with a suffix: 2G; 256 if not given" },
	{ .name = "cpus", .kind = OPT_NUMBER, .value = "N", .help = "processors; 1 if not given" },
	OPTION_FLAG("net", "a network card with user-mode NAT: 10.0.2.15 by DHCP"),
	{ .name = "forward", .kind = OPT_STRING, .flags = OPT_MANY,
	  .value = "[udp:][ADDRESS:]HOST:GUEST",
	  .help = "a host port that leads to a guest port; implies --net" },
	{ .name = "name", .kind = OPT_STRING, .value = "NAME", .help = "for ps; run if not given" },
	OPTION_FLAG("print-xml", "print the domain XML instead, to define it for good"),
	{ 0 },
};
