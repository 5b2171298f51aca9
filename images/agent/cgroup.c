/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Commands in cgroups of their own, to stop a tree of processes and to end it.
 * The hierarchy is mounted without a place in any tree: whatever the guest's
 * init does to its own mounts, this one stays.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/agent/channel.h"

#define FOLDER "vmm-agent"
#define CLEAR_US 20000

/* What an agent that was killed has left, commands and all: nobody hears them any more. */
static void clear(struct agent *a)
{
	int folder = openat(a->cgroup, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = folder < 0 ? NULL : fdopendir(folder);

	for (struct dirent *e; dir && (e = readdir(dir));) {
		char path[280];

		if (*e->d_name == '.' || e->d_type != DT_DIR)
			continue;
		snprintf(path, sizeof(path), "%s/cgroup.kill", e->d_name);
		int fd = openat(folder, path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0 && write(fd, "1", 1) == 1)
			usleep(CLEAR_US); /* for the last of them to be gone */
		if (fd >= 0)
			close(fd);
		unlinkat(folder, e->d_name, AT_REMOVEDIR);
	}
	if (dir)
		closedir(dir);
}

void cgroup_open(struct agent *a)
{
	int fs = fsopen("cgroup2", FSOPEN_CLOEXEC);

	if (fs < 0)
		return;
	if (fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
		a->cgroup = fsmount(fs, FSMOUNT_CLOEXEC, 0);
	close(fs);
	if (a->cgroup >= 0 && mkdirat(a->cgroup, FOLDER, 0755) < 0 && errno != EEXIST) {
		close(a->cgroup);
		a->cgroup = -1;
	}
	if (a->cgroup >= 0 && a->guest)
		clear(a);
}

void cgroup_close(struct agent *a)
{
	if (a->cgroup >= 0)
		unlinkat(a->cgroup, FOLDER, AT_REMOVEDIR);
}

static void path_of(char ret[64], unsigned id, const char *file)
{
	snprintf(ret, 64, FOLDER "/%d.%u%s", (int)getpid(), id, file);
}

int cgroup_make(struct agent *a, unsigned id)
{
	char path[64];

	path_of(path, id, "");
	if (a->cgroup < 0 || (mkdirat(a->cgroup, path, 0755) < 0 && errno != EEXIST))
		return -1;
	return openat(a->cgroup, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void enter(int cgroup)
{
	int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		agent_log("a command's cgroup can't be entered: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
}

/*
 * Not by CLONE_INTO_CGROUP, which would spare a wait for the kernel's grace
 * period: while other cgroups were killed, Linux 6.18 was seen to kill such a
 * child now and then, in cgroup_post_fork().
 */
pid_t cgroup_fork(int cgroup)
{
	pid_t pid = fork();

	if (pid == 0 && cgroup >= 0)
		enter(cgroup);
	return pid;
}

bool cgroup_write(struct agent *a, unsigned id, const char *file, const char *text)
{
	char path[64], name[32];

	snprintf(name, sizeof(name), "/%s", file);
	path_of(path, id, name);
	int fd = a->cgroup < 0 ? -1 : openat(a->cgroup, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

void cgroup_remove(struct agent *a, unsigned id)
{
	char path[64];

	path_of(path, id, "");
	if (a->cgroup >= 0)
		unlinkat(a->cgroup, path, AT_REMOVEDIR);
}
