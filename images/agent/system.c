/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the host asks of the guest as a whole: mounts, clock, names, file systems, power. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/child.h"

#define EXT4_MAGIC 0xef53
#define EXT4_IOC_RESIZE_FS _IOW('f', 16, uint64_t)
#define MOUNTS_MAX (1 << 20)

/* As mkdir -p; what is there is fine. */
static void make_folders(const char *path)
{
	char part[4096];

	for (const char *slash = path; slash;) {
		slash = strchr(slash + 1, '/');
		snprintf(part, sizeof(part), "%.*s",
			 slash ? (int)(slash - path) : (int)strlen(path), path);
		if (mkdir(part, 0755) < 0 && errno != EEXIST)
			child_fail(errno, "make the folder '%s'", part);
	}
}

#define P9_OPTIONS "trans=virtio,version=9p2000.L,msize=131072"

/* Without a type the first that is there, virtiofs before 9p. */
int request_mount(struct json_object *request)
{
	const char *tag = need_text(request, "tag"), *path = need_text(request, "path");
	const char *type = object_text(request, "type");
	unsigned long flags = object_flag(request, "read_only") ? MS_RDONLY : 0;
	bool p9 = type && !strcmp(type, "9p");

	if (*path != '/')
		child_fail(0, "mount '%s': the path must begin with /", path);
	if (type && !p9 && strcmp(type, "virtiofs"))
		child_fail(0, "mount '%s': type '%s' is neither 9p nor virtiofs", tag, type);
	make_folders(path);
	if (!p9 && mount(tag, path, "virtiofs", flags, NULL) == 0)
		return 0;
	int error = errno;
	if ((p9 || !type) && mount(tag, path, "9p", flags, P9_OPTIONS) == 0)
		return 0;
	child_fail(p9 ? errno : error, "mount '%s' at '%s'", tag, path);
}

int request_unmount(struct json_object *request)
{
	const char *path = need_text(request, "path");

	if (umount2(path, UMOUNT_NOFOLLOW) < 0)
		child_fail(errno, "unmount '%s'", path);
	return 0;
}

int request_set_time(struct json_object *request)
{
	struct timespec t = {
		.tv_sec = need_number(request, "seconds", -1, 0, INT64_C(1) << 36),
		.tv_nsec = need_number(request, "nanoseconds", 0, 0, 999999999),
	};

	if (t.tv_sec < 0)
		child_fail(0, "the request has no 'seconds'");
	if (clock_settime(CLOCK_REALTIME, &t) < 0)
		child_fail(errno, "set the clock");
	return 0;
}

int request_set_name(struct json_object *request)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.";
	const char *name = object_text(request, "host_name"),
		   *id = object_text(request, "machine_id");
	char line[128];

	if (!name && !id)
		child_fail(0, "the request has neither 'host_name' nor 'machine_id'");
	if (name && (!*name || strlen(name) > 64 || strspn(name, letters) != strlen(name)))
		child_fail(0, "'%s' is no name for a host", name);
	if (id && (strlen(id) != 32 || strspn(id, "0123456789abcdef") != 32))
		child_fail(0, "'machine_id' is not 32 hexadecimal digits");
	if (name) {
		snprintf(line, sizeof(line), "%s\n", name);
		put_file("/etc/hostname", line, strlen(line), 0644);
		if (sethostname(name, strlen(name)) < 0)
			child_fail(errno, "set the host's name");
	}
	if (id) {
		snprintf(line, sizeof(line), "%s\n", id);
		put_file("/etc/machine-id", line, strlen(line), 0444);
	}
	return 0;
}

/* The device of the root, by its number: names in the mount table may be anything. */
static uint64_t root_device_bytes(void)
{
	char path[64];
	uint64_t bytes = 0;
	struct stat st;

	if (stat("/", &st) < 0)
		child_fail(errno, "look at '/'");
	snprintf(path, sizeof(path), "/dev/.vmm-agent.%d", (int)getpid());
	if (mknod(path, S_IFBLK | 0600, st.st_dev) < 0)
		child_fail(errno, "open the root's device");
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int error = errno;
	unlink(path);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) < 0)
		child_fail(fd < 0 ? error : errno, "open the root's device");
	close(fd);
	return bytes;
}

