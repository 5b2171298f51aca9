/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker's jail.
 *
 * The worker parses image headers and runs the guest's requests, so both
 * happen inside: sandbox_enter() is called before the machine is built, and
 * every path is opened by vmmd and comes as a descriptor.  Inside there is an
 * empty read-only root folder with one file, /etc/resolv.conf, for libslirp's
 * name server look-up.  The steps depend on each other: namespaces first (they
 * give the right to mount), uid last (it takes that right away).
 */
#include "config.h"
#include "vmmd/worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* any folder that exists: a tmpfs covers it in our namespace only */
#define JAIL_DIR "/tmp"
#define RESOLV_CONF "/etc/resolv.conf"
#define HOSTS "/etc/hosts"
#define FOLDER "/folder"
#define FILES_MAX 65536
#define FILES_SHARES 262144

static bool file_write(const char *path, const char *text)
{
	auto_close int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* Without root, mounting needs a user namespace; our own id maps to itself. */
static bool user_namespace_enter(void)
{
	g_autofree char *uid_map = g_strdup_printf("%u %u 1\n", geteuid(), geteuid());
	g_autofree char *gid_map = g_strdup_printf("%u %u 1\n", getegid(), getegid());

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	return file_write("/proc/self/setgroups", "deny") &&
	       file_write("/proc/self/uid_map", uid_map) &&
	       file_write("/proc/self/gid_map", gid_map);
}

static void file_bind(const char *path, const char *otherwise)
{
	g_autofree char *here = g_strconcat(JAIL_DIR, path, NULL);
	auto_close int fd = open(here, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	if (fd < 0 || mount(path, here, NULL, MS_BIND, NULL) < 0)
		g_info("%s: %s: %s", otherwise, path, g_strerror(errno));
}

static void names_bind(bool hosts)
{
	if (mkdir(JAIL_DIR "/etc", 0755) < 0)
		return;
	file_bind(RESOLV_CONF, "guests will have no name server");
	if (hosts)
		file_bind(HOSTS, "names are those of name servers only");
}

/*
 * The working folder, a mount, becomes the root, and the old root is detached.
 * A host that runs from its initramfs can't detach that: there the new root
 * covers it, and without CAP_SYS_CHROOT nobody gets below.
 */
static bool root_swap(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) == 0 && chdir("/") == 0;
	return errno == EINVAL && mount(".", "/", NULL, MS_MOVE, NULL) == 0 && chroot(".") == 0 &&
	       chdir("/") == 0;
}

/* By its own name it may be hidden by now; nobody can mount over "." */
static bool folder_bind(GError **error)
{
	if (mkdir(JAIL_DIR FOLDER, 0700) < 0 ||
	    mount(".", JAIL_DIR FOLDER, NULL, MS_BIND, NULL) < 0)
		return error_errno(error, errno, "sandbox: keep the working folder");
	return true;
}

/* What is to be kept may be hidden when the jail is built: it is opened before. */
static GArray *folders_open(char **paths)
{
	GArray *fds = g_array_new(FALSE, FALSE, sizeof(int));

	for (char **at = paths; at && *at; at++) {
		int fd = open(*at, O_PATH | O_DIRECTORY | O_CLOEXEC);

		g_array_append_val(fds, fd);
	}
	return fds;
}

static bool folder_keep(int fd, const char *path, GError **error)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
					       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	g_autofree char *from = g_strdup_printf("/proc/self/fd/%d", fd);
	g_autofree char *to = g_strconcat(JAIL_DIR, path, NULL);

	if (fd < 0 || g_mkdir_with_parents(to, 0755) < 0 ||
	    mount(from, to, NULL, MS_BIND, NULL) < 0 ||
	    mount_setattr(AT_FDCWD, to, 0, &attr, sizeof(attr)) < 0)
		return error_errno(error, errno, "sandbox: keep folder '%s'", path);
	return true;
}

/* Takes fds, those of paths. */
static bool folders_keep(GArray *fds, char **paths, GError **error)
{
	bool ok = true;

	for (unsigned i = 0; i < fds->len; i++) {
		int fd = g_array_index(fds, int, i);

		ok = ok && folder_keep(fd, paths[i], error);
		fd_close(&fd);
	}
	g_array_unref(fds);
	return ok;
}

