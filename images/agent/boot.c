/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * As process 1 of a guest that boots with the agent beside its initramfs
 * (rdinit=/.libvmm/agent): leave a child that serves, become the real init.
 *
 * The child lives on through any change of the root: it has mounts of its own
 * under which the first root, in memory, stays; nothing of it is on the
 * guest's disks, so that they can be unmounted.  Its name begins with @, by
 * which systemd knows who is to be spared when a root changes or ends.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/agent/agent.h"

#define SELF "/.libvmm/agent"
#define REAL_INIT "/.libvmm/init" /* a link to the real one */

static void serve(void)
{
	int null;

	setsid();
	if (unshare(CLONE_NEWNS) < 0)
		_exit(1);
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mkdir("/proc", 0555);
	mkdir("/sys", 0555);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sys", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	null = open("/dev/null", O_RDWR);
	for (int i = 0; null >= 0 && i < 3; i++)
		dup2(null, i);
	execl(SELF, "@vmm-agent", NULL);
	_exit(1);
}

int boot_main(int argc, char **argv)
{
	char init[512] = "/init";
	ssize_t n = readlink(REAL_INIT, init, sizeof(init) - 1);

	if (n > 0)
		init[n] = 0;
	if (fork() == 0)
		serve();
	argv[0] = init;
	execv(init, argv);
	agent_log("cannot run '%s': %s; the guest has no init", init, strerror(errno));
	return 1;
}