/* ext4 grows while it is mounted, by the kernel alone; a partition must have grown before. */
int request_grow(struct json_object *request)
{
	struct json_object *o = json_object_new_object();
	struct statfs fs;
	int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || fstatfs(fd, &fs) < 0)
		child_fail(errno, "look at '/'");
	if (fs.f_type != EXT4_MAGIC)
		child_fail(EOPNOTSUPP, "grow '/', which is no ext4 (its type is %lx)",
			   (long)fs.f_type);
	uint64_t bytes = root_device_bytes(), blocks = bytes / fs.f_bsize;
	if (ioctl(fd, EXT4_IOC_RESIZE_FS, &blocks) < 0)
		child_fail(errno, "grow '/' to %llu bytes", (unsigned long long)bytes);
	object_put_number(o, "bytes", bytes);
	child_reply(o);
	return 0;
}

/* Mount points whose file systems have a device, the last mounted first. */
size_t mount_points(char *text, char *points[], size_t max)
{
	size_t n = 0;

	for (char *line = text, *next; line && *line && n < max; line = next) {
		char *point = strchr(line, ' ');
		next = strchr(line, '\n');
		if (next)
			*next++ = 0;
		if (strncmp(line, "/dev/", 5) || !point)
			continue;
		points[n++] = ++point;
		point[strcspn(point, " ")] = 0;
	}
	return n;
}

static bool is_listed(const char *const *points, const char *point)
{
	for (; points && *points; points++) {
		if (!strcmp(*points, point))
			return true;
	}
	return !points;
}

/* As the mount table writes it, a space is \040: such a point is found all the same. */
static int open_point(const char *point)
{
	char path[4096];
	size_t n = 0;

	for (; *point && n < sizeof(path) - 1; n++) {
		bool octal = point[0] == '\\' && point[1] && point[2] && point[3];
		path[n] = octal ? (point[1] - '0') << 6 | (point[2] - '0') << 3 | (point[3] - '0') :
				  *point;
		point += octal ? 4 : 1;
	}
	path[n] = 0;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* One that is frozen already says EBUSY: a device may be mounted at several places. */
int freeze_all(bool freeze, const char *const *listed)
{
	char *text = read_small("/proc/mounts", MOUNTS_MAX), *points[256];
	size_t n = text ? mount_points(text, points, 256) : 0;
	int done = 0;

	for (size_t i = n; i-- > 0;) {
		if (!is_listed(listed, points[i]))
			continue;
		int fd = open_point(points[i]);
		int r = fd < 0 ? -1 : ioctl(fd, freeze ? FIFREEZE : FITHAW, 0);
		int error = errno;
		done += r == 0;
		if (fd >= 0)
			close(fd);
		if (freeze && r < 0 && error != EBUSY && error != EOPNOTSUPP && error != ENOTDIR) {
			uint32_t none = 0;
			freeze_all(false, NULL);
			child_send(CHILD_FROZEN, &none, sizeof(none), -1);
			child_fail(error, "freeze '%s'", points[i]);
		}
	}
	free(text);
	return done;
}

/* The agent is told before anything is frozen: if we die of it, it is undone all the same. */
int request_freeze(struct json_object *request)
{
	struct json_object *o = json_object_new_object();
	uint32_t seconds = need_number(request, "thaw_after", FREEZE_SECONDS, 1, 86400);

	child_send(CHILD_FROZEN, &seconds, sizeof(seconds), -1);
	object_put_number(o, "file_systems", freeze_all(true, NULL));
	child_reply(o);
	return 0;
}

int request_thaw(struct json_object *request)
{
	struct json_object *o = json_object_new_object();
	uint32_t none = 0;

	object_put_number(o, "file_systems", freeze_all(false, NULL));
	child_send(CHILD_FROZEN, &none, sizeof(none), -1);
	child_reply(o);
	return 0;
}

/* The guest's init is told, as by its own commands; without one that listens, the kernel. */
static bool run_first(const char *const paths[], const char *arg)
{
	for (int i = 0; paths[i]; i++)
		execl(paths[i], paths[i], arg, NULL);
	return false;
}

int request_power(struct json_object *request)
{
	static const char *const off[] = { "/sbin/poweroff", "/usr/sbin/poweroff", "/bin/poweroff",
					   NULL };
	static const char *const reboot_[] = { "/sbin/reboot", "/usr/sbin/reboot", "/bin/reboot",
					       NULL };
	const char *how = need_text(request, "how");
	bool again = !strcmp(how, "reboot");

	if (!again && strcmp(how, "poweroff"))
		child_fail(0, "'how' is '%s', neither poweroff nor reboot", how);
	child_reply(json_object_new_object());
	if (object_flag(request, "force")) {
		sync();
		reboot(again ? RB_AUTOBOOT : RB_POWER_OFF);
		return 1;
	}
	run_first(again ? reboot_ : off, NULL);
	kill(1, again ? SIGTERM : SIGUSR2);
	return 0;
}
