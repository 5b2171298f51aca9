/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* QEMU's guest agent protocol: files that stay open from one command to the next (keep.h). */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/base64.h"
#include "images/agent/qga.h"

#define READ_MAX (2 << 20)

/* As of fopen(3); -1: none. */
static int flags_of(const char *mode)
{
	bool both = strchr(mode, '+');
	int rw = both ? O_RDWR : *mode == 'r' ? O_RDONLY : O_WRONLY;

	if (!*mode || strspn(mode + 1, "+b") != strlen(mode + 1))
		return -1;
	switch (*mode) {
	case 'r':
		return rw;
	case 'w':
		return rw | O_CREAT | O_TRUNC;
	case 'a':
		return rw | O_CREAT | O_APPEND;
	default:
		return -1;
	}
}

/* Nobody's pipe may hold up the answer. */
static struct json_object *file_open(struct json_object *args)
{
	const char *path = qga_text(args, "path"), *mode = object_text(args, "mode");
	int flags = flags_of(mode ? mode : "r"), id = (int)child_agent()->next_id;

	if (flags < 0)
		qga_fail(NULL, "Parameter 'mode' is none of fopen(3)");
	if (child_agent()->n_kept == KEPT_MAX)
		qga_fail(NULL, "%d files and commands are open: close some", KEPT_MAX);
	int fd = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (fd < 0)
		qga_fail(NULL, "failed to open file '%s': %s", path, strerror(errno));
	child_keep(KEPT_FILE, id, fd);
	return json_object_new_int(id);
}

static int need_file(struct json_object *args, int32_t *ret_id)
{
	*ret_id = (int32_t)qga_number(args, "handle", -1, 0, INT32_MAX);
	int fd = keep_find(child_agent(), KEPT_FILE, *ret_id);
	if (fd < 0)
		qga_fail(NULL, "handle '%d' has not been found", *ret_id);
	return fd;
}

static struct json_object *file_close(struct json_object *args)
{
	int32_t id;

	need_file(args, &id);
	child_drop(KEPT_FILE, id);
	return NULL;
}

static struct json_object *file_read(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int32_t id;
	int fd = need_file(args, &id);
	size_t count = qga_number(args, "count", 4096, 0, READ_MAX), n = 0;
	uint8_t *data = malloc(count + 1);
	ssize_t r = 1;

	while (data && n < count && (r = read(fd, data + n, count - n)) > 0)
		n += r;
	if (!data || (r < 0 && !n))
		qga_fail(NULL, "failed to read file: %s", strerror(errno));
	char *text = base64_make(data, n);
	object_put_number(o, "count", n);
	object_put_text(o, "buf-b64", text);
	json_object_object_add(o, "eof", json_object_new_boolean(count > 0 && r == 0));
	free(text);
	free(data);
	return o;
}

static struct json_object *file_write(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int32_t id;
	int fd = need_file(args, &id);
	size_t n = 0;
	uint8_t *data = base64_read(qga_text(args, "buf-b64"), &n);

	if (!data)
		qga_fail(NULL, "Parameter 'buf-b64' is no Base64");
	ssize_t done = write(fd, data, qga_number(args, "count", n, 0, n));
	if (done < 0)
		qga_fail(NULL, "failed to write to file: %s", strerror(errno));
	object_put_number(o, "count", done);
	json_object_object_add(o, "eof", json_object_new_boolean(false));
	free(data);
	return o;
}

/* "set", "cur", "end", or the numbers of old clients. */
static int whence_of(struct json_object *args)
{
	static const char *const names[] = { "set", "cur", "end" };
	const char *text = object_text(args, "whence");

	for (int i = 0; text && i < 3; i++) {
		if (!strcmp(text, names[i]))
			return i;
	}
	return (int)qga_number(args, "whence", -1, 0, 2);
}

static struct json_object *file_seek(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int32_t id;
	int fd = need_file(args, &id);
	static const int whence[] = { SEEK_SET, SEEK_CUR, SEEK_END };
	off_t at = lseek(fd, qga_number(args, "offset", INT64_MIN, INT64_MIN + 1, INT64_MAX),
			 whence[whence_of(args)]);

	if (at < 0)
		qga_fail(NULL, "failed to seek file: %s", strerror(errno));
	object_put_number(o, "position", at);
	json_object_object_add(o, "eof", json_object_new_boolean(false));
	return o;
}

static struct json_object *file_flush(struct json_object *args)
{
	int32_t id;

	if (fsync(need_file(args, &id)) < 0 && errno != EINVAL && errno != EROFS)
		qga_fail(NULL, "failed to flush file: %s", strerror(errno));
	return NULL;
}

const struct qga_command qga_files[] = {
	{ "guest-file-open", file_open },   { "guest-file-close", file_close },
	{ "guest-file-read", file_read },   { "guest-file-write", file_write },
	{ "guest-file-seek", file_seek },   { "guest-file-flush", file_flush },
	{ 0 },
};
