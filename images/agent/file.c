/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files of the guest: read, write, look. */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "images/agent/child.h"

static const char *type_of(mode_t mode)
{
	return S_ISREG(mode) ? "file" :
	       S_ISDIR(mode) ? "directory" :
	       S_ISLNK(mode) ? "link" :
			       "special";
}

static struct json_object *describe(const struct stat *st)
{
	struct json_object *o = json_object_new_object();

	object_put_text(o, "type", type_of(st->st_mode));
	object_put_number(o, "size", st->st_size);
	object_put_number(o, "mode", st->st_mode & 07777);
	object_put_number(o, "uid", st->st_uid);
	object_put_number(o, "gid", st->st_gid);
	object_put_number(o, "modified", st->st_mtime);
	return o;
}

int request_stat(struct json_object *request)
{
	const char *path = need_text(request, "path");
	struct stat st;

	if (stat(path, &st) < 0)
		child_fail(errno, "look at '%s'", path);
	child_reply(describe(&st));
	return 0;
}

int request_read(struct json_object *request)
{
	const char *path = need_text(request, "path");
	char buf[65536];
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0 || fstat(fd, &st) < 0)
		child_fail(errno, "read '%s'", path);
	if (!S_ISREG(st.st_mode))
		child_fail(S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
			   "read '%s', which is no plain file", path);
	child_reply(describe(&st));
	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR) {
			fprintf(stderr, "read '%s': %s\n", path, strerror(errno));
			return 1;
		}
		if (n > 0)
			full_write(STDOUT_FILENO, buf, n, "the stream to the host");
	}
	return 0;
}

/* One line of JSON for each entry, as a folder may have any number of them. */
int request_list(struct json_object *request)
{
	const char *path = need_text(request, "path");
	DIR *dir = opendir(path);

	if (!dir)
		child_fail(errno, "list '%s'", path);
	child_reply(json_object_new_object());
	for (struct dirent *e; (e = readdir(dir));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") ||
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		struct json_object *o = describe(&st);
		object_put_text(o, "name", e->d_name);
		puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
		json_object_put(o);
	}
	closedir(dir);
	return fflush(stdout) != 0;
}

struct target {
	char path[4096], temp[4096], folder[4096];
	bool nameless; /* temp does not exist yet */
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

/* Through links to the file itself; what is said of mode and owner wins over what it has. */
static void find_target(struct json_object *request, struct target *t)
{
	const char *path = need_text(request, "path");
	char *real = realpath(path, NULL);
	struct stat st;
	bool there = stat(path, &st) == 0;

	if (there && !S_ISREG(st.st_mode))
		child_fail(S_ISDIR(st.st_mode) ? EISDIR : EINVAL,
			   "write '%s', which is no plain file", path);
	snprintf(t->path, sizeof(t->path), "%s", real ? real : path);
	free(real);
	char *slash = strrchr(t->path, '/');
	int folder = slash ? (int)(slash - t->path) + 1 : 0;
	snprintf(t->folder, sizeof(t->folder), "%.*s", folder ? folder : 1, folder ? t->path : ".");
	if (snprintf(t->temp, sizeof(t->temp), "%.*s.vmm-agent.%d", folder, t->path,
		     (int)getpid()) >= (int)sizeof(t->temp))
		child_fail(ENAMETOOLONG, "write '%s'", path);
	t->mode = need_number(request, "mode", there ? st.st_mode & 07777 : 0644, 0, 07777);
	t->uid = need_number(request, "uid", there ? st.st_uid : geteuid(), 0, UINT32_MAX - 1);
	t->gid = need_number(request, "gid", there ? st.st_gid : getegid(), 0, UINT32_MAX - 1);
}

static _Noreturn void give_up(const struct target *t, int error)
{
	if (!t->nameless)
		unlink(t->temp);
	child_fail(error, "write '%s'", t->path);
}

/* Without a name, where the file system can: an end in the middle leaves nothing. */
static int open_temp(struct target *t)
{
	int fd = open(t->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

	t->nameless = fd >= 0;
	if (fd < 0)
		fd = open(t->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		child_fail(errno, "write '%s'", t->path);
	return fd;
}

static void finish(struct target *t, int fd)
{
	if (fchown(fd, t->uid, t->gid) < 0 || fchmod(fd, t->mode) < 0 || fsync(fd) < 0)
		give_up(t, errno);
	if (t->nameless && linkat(fd, "", AT_FDCWD, t->temp, AT_EMPTY_PATH) < 0)
		give_up(t, errno);
	t->nameless = false;
	if (rename(t->temp, t->path) < 0)
		give_up(t, errno);
}

/* The file has its old content until the new one is whole and on the disk. */
int request_write(struct json_object *request)
{
	struct target t;
	char buf[65536];
	ssize_t n;

	find_target(request, &t);
	int fd = open_temp(&t);
	child_reply(json_object_new_object()); /* now let it come */
	while ((n = read(STDIN_FILENO, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno != EINTR)
			give_up(&t, errno);
		for (ssize_t at = 0; n > 0 && at < n;) {
			ssize_t done = write(fd, buf + at, n - at);
			if (done < 0 && errno != EINTR)
				give_up(&t, errno);
			at += done > 0 ? done : 0;
		}
	}
	finish(&t, fd);
	return 0;
}
