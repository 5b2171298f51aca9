/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's guest agent protocol: disks, and the file systems on them. */
#include "config.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "images/agent/qga.h"

#define LISTED_MAX 128
#define NAME_MAX_ 64

/* "/sys/block/vda" of a partition of it, too; false: none that the kernel knows. */
static bool disk_of(dev_t dev, char name[NAME_MAX_], char disk[NAME_MAX_])
{
	char path[128], link[512];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u", major(dev), minor(dev));
	ssize_t n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return false;
	link[n] = 0;
	char *last = strrchr(link, '/');
	if (!last)
		return false;
	*last++ = 0;
	snprintf(name, NAME_MAX_, "%.*s", NAME_MAX_ - 1, last);
	char *parent = strrchr(link, '/');
	bool part = parent && strcmp(parent, "/block") != 0;
	snprintf(disk, NAME_MAX_, "%.*s", NAME_MAX_ - 1, part ? parent + 1 : last);
	return true;
}

/* This machine's disks have no bus of their own; the kernel's name tells them apart. */
static struct json_object *address(const char *disk)
{
	static const char *const none[] = { "domain", "bus", "slot", "function" };
	struct json_object *o = json_object_new_object(), *pci = json_object_new_object();
	char path[128];

	for (int i = 0; i < 4; i++)
		object_put_number(pci, none[i], -1);
	json_object_object_add(o, "pci-controller", pci);
	object_put_text(o, "bus-type", "virtio");
	object_put_number(o, "bus", 0);
	object_put_number(o, "target", 0);
	object_put_number(o, "unit", 0);
	snprintf(path, sizeof(path), "/dev/%s", disk);
	object_put_text(o, "dev", path);
	snprintf(path, sizeof(path), "/sys/block/%s/serial", disk);
	char *serial = qga_line(path);
	if (serial)
		object_put_text(o, "serial", serial);
	free(serial);
	return o;
}

static struct json_object *file_system(const char *device, const char *point, const char *type)
{
	struct json_object *o = json_object_new_object(), *disks = json_object_new_array();
	const char *base = strrchr(device, '/');
	char name[NAME_MAX_], disk[NAME_MAX_];
	struct statvfs fs;
	struct stat st;

	snprintf(name, sizeof(name), "%.*s", NAME_MAX_ - 1, base ? base + 1 : device);
	if (stat(point, &st) == 0 && disk_of(st.st_dev, name, disk))
		json_object_array_add(disks, address(disk));
	object_put_text(o, "name", name);
	object_put_text(o, "mountpoint", point);
	object_put_text(o, "type", type);
	if (statvfs(point, &fs) == 0) {
		object_put_number(o, "total-bytes", fs.f_blocks * fs.f_frsize);
		object_put_number(o, "used-bytes", (fs.f_blocks - fs.f_bfree) * fs.f_frsize);
	}
	json_object_object_add(o, "disk", disks);
	return o;
}

static struct json_object *fsinfo(struct json_object *args)
{
	struct json_object *list = json_object_new_array();
	char *text = read_small("/proc/mounts", 1 << 20), *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char device[256], point[1024], type[64];
		if (sscanf(line, "%255s %1023s %63s", device, point, type) == 3 &&
		    !strncmp(device, "/dev/", 5) && json_object_array_length(list) < LISTED_MAX)
			json_object_array_add(list, file_system(device, point, type));
	}
	free(text);
	return list;
}

static void put_disk(struct json_object *list, const char *disk, const char *part)
{
	struct json_object *o = json_object_new_object(), *from = json_object_new_array();
	char path[128];

	snprintf(path, sizeof(path), "/dev/%.60s", disk);
	if (part)
		json_object_array_add(from, json_object_new_string(path));
	if (!part)
		json_object_object_add(o, "address", address(disk));
	snprintf(path, sizeof(path), "/dev/%.60s", part ? part : disk);
	object_put_text(o, "name", path);
	json_object_object_add(o, "partition", json_object_new_boolean(part != NULL));
	json_object_object_add(o, "dependencies", from);
	json_object_array_add(list, o);
}

static void put_partitions(struct json_object *list, const char *disk)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/block/%.60s", disk);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (!strncmp(e->d_name, disk, strlen(disk)) &&
		    json_object_array_length(list) < LISTED_MAX)
			put_disk(list, disk, e->d_name);
	}
	if (dir)
		closedir(dir);
}

static struct json_object *disks(struct json_object *args)
{
	struct json_object *list = json_object_new_array();
	DIR *dir = opendir("/sys/block");

	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (*e->d_name == '.' || !strncmp(e->d_name, "loop", 4) ||
		    !strncmp(e->d_name, "ram", 3) || json_object_array_length(list) >= LISTED_MAX)
			continue;
		put_disk(list, e->d_name, NULL);
		put_partitions(list, e->d_name);
	}
	if (dir)
		closedir(dir);
	return list;
}

const struct qga_command qga_disks[] = {
	{ "guest-get-fsinfo", fsinfo },
	{ "guest-get-disks", disks },
	{ 0 },
};
