/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Settings of the host that make guests slow, or their starts fail.  What the
 * processor and KVM can do is "vmsh host-validate"'s matter.
 */
#include "config.h"
#include "vmmd/doctor-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"

#define FILES_MIN 4096u			/* a worker and its clients are a few each */
#define FREE_MIN_BYTES (1ull << 30)
#define FREE_MIN_SHARE 20		/* a twentieth */

/* VMM_HOST_DIR: below it /proc and /sys are another host's, a test's. */
static char *setting(const char *path)
{
	g_autofree char *whole = g_strconcat(g_getenv("VMM_HOST_DIR") ?: "", path, NULL);
	char *text = NULL;

	return g_file_get_contents(whole, &text, NULL, NULL) ? g_strstrip(text) : NULL;
}

static void hint(struct round *r, const char *path, const char *what, const char *advice)
{
	doctor_tell(r, FINDING_HINT, NULL, path, what, advice);
}

struct rule {
	const char *path;
	const char *bad;	/* the setting, or what is in it */
	bool within;
	const char *what, *advice;
};

static const struct rule rules[] = {
	{ "/proc/sys/vm/overcommit_memory", "2", false,
	  "the whole memory of a guest is charged when it starts, used or not",
	  "sysctl vm.overcommit_memory=0" },
	{ "/sys/kernel/mm/transparent_hugepage/enabled", "[never]", true,
	  "guests' memory gets no huge pages: they are slower",
	  "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled" },
	{ "/sys/devices/system/clocksource/clocksource0/current_clocksource", "hpet", false,
	  "the host's clock is slow to read, and guests can't have kvm-clock",
	  "look in dmesg why the TSC is not trusted" },
	{ "/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm", false,
	  "the host's clock is slow to read, and guests can't have kvm-clock",
	  "look in dmesg why the TSC is not trusted" },
	{ "/proc/sys/kernel/io_uring_disabled", "2", false,
	  "io_uring is switched off: disks are slower", "sysctl kernel.io_uring_disabled=0" },
};

static void look_at_rules(struct round *r)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rules); i++) {
		const struct rule *rule = &rules[i];
		g_autofree char *text = setting(rule->path);

		if (text && (rule->within ? strstr(text, rule->bad) != NULL :
					    g_str_equal(text, rule->bad)))
			hint(r, rule->path, rule->what, rule->advice);
	}
}

static void look_at_namespaces(struct round *r)
{
	static const char path[] = "/proc/sys/user/max_user_namespaces";
	g_autofree char *text = setting(path);

	if (!r->daemon->system_mode && g_strcmp0(text, "0") == 0)
		hint(r, path, "a user may have no namespaces: workers can't be jailed",
		     "sysctl user.max_user_namespaces=10000");
}

static void look_at_kvm(struct round *r)
{
	static const char path[] = "/dev/kvm";
	g_autofree char *what = NULL;

	if (access(path, R_OK | W_OK) == 0)
		return;
	what = g_strdup_printf("no guest can run: %s", g_strerror(errno));
	hint(r, path, what, "\"vmsh host-validate\" says what to do");
}

static void look_at_limits(struct round *r)
{
	struct rlimit limit;
	g_autofree char *what = NULL;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= FILES_MIN)
		return;
	what = g_strdup_printf("vmmd may have %llu files open, which is few for many domains",
			       (unsigned long long)limit.rlim_cur);
	hint(r, NULL, what, "LimitNOFILE=65536 in its service, or \"ulimit -Hn\"");
}

static void look_at_space(struct round *r, const char *folder)
{
	g_autofree char *what = NULL, *size = NULL;
	struct statvfs fs;
	uint64_t left;

	if (statvfs(folder, &fs) < 0)
		return;
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (left >= FREE_MIN_BYTES || fs.f_bavail >= fs.f_blocks / FREE_MIN_SHARE)
		return;
	size = g_format_size_full(left, G_FORMAT_SIZE_IEC_UNITS);
	what = g_strdup_printf("the file system is nearly full: %s are left", size);
	hint(r, folder, what, "make room: a guest whose image can't grow is paused");
}

void doctor_look_at_host(struct round *r)
{
	look_at_kvm(r);
	look_at_rules(r);
	look_at_namespaces(r);
	look_at_limits(r);
	look_at_space(r, r->daemon->state_dir);
	if (strcmp(r->daemon->log_dir, r->daemon->state_dir) != 0)
		look_at_space(r, r->daemon->log_dir);
	look_at_space(r, r->daemon->image_dir);
}
