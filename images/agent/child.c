/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The child that does a request: into the guest's root, then the request, then its end. */
#include "config.h"

#include "images/agent/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct request requests[] = {
	{ "spawn", request_spawn, true },   { "status", request_status },
	{ "processes", request_ps },	    { "read", request_read },
	{ "write", request_write },	    { "stat", request_stat },
	{ "list", request_list },	    { "mount", request_mount },
	{ "unmount", request_unmount },	    { "session", request_session },
	{ "set-time", request_set_time },   { "set-name", request_set_name },
	{ "grow-root", request_grow },	    { "freeze", request_freeze },
	{ "thaw", request_thaw },	    { "set-password", request_password },
	{ "add-ssh-key", request_ssh_key }, { "power", request_power },
	{ "connect", request_connect, .tells = true },
	{ "qga", request_qga, .keeps = true },
	{ "pack", request_pack },
	{ "unpack", request_unpack, .tidies = true },
};

const struct request *request_find(const char *name)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(*requests); i++) {
		if (!strcmp(requests[i].name, name))
			return &requests[i];
	}
	return NULL;
}

static const struct agent *this_agent; /* set once in each child */

const struct agent *child_agent(void)
{
	return this_agent;
}

static void tell_keep(char kind, int32_t what, int32_t id, int fd)
{
	struct child_keep keep = { what, id };

	child_send(kind, &keep, sizeof(keep), fd);
}

void child_keep(int32_t kind, int32_t id, int fd)
{
	tell_keep(CHILD_KEEP, kind, id, fd);
}

void child_drop(int32_t kind, int32_t id)
{
	tell_keep(CHILD_DROP, kind, id, -1);
}

void child_send(char kind, const void *data, size_t n, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov[] = { { &kind, 1 }, { (void *)data, n } };
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	if (fd >= 0) {
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		*CMSG_FIRSTHDR(&msg) =
			(struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), &fd, sizeof(fd));
	}
	sendmsg(CHILD_RESULT, &msg, MSG_NOSIGNAL);
}

static void send_json(char kind, struct json_object *o)
{
	size_t n;
	const char *text = json_object_to_json_string_length(o, JSON_C_TO_STRING_PLAIN, &n);

	if (n > AGENT_DATA_MAX)
		child_fail(EMSGSIZE, "the answer has %zu bytes, too many for a message", n);
	child_send(kind, text, n, -1);
	json_object_put(o);
}

void child_reply(struct json_object *o)
{
	send_json(CHILD_REPLY, o);
}

void child_fail(int error, const char *format, ...)
{
	struct json_object *o = json_object_new_object();
	char text[1024];
	va_list args;

	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (error && n > 0 && n < (int)sizeof(text))
		snprintf(text + n, sizeof(text) - n, ": %s", strerror(error));
	object_put_text(o, "error", text);
	object_put_number(o, "errno", error ? error : EINVAL);
	send_json(CHILD_FAILED, o);
	_exit(1);
}

const char *need_text(struct json_object *request, const char *key)
{
	const char *text = object_text(request, key);

	if (!text)
		child_fail(0, "the request has no '%s'", key);
	return text;
}

int64_t need_number(struct json_object *request, const char *key, int64_t missing, int64_t min,
		    int64_t max)
{
	bool bad = false;
	int64_t n = object_number(request, key, missing, min, max, &bad);

	if (bad)
		child_fail(0, "'%s' is no number from %lld to %lld", key, (long long)min,
			   (long long)max);
	return n;
}

/*
 * The agent stays in the root that it was born in, which may be the first, in
 * memory.  What it does for the guest is done where the guest's init is now.
 */
static void enter_guest(void)
{
	int root = open("/proc/1/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ns = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);

	if (root < 0 || ns < 0 || setns(ns, CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0)
		child_fail(errno, "enter the root of process 1");
	close(root);
	close(ns);
}

static void take_fds(const struct agent *a, const int fds[4], bool keeps)
{
	int kept[4];

	for (int i = 0; i < 4; i++)
		kept[i] = fcntl(fds[i], F_DUPFD, 10);
	for (int i = 0; i < 4; i++)
		dup2(kept[i], i);
	fcntl(CHILD_RESULT, F_SETFD, FD_CLOEXEC);
	if (keeps)
		keep_only(a, 4);
	else
		close_range(4, ~0U, 0);
}

bool child_thaw(struct agent *a)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid > 0;
	close_range(3, ~0U, 0); /* nobody hears what comes of it */
	if (!a->stay)
		enter_guest();
	freeze_all(false, NULL);
	_exit(0);
}

void child_main(struct agent *a, const struct request *r, struct json_object *request,
		const int fds[4])
{
	sigset_t none;

	this_agent = a;
	take_fds(a, fds, r->keeps);
	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, r->command ? SIG_DFL : SIG_IGN);
	umask(022);
	if (!a->stay)
		enter_guest();
	if (chdir("/") < 0)
		child_fail(errno, "enter '/'");
	_exit(r->run(request));
}

void full_write(int fd, const void *data, size_t n, const char *path)
{
	for (const char *p = data; n > 0;) {
		ssize_t done = write(fd, p, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			child_fail(errno, "write '%s'", path);
		p += done;
		n -= done;
	}
}

/* All of it or nothing: a crash leaves the old file. */
void put_file(const char *path, const void *data, size_t n, mode_t mode)
{
	char temp[4096];
	struct stat old;

	if (snprintf(temp, sizeof(temp), "%s.vmm-agent", path) >= (int)sizeof(temp))
		child_fail(ENAMETOOLONG, "write '%s'", path);
	int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		child_fail(errno, "write '%s'", temp);
	bool there = stat(path, &old) == 0;
	full_write(fd, data, n, temp);
	if ((there && fchown(fd, old.st_uid, old.st_gid) < 0) ||
	    fchmod(fd, there ? old.st_mode & 07777 : mode) < 0 || fsync(fd) < 0 ||
	    rename(temp, path) < 0) {
		int error = errno;
		unlink(temp);
		child_fail(error, "write '%s'", path);
	}
	close(fd);
}

char *read_small(const char *path, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(max + 1);
	size_t n = 0;
	ssize_t r;

	while (text && n < max && (r = read(fd, text + n, max - n)) > 0)
		n += r;
	if (text)
		text[n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}
