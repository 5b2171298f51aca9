/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits of domains, by cgroup v2. */
#include "config.h"
#include "vmmd/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define FOLDER "vmm"
#define PERIOD_US 100000u		/* the kernel's, like the weights */
#define WEIGHT 100u

enum controller { CPU, MEMORY, IO, CPUSET, N_CONTROLLERS };

static const char *const controllers[N_CONTROLLERS] = { "cpu", "memory", "io", "cpuset" };

/* ---- where ---- */

static char *file_text(const char *path)
{
	char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? g_strchomp(text) : NULL;
}

/* Of /proc/self/mountinfo the fifth field, where the one after " - " is "cgroup2". */
static char *mount_point(void)
{
	g_autofree char *text = file_text("/proc/self/mountinfo");
	g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

	for (char **line = lines; *line; line++) {
		g_auto(GStrv) fields = g_strsplit(*line, " ", 6);

		if (strstr(*line, " - cgroup2 ") && g_strv_length(fields) == 6)
			return g_strdup(fields[4]);
	}
	return NULL;
}

/* Where vmmd itself is, below the mount point. */
static char *own_path(void)
{
	g_autofree char *text = file_text("/proc/self/cgroup");
	g_auto(GStrv) lines = g_strsplit(text ?: "", "\n", -1);

	for (char **line = lines; *line; line++)
		if (g_str_has_prefix(*line, "0::/"))
			return g_strdup(*line + strlen("0::"));
	return NULL;
}

static char *folder_find(bool root)
{
	g_autofree char *mount = NULL, *own = NULL, *beside = NULL;
	const char *given = g_getenv("VMM_CGROUP_DIR");

	if (given)
		return g_strdup(given);
	mount = mount_point();
	own = own_path();
	beside = own ? g_path_get_dirname(own) : NULL;
	if (!mount || (!root && !beside))
		return NULL;
	return g_build_filename(mount, root ? "" : beside, FOLDER, NULL);
}

static bool file_write(const char *folder, const char *file, const char *text)
{
	g_autofree char *path = g_build_filename(folder, file, NULL);
	/* a cgroup makes no files: there O_CREAT fails as their absence does */
	auto_close int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* What a folder's children may use: all that it may itself. */
static void hand_down(const char *folder)
{
	g_autofree char *path = g_build_filename(folder, "cgroup.controllers", NULL);
	g_autofree char *text = file_text(path);
	g_auto(GStrv) have = g_strsplit(text ?: "", " ", -1);

	for (unsigned i = 0; i < N_CONTROLLERS; i++) {
		g_autofree char *word = g_strconcat("+", controllers[i], NULL);

		if (g_strv_contains((const char *const *)have, controllers[i]) &&
		    !file_write(folder, "cgroup.subtree_control", word))
			g_info("'%s': no %s for its children: %s", folder, controllers[i],
			       g_strerror(errno));
	}
}

/* Looked for when the first limit comes: a host without any is left alone. */
static const char *folder_open(struct daemon *daemon)
{
	g_autofree char *folder = NULL, *above = NULL;

	if (daemon->cgroup_dir)
		return daemon->cgroup_dir;
	folder = folder_find(daemon->system_mode);
	if (!folder)
		return NULL;
	above = g_path_get_dirname(folder);
	hand_down(above);
	if (g_mkdir(folder, 0755) < 0 && errno != EEXIST) {
		g_info("make cgroup '%s': %s", folder, g_strerror(errno));
		return NULL;
	}
	hand_down(folder);
	daemon->cgroup_dir = g_steal_pointer(&folder);
	return daemon->cgroup_dir;
}

static bool controller_need(struct daemon *daemon, enum controller c, GError **error)
{
	const char *folder = folder_open(daemon);
	g_autofree char *path = g_build_filename(folder ?: "/", "cgroup.controllers", NULL);
	g_autofree char *text = folder ? file_text(path) : NULL;
	g_auto(GStrv) have = g_strsplit(text ?: "", " ", -1);

	return g_strv_contains((const char *const *)have, controllers[c]) ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: cgroup %s controller is not mounted: "
			 "limits need cgroup v2, handed over to vmmd (vmmd(8))", controllers[c]);
}

/* ---- limits ---- */

static bool limit_write(struct daemon *daemon, const char *folder, enum controller c,
			const char *file, const char *text, GError **error)
{
	return controller_need(daemon, c, error) &&
	       (file_write(folder, file, text) ||
		error_errno(error, errno, "write '%s' to '%s/%s'", text, folder, file));
}

static bool cpu_apply(struct daemon *daemon, const char *folder, const struct tune_def *from,
		      const struct tune_def *to, GError **error)
{
	uint64_t shares = to->values[TUNE_CPU_SHARES] ?: WEIGHT;
	uint64_t period = to->values[TUNE_CPU_PERIOD] ?: PERIOD_US;
	g_autofree char *weight = g_strdup_printf("%" G_GUINT64_FORMAT, shares);
	g_autofree char *quota = to->values[TUNE_CPU_QUOTA] ?
		g_strdup_printf("%" G_GUINT64_FORMAT, to->values[TUNE_CPU_QUOTA]) : g_strdup("max");
	g_autofree char *max = g_strdup_printf("%s %" G_GUINT64_FORMAT, quota, period);

	if (from->values[TUNE_CPU_SHARES] != to->values[TUNE_CPU_SHARES] &&
	    !limit_write(daemon, folder, CPU, "cpu.weight", weight, error))
		return false;
	return (from->values[TUNE_CPU_PERIOD] == to->values[TUNE_CPU_PERIOD] &&
		from->values[TUNE_CPU_QUOTA] == to->values[TUNE_CPU_QUOTA]) ||
	       limit_write(daemon, folder, CPU, "cpu.max", max, error);
}

