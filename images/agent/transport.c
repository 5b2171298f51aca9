/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ways to the host: vsock, the virtio port, and a Unix socket for tests.
 * Early in a boot neither device has its driver; the agent looks again, often
 * at first, and asks once for the drivers' modules when the guest has its root.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "images/agent/child.h"

#define AT_ONCE_MS 20 /* the host waits, and a look costs little */
#define OFTEN_MS 200
#define SELDOM_MS 2000
#define BOOT_MS 5000 /* after the agent's start */
#define EARLY_MS 120000
#define MODULES_MS 1500
#define HOME_MS 30000
#define HOME_DISKLESS_MS 500

static void on_connection(struct agent *a, int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0 && !link_new(a, fd, fd, false))
		close(fd);
}

static void on_listener(void *opaque, short revents)
{
	struct agent *a = opaque;

	on_connection(a, a->listener);
}

static void on_vsock(void *opaque, short revents)
{
	struct agent *a = opaque;

	on_connection(a, a->vsock);
}

bool transport_listen(struct agent *a, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(addr.sun_path, path, strlen(path));
	a->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return a->listener >= 0 && bind(a->listener, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	       listen(a->listener, LINKS_MAX) == 0;
}

static void look_for_vsock(struct agent *a)
{
	struct sockaddr_vm addr = { .svm_family = AF_VSOCK,
				    .svm_cid = VMADDR_CID_ANY,
				    .svm_port = AGENT_VSOCK_PORT };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    listen(fd, LINKS_MAX) == 0) {
		a->vsock = fd;
		agent_log("serves vsock port %u", AGENT_VSOCK_PORT);
	} else if (fd >= 0) {
		close(fd);
	}
}

/* true: this folder of sysfs is our port's */
static bool is_port(const char *name)
{
	char path[320], text[sizeof(AGENT_PORT_NAME)] = "";

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (fd >= 0)
		close(fd);
	return n >= (ssize_t)strlen(AGENT_PORT_NAME) &&
	       !strncmp(text, AGENT_PORT_NAME, strlen(AGENT_PORT_NAME));
}

static void open_port(struct agent *a, const char *name)
{
	char path[320];

	snprintf(path, sizeof(path), "/dev/%s", name);
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	if (link_new(a, fd, fd, true))
		agent_log("serves the port " AGENT_PORT_NAME);
	else
		close(fd);
}

static bool has_port(struct agent *a)
{
	struct link *l = a->links;

	while (l && !l->port)
		l = l->next;
	return l;
}

static void look_for_port(struct agent *a)
{
	DIR *dir = has_port(a) ? NULL : opendir("/sys/class/virtio-ports");

	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (*e->d_name != '.' && is_port(e->d_name)) {
			open_port(a, e->d_name);
			break;
		}
	}
	if (dir)
		closedir(dir);
}

/* Where no udev asks for them: the guest's own modprobe, in its root. */
static void ask_for_modules(struct agent *a)
{
	if (a->asked_modules || (a->vsock >= 0 && has_port(a)) ||
	    access("/proc/1/root/sbin/modprobe", X_OK) < 0 ||
	    access("/proc/1/root/proc/modules", R_OK) < 0 ||
	    agent_now_ms() < a->started_ms + MODULES_MS)
		return;
	a->asked_modules = true;
	if (fork() == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);
		for (int i = 0; null >= 0 && i < 3; i++)
			dup2(null, i);
		if (chroot("/proc/1/root") == 0 && chdir("/") == 0)
			execl("/sbin/modprobe", "modprobe", "-q", "-a",
			      "vmw_vsock_virtio_transport", "virtio_console", NULL);
		_exit(127);
	}
}

/* Of a folder of sysfs: is there an entry for which fn is true? */
static bool any_in(const char *path, bool (*fn)(const char *name))
{
	DIR *dir = opendir(path);
	bool found = false;

	for (struct dirent *e; dir && !found && (e = readdir(dir));)
		found = *e->d_name != '.' && fn(e->d_name);
	if (dir)
		closedir(dir);
	return found;
}

static bool is_virtio(const char *name)
{
	return true;
}

/* Seen before its own driver is there: virtio 1.2, 5: 2 is a block device. */
static bool is_virtio_disk(const char *name)
{
	char path[320];

	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s/device", name);
	char *text = read_small(path, 16);
	bool disk = text && strtoul(text, NULL, 16) == 2;
	free(text);
	return disk;
}

static bool is_disk(const char *name)
{
	return strncmp(name, "loop", 4) && strncmp(name, "ram", 3) && strncmp(name, "zram", 4);
}

/* Whoever hears us does so by a virtio device; until one is seen nothing is known. */
static bool may_have_disk(void)
{
	return !any_in("/sys/bus/virtio/devices", is_virtio) ||
	       any_in("/sys/bus/virtio/devices", is_virtio_disk) ||
	       any_in("/sys/block", is_disk);
}

/*
 * Commands are for the guest's own root, not for the initramfs that looks for
 * it; so the host hears nothing until process 1 is there.  A guest that stays
 * where it is, as one without a disk will, is served all the same.
 */
static bool is_at_home(struct agent *a, int64_t now)
{
	struct stat st;

	if (a->first_root && stat("/proc/1/root/", &st) == 0 && st.st_dev == a->first_root &&
	    now < a->started_ms + (may_have_disk() ? HOME_MS : HOME_DISKLESS_MS))
		return false;
	a->first_root = 0;
	return true;
}

static int64_t pause_ms(const struct agent *a, int64_t now)
{
	if (a->vsock < 0 && now < a->started_ms + BOOT_MS)
		return AT_ONCE_MS;
	return now < a->started_ms + EARLY_MS ? OFTEN_MS : SELDOM_MS;
}

void transport_look(struct agent *a)
{
	int64_t now = agent_now_ms();

	if (now < a->next_look_ms)
		return;
	if (!is_at_home(a, now)) {
		look_for_port(a); /* Linux throws away what comes to a port that nobody has open */
		a->next_look_ms = now + AT_ONCE_MS;
		return;
	}
	if (a->vsock < 0)
		look_for_vsock(a);
	look_for_port(a);
	ask_for_modules(a);
	a->next_look_ms = now + pause_ms(a, now);
}

/* Looks first: what it finds is waited for in the same turn. */
void transport_watch(struct agent *a)
{
	if (a->guest) {
		transport_look(a);
		if (a->vsock < 0 || !has_port(a))
			agent_wake_at(a, a->next_look_ms);
	}
	if (a->n_links < LINKS_MAX) {
		agent_watch(a, a->listener, POLLIN, on_listener, a);
		agent_watch(a, a->vsock, POLLIN, on_vsock, a);
	}
}
