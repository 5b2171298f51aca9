/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A folder of the host, opened for a machine that runs as somebody else. */
#include "config.h"
#include "libvmm/util/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define IDS_LAST 0xfffffffeu	/* the one behind it is nobody at all */
#define WAYS "\"chmod o+rwx\" it, use <readonly/>, or a folder on ext4, xfs, btrfs or, from " \
	     "Linux 6.3 on, tmpfs"

/* ---- is it one to share? ---- */

/* Of the kernel's own: what is written there is a command. */
static const struct {
	unsigned long magic;
	const char *name;
} kernel_file_systems[] = {
	{ PROC_SUPER_MAGIC, "proc" },	      { SYSFS_MAGIC, "sysfs" },
	{ CGROUP_SUPER_MAGIC, "cgroup" },     { CGROUP2_SUPER_MAGIC, "cgroup2" },
	{ DEBUGFS_MAGIC, "debugfs" },	      { TRACEFS_MAGIC, "tracefs" },
	{ SECURITYFS_MAGIC, "securityfs" },   { DEVPTS_SUPER_MAGIC, "devpts" },
	{ BPF_FS_MAGIC, "bpf" },	      { EFIVARFS_MAGIC, "efivarfs" },
	{ PSTOREFS_MAGIC, "pstore" },	      { SELINUX_MAGIC, "selinuxfs" },
	{ BINFMTFS_MAGIC, "binfmt_misc" },    { NSFS_MAGIC, "nsfs" },
};

static bool file_system_is_fit(int fd, const char *path, GError **error)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return error_errno(error, errno, "folder '%s'", path);
	for (unsigned i = 0; i < ARRAY_SIZE(kernel_file_systems); i++)
		if ((unsigned long)fs.f_type == kernel_file_systems[i].magic)
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "folder '%s' is the kernel's own (%s): it is not shared",
					 path, kernel_file_systems[i].name);
	return true;
}

/* Is b a, or below it? */
static bool is_within(const char *a, const char *b)
{
	size_t len = strlen(a);

	return !strcmp(a, "/") || (!strncmp(a, b, len) && (b[len] == '/' || !b[len]));
}

/* real: where it is whatever links lead there. */
static bool place_is_fit(const char *real, const struct folder_opts *o, GError **error)
{
	if (!strcmp(real, "/"))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "folder '%s' is the host's root: name the folder that is meant",
				 o->path);
	if (is_within("/dev", real))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "folder '%s' is among the host's devices: it is not shared",
				 o->path);
	for (const char *const *p = o->ours; p && *p; p++) {
		g_autofree char *ours = realpath(*p, NULL);

		if (ours && (is_within(ours, real) || is_within(real, ours)))
			return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
					 "folder '%s' %s '%s', which is vmmd's own: name another",
					 o->path, is_within(ours, real) ? "is within" : "contains",
					 ours);
	}
	return true;
}

static int open_checked(const struct folder_opts *o, struct stat *ret_st, GError **error)
{
	const struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	auto_close int fd = (int)syscall(SYS_openat2, AT_FDCWD, o->path, &how, sizeof(how));
	g_autofree char *link = NULL, *real = NULL;

	if (fd < 0 || fstat(fd, ret_st) < 0) {
		error_errno(error, errno, "folder '%s'", o->path);
		return -1;
	}
	link = g_strdup_printf("/proc/self/fd/%d", fd);
	real = g_file_read_link(S_ISLNK(ret_st->st_mode) ? o->path : link, NULL);
	if (S_ISLNK(ret_st->st_mode)) {
		error_set(error, VMM_ERR_OPERATION_FAILED,
			  "folder '%s' is a symbolic link, to '%s': name the folder itself",
			  o->path, real ? real : "");
		return -1;
	}
	if (!S_ISDIR(ret_st->st_mode)) {
		error_set(error, VMM_ERR_OPERATION_FAILED, "'%s' is not a folder", o->path);
		return -1;
	}
	if (!place_is_fit(real ? real : o->path, o, error) ||
	    !file_system_is_fit(fd, o->path, error))
		return -1;
	return TAKE_FD(fd);
}

/* ---- a user namespace, of which only the map is used ---- */