static bool jail_fill(const struct sandbox_opts *o, GArray *folders, GError **error)
{
	names_bind(o->names);
	return folders_keep(folders, o->keep_read, error) &&
	       (!o->keep_folder || folder_bind(error));
}

/* An empty tmpfs becomes our root; the host's tree is detached, not merely hidden. */
static bool root_empty(const struct sandbox_opts *o, GError **error)
{
	GArray *folders;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return error_errno(error, errno, "sandbox: make mounts private%s",
				   errno == EINVAL ? " (a chroot's folder must be a mount)" : "");
	folders = folders_open(o->keep_read);
	if (mount("vmm-worker", JAIL_DIR, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=64k,mode=0755") < 0) {
		error_errno(error, errno, "sandbox: mount an empty root");
		g_array_unref(folders);
		return false;
	}
	if (!jail_fill(o, folders, error))
		return false;
	if (chdir(JAIL_DIR) < 0 || !root_swap())
		return error_errno(error, errno, "sandbox: change the root");
	if (mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  NULL) < 0)
		return error_errno(error, errno, "sandbox: make the empty root read-only");
	if (o->keep_folder && chdir(FOLDER) < 0)
		return error_errno(error, errno, "sandbox: enter the working folder");
	return true;
}

static bool namespaces_enter(const struct sandbox_opts *o, GError **error)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS;

	if (geteuid() != 0 && !user_namespace_enter()) {
		g_warning("no user namespace (%s): the worker keeps its view of the file system; "
			  "sysctl kernel.unprivileged_userns_clone=1 allows one",
			  g_strerror(errno));
		return true;
	}
	if (!o->host_network)
		flags |= CLONE_NEWNET;
	if (unshare(flags) < 0) {
		g_warning("no namespaces (%s): the worker keeps its view of the system",
			  g_strerror(errno));
		return true;
	}
	/* while there is a /proc, and in a mount namespace where we may clone it */
	if (o->share_proc_fd)
		*o->share_proc_fd = share_proc_open();
	return root_empty(o, error);
}

/* Without namespaces nobody has opened it yet. */
static bool share_proc_find(const struct sandbox_opts *o, GError **error)
{
	if (o->share_proc_fd && *o->share_proc_fd < 0)
		*o->share_proc_fd = share_proc_open();
	return !o->share_proc_fd || *o->share_proc_fd >= 0 ||
	       error_errno(error, *o->share_proc_fd, "shared folders need /proc/self/fd");
}

static bool privileges_drop(const struct sandbox_opts *o, GError **error)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	const struct __user_cap_data_struct no_caps[_LINUX_CAPABILITY_U32S_3] = { 0 };
	const struct rlimit none = { 0, 0 };

	if (o->uid && geteuid() == 0) {
		if (setgroups(0, NULL) < 0 || setresgid(o->gid, o->gid, o->gid) < 0 ||
		    setresuid(o->uid, o->uid, o->uid) < 0)
			return error_errno(error, errno, "sandbox: become uid %u", o->uid);
	}
	for (int cap = 0; cap < 64; cap++)
		prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	/* a new user namespace came with all of them */
	if (syscall(SYS_capset, &header, no_caps) < 0)
		return error_errno(error, errno, "sandbox: give up capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(error, errno, "sandbox: no_new_privs");
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	return true;
}

/*
 * Each connection of user networking is a descriptor, and each file of a shared
 * folder that the guest's kernel knows: as many as the host's hard limit allows.
 */
static void descriptors_raise(bool shares)
{
	const rlim_t wanted = shares ? FILES_SHARES : FILES_MAX;
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	if (shares && geteuid() == 0 && files.rlim_max < wanted)
		files.rlim_max = wanted;
	files.rlim_cur = MIN(files.rlim_max, wanted);
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		g_info("limit of open files: %s", g_strerror(errno));
}

#ifdef SANITIZED
/* At the end the leak checker would trace us from a process of its own: the jail forbids both. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
#endif

bool sandbox_enter(const struct sandbox_opts *opts, GError **error)
{
	descriptors_raise(opts->share_proc_fd);
	tzset();	/* while /etc/localtime is still there: the guest's clock may want it */
	return namespaces_enter(opts, error) && share_proc_find(opts, error) &&
	       privileges_drop(opts, error);
}
