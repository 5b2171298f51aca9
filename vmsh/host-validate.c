/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "host-validate": one function per thing to check; each adds rows of PASS,
 * WARN or FAIL with a fix.  FAIL means that machines cannot run, WARN that
 * something of them will be missing or slow.
 */
#include "config.h"
#include "vmsh/host-validate.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/magic.h>

#include "libvmm/kvm/probe.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmsh/shell.h"

enum verdict { PASS, WARN, FAIL };

struct report {
	struct table *table;
	GString *fixes;		/* below the table, where they need not fit a column */
	unsigned count[FAIL + 1];
};

static const struct column columns[] = {
	{ "Check", "check", 0 },
	{ "Result", "result", 0 },
	{ "What", "detail", COLUMN_SHRINK },
	{ "Fix", "fix", COLUMN_JSON },
	{ 0 },
};

static void add(struct report *r, const char *what, enum verdict verdict, const char *fix,
		const char *format, ...) G_GNUC_PRINTF(5, 6);

static void add(struct report *r, const char *what, enum verdict verdict, const char *fix,
		const char *format, ...)
{
	static const char *const names[] = { "PASS", "WARN", "FAIL" };
	static const enum colour colours[] = { COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED };
	g_autofree char *detail = NULL;
	va_list ap;

	va_start(ap, format);
	detail = g_strdup_vprintf(format, ap);
	va_end(ap);
	r->count[verdict]++;
	table_text(r->table, what);
	table_text(r->table, names[verdict]);
	table_colour(r->table, colours[verdict]);
	table_text(r->table, detail);
	table_text(r->table, verdict == PASS ? NULL : fix);
	if (verdict != PASS && !strstr(r->fixes->str, fix))
		g_string_append_printf(r->fixes, "%s: %s\n", what, fix);
}

static bool cpu_has(const char *flag)
{
	g_autofree char *text = NULL;
	g_autofree char *padded = g_strdup_printf(" %s ", flag);

	return g_file_get_contents("/proc/cpuinfo", &text, NULL, NULL) &&
	       strstr(g_strdelimit(text, "\n", ' '), padded);
}

static void check_processor(struct report *r)
{
	if (cpu_has("vmx") || cpu_has("svm"))
		add(r, "virtualization", PASS, NULL, "the processor has %s",
		    cpu_has("vmx") ? "VT-x" : "AMD-V");
	else
		add(r, "virtualization", WARN,
		    "turn it on in the firmware's set-up, or allow nesting where this host is a "
		    "guest",
		    "the processor shows neither vmx nor svm");
}

static void check_probe(struct report *r, int fd)
{
	g_autoptr(GError) error = NULL;
	struct probe p;

	if (!probe_run(fd, &p, &error)) {
		add(r, "kvm guest", FAIL, "look at the kernel's log: dmesg | grep -i kvm", "%s",
		    error->message);
		return;
	}
	for (unsigned i = 0; i < N_PROBE; i++) {
		const struct probe_result *t = &p.tests[i];
		g_autofree char *name = g_strdup_printf("kvm %s", t->name);
		bool bad = t->verdict == PROBE_FAIL;

		add(r, name, bad ? FAIL : PASS,
		    "this KVM does not run ring 0 in hardware: use a host that does", "%s%s%s",
		    bad ? t->why : "", bad && *t->detail ? ": " : "",
		    *t->detail		       ? t->detail
		    : bad		       ? ""
		    : t->verdict == PROBE_SKIP ? "not there"
					       : "works");
	}
}

static void check_kvm(struct report *r)
{
	auto_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		add(r, "/dev/kvm", PASS, NULL, "it opens");
		check_probe(r, fd);
	} else if (errno == EACCES || errno == EPERM) {
		add(r, "/dev/kvm", FAIL, "usermod -aG kvm $USER, then log in again",
		    "no permission to open it");
	} else {
		add(r, "/dev/kvm", FAIL, "modprobe kvm_intel or modprobe kvm_amd", "%s",
		    g_strerror(errno));
	}
}

static void check_tun(struct report *r)
{
	auto_close int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		add(r, "tun", PASS, NULL, "/dev/net/tun opens");
	else
		add(r, "tun", WARN,
		    errno == ENOENT ? "modprobe tun"
				    : "run as root, or use <interface type='user'>",
		    "no tap interfaces: /dev/net/tun: %s", g_strerror(errno));
}

static void check_io_uring(struct report *r)
{
	struct io_uring ring;
	int e = io_uring_queue_init(4, &ring, 0);

	if (e < 0) {
		add(r, "io_uring", WARN, "sysctl kernel.io_uring_disabled=0, kernel 5.10 or newer",
		    "disks use pread and pwrite, slower: %s", g_strerror(-e));
		return;
	}
	io_uring_queue_exit(&ring);
	add(r, "io_uring", PASS, NULL, "it works");
}

static void check_cgroups(struct report *r)
{
	struct statfs s;

	if (statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC)
		add(r, "cgroup v2", PASS, NULL, "mounted at /sys/fs/cgroup");
	else
		add(r, "cgroup v2", WARN, "boot with systemd.unified_cgroup_hierarchy=1",
		    "domains have no limits of their own");
}

/* In a child: a namespace cannot be left again. */
static int try_user_namespace(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) == 0 ? 0 : errno & 0x7f);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return EIO;
	return WEXITSTATUS(status);
}

static void check_namespaces(struct report *r)
{
	int e = try_user_namespace();

	if (e == 0)
		add(r, "user namespaces", PASS, NULL, "they can be made");
	else
		add(r, "user namespaces", WARN,
		    "sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000",
		    "workers of users who are not root are jailed less: %s", g_strerror(e));
}

static void check_hugepages(struct report *r)
{
	const char *path = "/sys/kernel/mm/transparent_hugepage/enabled";
	g_autofree char *text = NULL;

	if (!g_file_get_contents(path, &text, NULL, NULL))
		add(r, "huge pages", WARN, "a kernel with CONFIG_TRANSPARENT_HUGEPAGE",
		    "no transparent huge pages: guests are slower");
	else if (strstr(text, "[never]"))
		add(r, "huge pages", WARN,
		    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
		    "transparent huge pages are off: guests are slower");
	else
		add(r, "huge pages", PASS, NULL, "transparent huge pages are on");
}

static void print_fixes(const struct shell *sh, const GString *fixes)
{
	g_auto(GStrv) lines = g_strsplit(fixes->str, "\n", 0);
	g_autoptr(GString) s = g_string_new(fixes->len > 0 ? "\nTo fix:\n" : "");

	for (unsigned i = 0; lines[i]; i++) {
		if (!*lines[i])
			continue;
		g_string_append(s, "  ");
		text_append_wrapped(s, lines[i], 2, sh->out.width ? sh->out.width : G_MAXUINT);
	}
	fputs(s->str, stdout);
}

bool cmd_host_validate(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(table) t = table_new(columns);
	g_autoptr(GString) fixes = g_string_new(NULL);
	struct report r = { .table = t, .fixes = fixes };

	check_processor(&r);
	check_kvm(&r);
	check_tun(&r);
	check_io_uring(&r);
	check_cgroups(&r);
	check_namespaces(&r);
	check_hugepages(&r);
	shell_print_table(sh, args, t);
	if (!args_json(args))
		print_fixes(sh, fixes);
	if (r.count[FAIL] == 0)
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED,
			 "this host cannot run Linux guests: %u check%s failed", r.count[FAIL],
			 r.count[FAIL] == 1 ? "" : "s");
}
