/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As process 1 of a guest that boots with the agent beside its initramfs
 * (rdinit=/.libvmm/agent): give the kernel the host's random bytes, leave a
 * child that serves, become the real init.
 *
 * The child lives on through any change of the root.  It has mounts of its
 * own, in which a file system in memory stands over the first root: nothing of
 * it can be removed with that root, and nothing of it is on the guest's disks,
 * so that they can be unmounted.  Its name begins with @, by which systemd
 * knows who is to be spared when a root changes or ends.  It keeps an agent
 * running: one that is killed in the guest comes back.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/agent/agent.h"

#define SELF "/.libvmm/agent"
#define MOUNT_POINT "/.libvmm/mnt"
#define REAL_INIT "/.libvmm/init"	/* a link to the real one */
#define SEED "/.libvmm/seed"
#define SEED_BYTES 32
#define RANDOM_DEVICE 0x108 /* 1:8 */
#define OUTBOUND "/.libvmm/outbound"	/* the port of the way out, if there is one */

/*
 * The host's random bytes become the kernel's, counted in full: who can read
 * them there can read all of the guest.  There is no /dev yet.
 */
static void seed_give(void)
{
	static struct {
		struct rand_pool_info info;
		unsigned char bytes[SEED_BYTES];
	} seed = { .info = { .entropy_count = 8 * SEED_BYTES, .buf_size = SEED_BYTES } };
	int from = open(SEED, O_RDONLY | O_CLOEXEC), to;

	if (from < 0)
		return;
	unlink(SEED);
	mknod(SEED, S_IFCHR | 0600, RANDOM_DEVICE);
	to = open(SEED, O_WRONLY | O_CLOEXEC);
	unlink(SEED);
	if (read(from, seed.info.buf, SEED_BYTES) == SEED_BYTES)
		ioctl(to, RNDADDENTROPY, &seed);
	memset(&seed, 0, sizeof(seed));
	__asm__ volatile("" : : "r"(&seed) : "memory"); /* it is done, though nobody reads it */
	close(from);
	close(to);
}

static void need(int r, const char *what)
{
	if (r >= 0)
		return;
	agent_log("%s: %s; there is no agent", what, strerror(errno));
	_exit(1);
}

static void enter_own_root(void)
{
	need(unshare(CLONE_NEWNS), "unshare");
	need(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make mounts private");
	need(mount("agent", MOUNT_POINT, "tmpfs", 0, "mode=700,size=64k"), "mount a root");
	need(chdir(MOUNT_POINT), "enter the root");
	mkdir("proc", 0555);
	mkdir("sys", 0555);
	mkdir("dev", 0755);
	need(mount("proc", "proc", "proc", 0, NULL), "mount /proc");
	need(mount("sys", "sys", "sysfs", 0, NULL), "mount /sys");
	need(mount("dev", "dev", "devtmpfs", 0, NULL), "mount /dev");
	need(mount(".", "/", NULL, MS_MOVE, NULL), "move the root");
	need(chroot("."), "change the root");
	need(chdir("/"), "enter the root");
}

#define AGAIN_S 1

/* The way to the agent's own end: a KILL, and nobody else's. */
static void keep(char *self_name)
{
	static const int heedless[] = { SIGTERM, SIGINT, SIGHUP };

	*self_name = '@'; /* as ps and systemd see us */
	prctl(PR_SET_NAME, "vmm-agent-keep");
	for (size_t i = 0; i < sizeof(heedless) / sizeof(*heedless); i++)
		signal(heedless[i], SIG_IGN);
	for (;;) {
		pid_t pid = fork();

		if (pid == 0) {
			for (size_t i = 0; i < sizeof(heedless) / sizeof(*heedless); i++)
				signal(heedless[i], SIG_DFL);
			return;
		}
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
		}
		sleep(AGAIN_S);
	}
}

static bool outbound_read(char *ret, size_t bytes)
{
	int fd = open(OUTBOUND, O_RDONLY | O_CLOEXEC);
	size_t at = snprintf(ret, bytes, AGENT_OUTBOUND "=");
	ssize_t n = fd < 0 ? -1 : read(fd, ret + at, bytes - at - 1);

	if (fd >= 0)
		close(fd);
	if (n > 0)
		ret[at + n] = 0;
	return n > 0;
}

static void serve(char *self_name)
{
	static char name[] = "@vmm-agent";
	char root[64] = AGENT_FIRST_ROOT "=0", out[64] = "";
	char *const argv[] = { name, NULL };
	char *const envp[] = { root, outbound_read(out, sizeof(out)) ? out : NULL, NULL };
	int self = open(SELF, O_RDONLY | O_CLOEXEC);
	struct stat st;

	if (stat("/", &st) == 0)
		snprintf(root, sizeof(root), AGENT_FIRST_ROOT "=%llu",
			 (unsigned long long)st.st_dev);

	need(self, "open " SELF);
	setsid();
	enter_own_root();
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	keep(self_name);
	need(execveat(self, "", argv, envp, AT_EMPTY_PATH), "run the agent");
}

int boot_main(int argc, char **argv)
{
	char init[512] = "/init";
	ssize_t n = readlink(REAL_INIT, init, sizeof(init) - 1);

	if (n > 0)
		init[n] = 0;
	seed_give();
	if (fork() == 0)
		serve(argv[0]);
	argv[0] = init;
	execv(init, argv);
	agent_log("cannot run '%s': %s; the guest has no init", init, strerror(errno));
	return 1;
}