/* All stay who they are, but two. */
static char *map_exchange(unsigned a, unsigned b)
{
	const unsigned low = MIN(a, b), high = MAX(a, b);
	g_autoptr(GString) map = g_string_new(NULL);

	if (low > 0)
		g_string_append_printf(map, "0 0 %u\n", low);
	g_string_append_printf(map, "%u %u 1\n", low, high);
	if (high - low > 1)
		g_string_append_printf(map, "%u %u %u\n", low + 1, low + 1, high - low - 1);
	if (high > low)
		g_string_append_printf(map, "%u %u 1\n", high, low);
	if (high < IDS_LAST)
		g_string_append_printf(map, "%u %u %u\n", high + 1, high + 1, IDS_LAST - high);
	return g_string_free(g_steal_pointer(&map), FALSE);
}

static bool map_write(pid_t pid, const char *file, const char *map)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/%s", (int)pid, file);
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);
	const size_t len = strlen(map);

	return fd >= 0 && write(fd, map, len) == (ssize_t)len;
}

/*
 * A namespace is made by a process, which does nothing else than wait for its
 * end.  It sends no SIGCHLD: whoever waits for children does not meet it.
 */
static int namespace_new(const char *uid_map, const char *gid_map)
{
	int ends[2], fd = -1, why = 0;
	char c;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER, NULL, NULL, NULL, NULL);
	if (pid == 0) {
		close(ends[1]);
		(void)!read(ends[0], &c, 1);
		_exit(0);
	}
	close(ends[0]);
	if (pid > 0 && map_write(pid, "uid_map", uid_map) && map_write(pid, "gid_map", gid_map)) {
		g_autofree char *path = g_strdup_printf("/proc/%d/ns/user", (int)pid);

		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	why = errno;
	close(ends[1]);
	if (pid > 0)
		waitpid(pid, NULL, __WALL);
	return fd < 0 ? -why : fd;
}

/* ---- the mount ---- */

/* Or -errno. */
static int mount_mapped(int fd, const struct folder_opts *o, const struct stat *st)
{
	g_autofree char *uids = map_exchange(st->st_uid, o->machine);
	g_autofree char *gids = map_exchange(st->st_gid, o->machine);
	auto_close int tree = open_tree(fd, "",
					AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	auto_close int ns = tree < 0 ? -errno : namespace_new(uids, gids);
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC | (o->readonly ? MOUNT_ATTR_RDONLY : 0),
		.userns_fd = (uint64_t)ns,
	};

	if (ns < 0)
		return ns;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	return TAKE_FD(tree);
}

/* Somebody who is neither the owner nor in the group. */
static bool strangers_may(const struct stat *st, bool write)
{
	const mode_t needed = S_IROTH | S_IXOTH | (write ? S_IWOTH : 0);

	return (st->st_mode & needed) == needed;
}

static bool as_it_is(int fd, const struct folder_opts *o, const struct stat *st, int why,
		     GError **error)
{
	const int mode = R_OK | X_OK | (o->readonly ? 0 : W_OK);

	if (o->machine && !strangers_may(st, !o->readonly))
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "folder '%s' belongs to uid %u: uid %u, as which the machine "
				 "runs, may not %s it, and no mount can be made in which it may "
				 "(%s): " WAYS, o->path, st->st_uid, o->machine,
				 strangers_may(st, false) ? "write" : "read", g_strerror(why));
	if (!o->machine && faccessat(fd, ".", mode, AT_EACCESS) < 0)
		return error_errno(error, errno, "folder '%s': uid %u may not %s it", o->path,
				   geteuid(), faccessat(fd, ".", R_OK | X_OK, AT_EACCESS) < 0 ?
					      "read" : "write");
	return true;
}

bool folder_open(const struct folder_opts *opts, struct folder *ret, GError **error)
{
	struct stat st;
	auto_close int fd = open_checked(opts, &st, error);
	auto_close int mapped = -EPERM;

	if (fd < 0)
		return false;
	if (opts->machine)
		mapped = mount_mapped(fd, opts, &st);
	if (mapped >= 0) {
		*ret = (struct folder){ TAKE_FD(mapped), true, st.st_uid, st.st_gid };
		return true;
	}
	if (!as_it_is(fd, opts, &st, -mapped, error))
		return false;
	*ret = (struct folder){ .fd = TAKE_FD(fd) };
	return true;
}