static bool memory_apply(struct daemon *daemon, const char *folder, const struct tune_def *from,
			 const struct tune_def *to, GError **error)
{
	static const struct {
		enum domain_tune tune;
		const char *file;
	} files[] = {
		{ TUNE_MEMORY_HARD, "memory.max" }, { TUNE_MEMORY_SOFT, "memory.high" },
		{ TUNE_MEMORY_SWAP, "memory.swap.max" },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		uint64_t kib = to->values[files[i].tune];
		g_autofree char *text =
			kib ? g_strdup_printf("%" G_GUINT64_FORMAT, kib * 1024) : g_strdup("max");

		if (from->values[files[i].tune] != kib &&
		    !limit_write(daemon, folder, MEMORY, files[i].file, text, error))
			return false;
	}
	return true;
}

/* Of the two schedulers that know weights the host has one. */
static bool io_apply(struct daemon *daemon, const char *folder, const struct tune_def *from,
		     const struct tune_def *to, GError **error)
{
	uint64_t weight = to->values[TUNE_IO_WEIGHT] ?: WEIGHT;
	g_autofree char *text = g_strdup_printf("default %" G_GUINT64_FORMAT, weight);
	g_autofree char *bfq = g_strdup_printf("%" G_GUINT64_FORMAT, MIN(weight, 1000));

	return from->values[TUNE_IO_WEIGHT] == to->values[TUNE_IO_WEIGHT] ||
	       file_write(folder, "io.weight", text) ||
	       limit_write(daemon, folder, IO, "io.bfq.weight", bfq, error);
}

static bool numa_apply(struct daemon *daemon, const char *folder, const struct tune_def *from,
		       const struct tune_def *to, GError **error)
{
	return g_strcmp0(from->numa_nodeset, to->numa_nodeset) == 0 ||
	       limit_write(daemon, folder, CPUSET, "cpuset.mems", to->numa_nodeset ?: "\n", error);
}

static bool limits_write(struct daemon *daemon, const char *folder, const struct tune_def *from,
			 const struct tune_def *to, GError **error)
{
	return cpu_apply(daemon, folder, from, to, error) &&
	       memory_apply(daemon, folder, from, to, error) &&
	       io_apply(daemon, folder, from, to, error) &&
	       numa_apply(daemon, folder, from, to, error);
}

static bool same(const struct tune_def *a, const struct tune_def *b)
{
	return memcmp(a->values, b->values, sizeof(a->values)) == 0 &&
	       g_strcmp0(a->numa_nodeset, b->numa_nodeset) == 0;
}

/* Each controller that is needed is there, before anything is changed. */
static bool controllers_check(struct daemon *daemon, const struct tune_def *from,
			      const struct tune_def *to, GError **error)
{
	static const enum controller of[N_TUNES] = {
		[TUNE_CPU_SHARES] = CPU, [TUNE_CPU_PERIOD] = CPU, [TUNE_CPU_QUOTA] = CPU,
		[TUNE_MEMORY_HARD] = MEMORY, [TUNE_MEMORY_SOFT] = MEMORY,
		[TUNE_MEMORY_SWAP] = MEMORY, [TUNE_IO_WEIGHT] = IO,
	};

	for (unsigned i = 0; i < N_TUNES; i++)
		if (from->values[i] != to->values[i] && !controller_need(daemon, of[i], error))
			return false;
	return g_strcmp0(from->numa_nodeset, to->numa_nodeset) == 0 ||
	       controller_need(daemon, CPUSET, error);
}

bool cgroup_apply(struct daemon *daemon, const char *uuid_text, pid_t pid,
		  const struct tune_def *from, const struct tune_def *to, GError **error)
{
	static const struct tune_def nothing;
	g_autofree char *folder = NULL, *process = g_strdup_printf("%d", pid);

	from = from ?: &nothing;
	if (same(from, to))
		return true;
	if (!controllers_check(daemon, from, to, error))
		return false;
	folder = g_build_filename(daemon->cgroup_dir, uuid_text, NULL);
	if (g_mkdir(folder, 0755) < 0 && errno != EEXIST)
		return error_errno(error, errno, "make cgroup '%s'", folder);
	if (!limits_write(daemon, folder, from, to, error)) {
		limits_write(daemon, folder, to, from, NULL);
		return false;
	}
	return file_write(folder, "cgroup.procs", process) ||
	       error_errno(error, errno, "put the worker into cgroup '%s'", folder);
}

static gboolean remove_again(void *path)
{
	if (g_rmdir(path) < 0)
		g_info("remove cgroup '%s': %s", (char *)path, g_strerror(errno));
	return G_SOURCE_REMOVE;
}

void cgroup_remove(const struct daemon *daemon, const char *uuid_text)
{
	g_autofree char *folder = daemon->cgroup_dir ? g_strdup(daemon->cgroup_dir) :
						       folder_find(daemon->system_mode);
	g_autofree char *path = folder ? g_build_filename(folder, uuid_text, NULL) : NULL;

	if (!path || g_rmdir(path) == 0)
		return;
	/* A vsock's door ends a moment after its worker. */
	if (errno == EBUSY)
		g_timeout_add_seconds_full(G_PRIORITY_DEFAULT, 1, remove_again,
					   g_steal_pointer(&path), g_free);
	else if (errno != ENOENT && errno != ENOTDIR)
		g_info("remove cgroup '%s': %s", path, g_strerror(errno));
}
