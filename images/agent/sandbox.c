/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command's sandbox inside the guest.  Three processes:
 *
 *	outer	of the agent's session; waits, so that the agent has somebody to wait for
 *	init	first in the new pid namespace; reaps, tells the command's end
 *	command	sees a read-only system, a /tmp, /dev and /proc of its own
 *
 * Signals that are meant for the command come to the whole group: the two
 * others have them blocked.  KILL ends all, as each dies with its parent.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/agent/child.h"

static const struct sock_filter filter[] = {
#include "images/agent/filter.inc"
};

static void block_signals(sigset_t *ret_old)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, ret_old);
}

/* The outer process goes no further than this. */
static void outer(pid_t init)
{
	int status;

	while (waitpid(init, &status, 0) < 0 && errno == EINTR) {
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/* pipe: closed when the command has become what it shall be, or has failed. */
static void init(pid_t command, int started)
{
	int status = 0;
	char c;

	for (int i = 0; i < 3; i++)
		close(i); /* or the command's reader would never see the end */
	while (read(started, &c, 1) < 0 && errno == EINTR) {
	}
	child_send(CHILD_REPLY, "{}", 2, -1);
	for (;;) {
		pid_t pid = wait(&status);
		if (pid == command)
			break;
		if (pid < 0 && errno != EINTR)
			_exit(1);
	}
	child_send(CHILD_STATUS, &status, sizeof(status), -1);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void need(int r, const char *what)
{
	if (r < 0)
		child_fail(errno, "sandbox: %s (--raw does without)", what);
}

/* The nodes that harm nobody, by their own mounts: disks and the like are not there at all. */
static void make_dev(void)
{
	static const char *const nodes[] = { "null", "zero", "full", "random", "urandom", "tty" };
	char from[32], to[32];

	need(mkdir("/tmp/.dev", 0755), "make a folder for /dev");
	need(mount("dev", "/tmp/.dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"),
	     "mount /dev");
	for (size_t i = 0; i < sizeof(nodes) / sizeof(*nodes); i++) {
		struct stat st;
		snprintf(from, sizeof(from), "/dev/%s", nodes[i]);
		snprintf(to, sizeof(to), "/tmp/.dev/%s", nodes[i]);
		if (stat(from, &st) == 0 && S_ISCHR(st.st_mode)) {
			need(mknod(to, S_IFCHR | 0666, st.st_rdev), "make a device");
			chmod(to, 0666);
		}
	}
	mkdir("/tmp/.dev/pts", 0755);
	mkdir("/tmp/.dev/shm", 01777);
	need(mount("devpts", "/tmp/.dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		   "newinstance,ptmxmode=0666,mode=0620"),
	     "mount /dev/pts");
	need(mount("shm", "/tmp/.dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"),
	     "mount /dev/shm");
	need(symlink("pts/ptmx", "/tmp/.dev/ptmx"), "link /dev/ptmx");
	need(symlink("/proc/self/fd", "/tmp/.dev/fd"), "link /dev/fd");
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "stdin", "stdout", "stderr" };
		snprintf(from, sizeof(from), "/proc/self/fd/%d", i);
		snprintf(to, sizeof(to), "/tmp/.dev/%s", names[i]);
		need(symlink(from, to), "link the standard streams");
	}
	need(mount("/tmp/.dev", "/dev", NULL, MS_MOVE, NULL), "move /dev to its place");
	rmdir("/tmp/.dev");
}

/* What uid 0 could write there without a capability. */
static void guard_proc(void)
{
	static const char *const paths[] = { "/proc/sys", "/proc/sysrq-trigger",
					     "/proc/irq", "/proc/bus",
					     "/proc/fs",  "/proc/acpi",
					     "/proc/scsi" };

	need(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "mount /proc");
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (access(paths[i], F_OK) < 0)
			continue;
		need(mount(paths[i], paths[i], NULL, MS_BIND, NULL), "guard /proc");
		need(mount(NULL, paths[i], NULL,
			   MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			   NULL),
		     "guard /proc");
	}
}

static void make_mounts(void)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
	need(mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)),
	     "make the system read-only");
	need(mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777"), "mount /tmp");
	if (access("/var/tmp", F_OK) == 0)
		need(mount("/tmp", "/var/tmp", NULL, MS_BIND, NULL), "mount /var/tmp");
	make_dev();
	guard_proc();
}

static void raise_loopback(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return; /* a kernel without IPv4 has none */
	ioctl(s, SIOCSIFFLAGS, &lo);
	close(s);
}

void sandbox_enter(const struct sandbox *box)
{
	sigset_t old;
	int started[2];
	pid_t pid;

	need(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
		     (box->network ? 0 : CLONE_NEWNET)),
	     "make namespaces");
	block_signals(&old);
	need(pid = fork(), "fork");
	if (pid > 0) {
		close_range(0, ~0U, 0);
		outer(pid);
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	make_mounts();
	if (!box->network)
		raise_loopback();
	need(pipe2(started, O_CLOEXEC), "make a pipe");
	need(pid = fork(), "fork");
	if (pid > 0) {
		close(started[1]);
		init(pid, started[0]);
	}
	close(started[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

static void drop_bounding_set(void)
{
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		prctl(PR_CAPBSET_DROP, cap);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

/* uid 0 without a capability is nearly nobody; other users lose theirs on the way. */
void sandbox_become(const struct account *acc)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	account_groups(acc);
	drop_bounding_set();
	need(setresgid(acc->gid, acc->gid, acc->gid), "set the group");
	need(setresuid(acc->uid, acc->uid, acc->uid), "set the user");
	need(syscall(SYS_capset, &head, none), "drop capabilities");
}

void sandbox_close(void)
{
	struct sock_fprog program = { sizeof(filter) / sizeof(*filter),
				      (struct sock_filter *)filter };

	need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "forbid new privileges");
	need(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "filter system calls");
}
