/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's guest agent protocol: what changes the guest as a whole. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/rtc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "images/agent/base64.h"
#include "images/agent/qga.h"

#define NS 1000000000

/* ---- the clock ---- */

static struct json_object *get_time(struct json_object *args)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return json_object_new_int64(t.tv_sec * INT64_C(1000000000) + t.tv_nsec);
}

/* The machine's own clock, which the host keeps right. */
static int64_t rtc_seconds(void)
{
	int fd = open("/dev/rtc0", O_RDONLY | O_CLOEXEC);
	struct rtc_time rtc;

	if (fd < 0 || ioctl(fd, RTC_RD_TIME, &rtc) < 0)
		qga_fail(NULL, "read '/dev/rtc0': %s", strerror(errno));
	close(fd);
	struct tm tm = { .tm_sec = rtc.tm_sec, .tm_min = rtc.tm_min, .tm_hour = rtc.tm_hour,
			 .tm_mday = rtc.tm_mday, .tm_mon = rtc.tm_mon, .tm_year = rtc.tm_year };
	return timegm(&tm);
}

static struct json_object *set_time(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int64_t ns = json_object_object_get(args, "time") ?
			     qga_number(args, "time", -1, 0, INT64_MAX) :
			     rtc_seconds() * NS;

	object_put_number(o, "seconds", ns / NS);
	object_put_number(o, "nanoseconds", ns % NS);
	request_set_time(o);
	return NULL;
}

/* ---- power ---- */

/* The guest may be gone before the answer: it is given first. */
static struct json_object *power(struct json_object *args)
{
	const char *mode = object_text(args, "mode");
	bool again = mode && !strcmp(mode, "reboot");
	struct json_object *answer = json_object_new_object(), *o = json_object_new_object();

	if (mode && !again && strcmp(mode, "powerdown") != 0)
		qga_fail(NULL, "Parameter 'mode' is neither powerdown nor reboot");
	json_object_object_add(answer, "return", json_object_new_object());
	qga_print(answer);
	object_put_text(o, "how", again ? "reboot" : "poweroff");
	_exit(request_power(o));
}

/* ---- file systems ---- */

static struct json_object *freeze_status(struct json_object *args)
{
	return json_object_new_string(child_agent()->thaw_at_ms ? "frozen" : "thawed");
}

static struct json_object *freeze(struct json_object *args)
{
	const char **points = object_texts(args, "mountpoints");
	uint32_t seconds = qga_number(args, "thaw_after", FREEZE_SECONDS, 1, 86400);

	if (!points)
		qga_fail(NULL, "Parameter 'mountpoints' is no list of texts");
	child_send(CHILD_FROZEN, &seconds, sizeof(seconds), -1);
	return json_object_new_int(freeze_all(true, *points ? points : NULL));
}

static struct json_object *thaw(struct json_object *args)
{
	uint32_t none = 0;
	int n = freeze_all(false, NULL);

	child_send(CHILD_FROZEN, &none, sizeof(none), -1);
	return json_object_new_int(n);
}

static struct json_object *trim_one(const char *point, uint64_t minimum)
{
	struct fstrim_range range = { .len = UINT64_MAX, .minlen = minimum };
	struct json_object *o = json_object_new_object();
	int fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	object_put_text(o, "path", point);
	if (fd < 0 || ioctl(fd, FITRIM, &range) < 0) {
		object_put_text(o, "error", strerror(errno));
	} else {
		object_put_number(o, "trimmed", range.len);
		object_put_number(o, "minimum", range.minlen);
	}
	if (fd >= 0)
		close(fd);
	return o;
}

static struct json_object *trim(struct json_object *args)
{
	uint64_t minimum = qga_number(args, "minimum", 0, 0, INT64_MAX);
	char *text = read_small("/proc/mounts", 1 << 20), *points[256];
	size_t n = text ? mount_points(text, points, 256) : 0;
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, trim_one(points[i], minimum));
	json_object_object_add(o, "paths", list);
	free(text);
	return o;
}

/* ---- accounts ---- */

static struct json_object *set_password(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	size_t n = 0;
	uint8_t *hash = base64_read(qga_text(args, "password"), &n);

	if (!object_flag(args, "crypted"))
		qga_fail(NULL, "Parameter 'crypted' must be true: the host makes the hash");
	if (!hash || memchr(hash, 0, n))
		qga_fail(NULL, "Parameter 'password' is no Base64 of a text");
	hash[n] = 0;
	object_put_text(o, "user", qga_text(args, "username"));
	object_put_text(o, "hash", (char *)hash);
	request_password(o);
	return NULL;
}

static struct json_object *get_keys(struct json_object *args)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "keys", ssh_keys_read(qga_text(args, "username")));
	return o;
}

static struct json_object *add_keys(struct json_object *args)
{
	const char **keys = object_texts(args, "keys");

	if (!keys)
		qga_fail(NULL, "Parameter 'keys' is no list of texts");
	ssh_keys_change(qga_text(args, "username"), keys, NULL, object_flag(args, "reset"));
	return NULL;
}

static struct json_object *remove_keys(struct json_object *args)
{
	static const char *none[] = { NULL };
	const char **keys = object_texts(args, "keys");

	if (!keys)
		qga_fail(NULL, "Parameter 'keys' is no list of texts");
	ssh_keys_change(qga_text(args, "username"), none, keys, false);
	return NULL;
}

const struct qga_command qga_set[] = {
	{ "guest-get-time", get_time, true },
	{ "guest-set-time", set_time },
	{ "guest-shutdown", power },
	{ "guest-fsfreeze-status", freeze_status, true },
	{ "guest-fsfreeze-freeze", freeze },
	{ "guest-fsfreeze-freeze-list", freeze },
	{ "guest-fsfreeze-thaw", thaw, true },
	{ "guest-fstrim", trim },
	{ "guest-set-user-password", set_password },
	{ "guest-ssh-get-authorized-keys", get_keys },
	{ "guest-ssh-add-authorized-keys", add_keys },
	{ "guest-ssh-remove-authorized-keys", remove_keys },
	{ 0 },
};
