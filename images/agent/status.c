/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the guest is: load, memory, file systems, addresses, what it runs. */
#include "config.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/child.h"

#define SMALL 65536
#define LISTED_MAX 64

static void put_load(struct json_object *o)
{
	struct json_object *list = json_object_new_array();
	double load[3] = { 0 };

	for (int i = 0; i < getloadavg(load, 3); i++)
		json_object_array_add(list, json_object_new_double(load[i]));
	json_object_object_add(o, "load", list);
}

static void put_memory(struct json_object *o)
{
	static const struct {
		const char *line, *key;
	} words[] = {
		{ "MemTotal:", "memory" },
		{ "MemAvailable:", "memory_available" },
		{ "SwapTotal:", "swap" },
		{ "SwapFree:", "swap_free" },
	};
	char *text = read_small("/proc/meminfo", SMALL);

	for (size_t i = 0; text && i < sizeof(words) / sizeof(*words); i++) {
		const char *at = strstr(text, words[i].line);
		if (at)
			object_put_number(o, words[i].key,
					strtoll(at + strlen(words[i].line), NULL, 10) * 1024);
	}
	free(text);
}

static void put_disk(struct json_object *list, const char *device, const char *point,
		     const char *type)
{
	struct json_object *o;
	struct statvfs fs;

	if (statvfs(point, &fs) < 0)
		return;
	o = json_object_new_object();
	object_put_text(o, "device", device);
	object_put_text(o, "mount_point", point);
	object_put_text(o, "type", type);
	object_put_number(o, "bytes", fs.f_blocks * fs.f_frsize);
	object_put_number(o, "free", fs.f_bavail * fs.f_frsize);
	json_object_array_add(list, o);
}

static void put_disks(struct json_object *o)
{
	struct json_object *list = json_object_new_array();
	char *text = read_small("/proc/mounts", 1 << 20), *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char device[256], point[1024], type[64];
		if (sscanf(line, "%255s %1023s %63s", device, point, type) == 3 &&
		    (!strncmp(device, "/dev/", 5) || !strcmp(point, "/")) &&
		    json_object_array_length(list) < LISTED_MAX)
			put_disk(list, device, point, type);
	}
	free(text);
	json_object_object_add(o, "disks", list);
}

static void put_addresses(struct json_object *o)
{
	struct json_object *list = json_object_new_array();
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) < 0)
		all = NULL;
	for (struct ifaddrs *i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : 0;
		char text[INET6_ADDRSTRLEN];
		const void *addr = family == AF_INET ?
					   (void *)&((struct sockaddr_in *)i->ifa_addr)->sin_addr :
					   (void *)&((struct sockaddr_in6 *)i->ifa_addr)->sin6_addr;
		if ((family != AF_INET && family != AF_INET6) || (i->ifa_flags & IFF_LOOPBACK) ||
		    json_object_array_length(list) >= LISTED_MAX ||
		    !inet_ntop(family, addr, text, sizeof(text)))
			continue;
		struct json_object *a = json_object_new_object();
		object_put_text(a, "interface", i->ifa_name);
		object_put_text(a, "address", text);
		json_object_array_add(list, a);
	}
	freeifaddrs(all);
	json_object_object_add(o, "addresses", list);
}

/* NAME="value" or NAME=value, one a line. */
void put_release_word(struct json_object *o, const char *word, const char *key)
{
	char *text = read_small("/etc/os-release", SMALL), *save = NULL;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *value = strchr(line, '=');
		if (!value)
			continue;
		*value++ = 0;
		if (strcmp(line, word) != 0)
			continue;
		if (*value == '"' || *value == '\'')
			value[strcspn(value + 1, "\"'") + 1] = 0, value++;
		object_put_text(o, key, value);
	}
	free(text);
}

int request_status(struct json_object *request)
{
	struct json_object *o = json_object_new_object();
	struct utsname name;
	struct sysinfo info;
	struct timespec now;

	put_load(o);
	put_memory(o);
	put_disks(o);
	put_addresses(o);
	put_release_word(o, "PRETTY_NAME", "os_name");
	put_release_word(o, "ID", "os_id");
	put_release_word(o, "VERSION_ID", "os_version");
	if (uname(&name) == 0) {
		object_put_text(o, "host_name", name.nodename);
		object_put_text(o, "kernel", name.release);
	}
	if (sysinfo(&info) == 0) {
		object_put_number(o, "uptime_seconds", info.uptime);
		object_put_number(o, "processes", info.procs);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	object_put_number(o, "time_seconds", now.tv_sec);
	child_reply(o);
	return 0;
}

/* pid (name) state ppid ... 14: utime, stime ... 22: start, 24: rss in pages */
static struct json_object *process(const char *pid)
{
	char path[300], *text, *name, *end;
	unsigned long long user, system;
	long rss;
	struct stat st;
	char state;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%s", pid);
	if (stat(path, &st) < 0)
		return NULL;
	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	text = read_small(path, 4096);
	name = text ? strchr(text, '(') : NULL;
	end = name ? strrchr(name, ')') : NULL;
	if (!end ||
	    sscanf(end + 1,
		   " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d "
		   "%*d %*u %*u %ld",
		   &state, &ppid, &user, &system, &rss) != 5) {
		free(text);
		return NULL;
	}
	*end = 0;
	struct json_object *o = json_object_new_object();
	object_put_number(o, "pid", strtol(pid, NULL, 10));
	object_put_number(o, "parent", ppid);
	object_put_number(o, "uid", st.st_uid);
	json_object_object_add(o, "state", json_object_new_string_len(&state, 1));
	object_put_number(o, "cpu_ms", (user + system) * 1000 / sysconf(_SC_CLK_TCK));
	object_put_number(o, "memory", rss * sysconf(_SC_PAGESIZE));
	object_put_text(o, "name", name + 1);
	free(text);
	return o;
}

static void put_command(struct json_object *o, const char *pid)
{
	char path[300];

	snprintf(path, sizeof(path), "/proc/%s/cmdline", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[1024];
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	while (n > 0 && !text[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		text[i] = text[i] ? text[i] : ' ';
	if (n > 0)
		json_object_object_add(o, "command", json_object_new_string_len(text, n));
}

/* A line of JSON for each. */
int request_ps(struct json_object *request)
{
	DIR *dir = opendir("/proc");

	child_reply(json_object_new_object());
	for (struct dirent *e; dir && (e = readdir(dir));) {
		struct json_object *o =
			*e->d_name >= '1' && *e->d_name <= '9' ? process(e->d_name) : NULL;
		if (!o)
			continue;
		put_command(o, e->d_name);
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
		json_object_put(o);
	}
	if (dir)
		closedir(dir);
	return fflush(stdout) != 0;
}
