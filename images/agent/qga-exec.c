/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's guest agent protocol: a command now, its end and its output later.
 *
 * A keeper, a process that stays, is the command's parent: it has its output,
 * bounded, in files in memory, and hands them to whoever asks over a socket
 * whose other end the agent keeps.  It goes when that is closed.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "images/agent/base64.h"
#include "images/agent/qga.h"

#define OUTPUT_MAX (1 << 20) /* of each stream; more is read and forgotten */
#define ANSWER_MS 3000

static const char *const no_environment[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL
};

struct stream {
	int pipe, file; /* -1: closed; not captured */
	size_t bytes;
	bool cut;
};

/* What the keeper tells, with its two files. */
struct progress {
	bool exited, cut[2];
	int status;
	size_t bytes[2];
};

/* ---- the command ---- */

enum capture { CAPTURE_NONE, CAPTURE_OUT, CAPTURE_ERR, CAPTURE_BOTH, CAPTURE_MERGED };

static enum capture capture_of(struct json_object *args)
{
	static const char *const names[] = { "none", "stdout", "stderr", "separated", "merged" };
	const char *text = object_text(args, "capture-output");

	for (int i = 0; text && i < 5; i++) {
		if (!strcmp(text, names[i]))
			return i;
	}
	if (text)
		qga_fail(NULL, "Parameter 'capture-output' is none that is known");
	return object_flag(args, "capture-output") ? CAPTURE_BOTH : CAPTURE_NONE;
}

static int input_file(struct json_object *args)
{
	size_t n = 0;
	const char *text = object_text(args, "input-data");
	uint8_t *data = text ? base64_read(text, &n) : NULL;
	int fd = text ? memfd_create("input", MFD_CLOEXEC) :
			open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (text && !data)
		qga_fail(NULL, "Parameter 'input-data' is no Base64");
	if (data) {
		full_write(fd, data, n, "the input");
		lseek(fd, 0, SEEK_SET);
	}
	free(data);
	return fd;
}

/* In the command's process; told is closed by exec. */
__attribute__((noreturn)) static void become_command(struct json_object *args, int in, int out,
						      int err, int told)
{
	const char *path = qga_text(args, "path");
	const char **words = object_texts(args, "arg"), **env = object_texts(args, "env");
	const char *argv[258] = { path };

	for (int i = 0; i < 256 && words[i]; i++)
		argv[i + 1] = words[i];
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	setsid();
	signal(SIGPIPE, SIG_DFL);
	environ = (char **)(env && *env ? env : (const char **)no_environment);
	execvp(path, (char **)argv);
	int error = errno;
	full_write(told, &error, sizeof(error), "the end");
	_exit(127);
}

/* ---- the keeper ---- */

static void take_output(struct stream *s)
{
	char data[65536];
	ssize_t n = read(s->pipe, data, sizeof(data));

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		close(s->pipe);
		s->pipe = -1;
		return;
	}
	size_t room = OUTPUT_MAX - s->bytes, take = (size_t)n < room ? (size_t)n : room;
	s->cut |= take < (size_t)n;
	if (pwrite(s->file, data, take, s->bytes) == (ssize_t)take)
		s->bytes += take;
}

static void tell(int sock, const struct progress *p, const struct stream s[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)p, sizeof(*p) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int files[2] = { s[0].file, s[1].file };

	*CMSG_FIRSTHDR(&msg) =
		(struct cmsghdr){ CMSG_LEN(sizeof(files)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)), files, sizeof(files));
	sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* Until nobody can ask any more. */
__attribute__((noreturn)) static void keeper(int sock, int pidfd, pid_t pid, struct stream s[2])
{
	struct progress p = { 0 };
	char asked;

	for (;;) {
		struct pollfd fds[] = { { sock, POLLIN, 0 },
					{ p.exited ? -1 : pidfd, POLLIN, 0 },
					{ s[0].pipe, POLLIN, 0 },
					{ s[1].pipe, POLLIN, 0 } };
		if (poll(fds, 4, -1) < 0 && errno != EINTR)
			_exit(1);
		for (int i = 0; i < 2; i++) {
			if (s[i].pipe >= 0 && fds[i + 2].revents)
				take_output(&s[i]);
			p.bytes[i] = s[i].bytes;
			p.cut[i] = s[i].cut;
		}
		/* The last of its output first: what is in the pipe is there by now. */
		bool quiet = !fds[2].revents && !fds[3].revents;
		if (!p.exited && fds[1].revents && quiet)
			p.exited = waitpid(pid, &p.status, WNOHANG) == pid;
		if (!fds[0].revents)
			continue;
		if (recv(sock, &asked, 1, 0) <= 0)
			_exit(0);
		tell(sock, &p, s);
	}
}

static int stream_make(struct stream *s, bool wanted, int pipe_ends[2])
{
	*s = (struct stream){ .pipe = -1, .file = memfd_create("output", MFD_CLOEXEC) };
	pipe_ends[0] = -1;
	if (!wanted)
		return pipe_ends[1] = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (pipe2(pipe_ends, O_CLOEXEC) < 0)
		_exit(1);
	s->pipe = pipe_ends[0];
	return pipe_ends[1];
}

/* Answers over sock first: the command's pid, or why there is none. */
__attribute__((noreturn)) static void keep_command(struct json_object *args, int in, int sock)
{
	enum capture how = capture_of(args);
	struct stream s[2];
	int out[2], err[2], told[2], answer[2] = { 0 };

	setsid();
	stream_make(&s[0], how == CAPTURE_OUT || how >= CAPTURE_BOTH, out);
	stream_make(&s[1], how == CAPTURE_ERR || how == CAPTURE_BOTH, err);
	if (pipe2(told, O_CLOEXEC) < 0)
		_exit(1);
	pid_t pid = fork();
	if (pid == 0)
		become_command(args, in, out[1], how == CAPTURE_MERGED ? out[1] : err[1], told[1]);
	close(told[1]);
	close(out[1]);
	close(err[1]);
	if (pid < 0 || read(told[0], &answer[1], sizeof(int)) > 0) {
		answer[1] = pid < 0 ? errno : answer[1];
		send(sock, answer, sizeof(answer), MSG_NOSIGNAL);
		_exit(1);
	}
	close(told[0]);
	answer[0] = pid;
	send(sock, answer, sizeof(answer), MSG_NOSIGNAL);
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	keeper(sock, pidfd, pid, s);
}

/* Of all that is open here the keeper has its two descriptors alone. */
static void keep_streams(int *in, int *sock)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++)
		dup2(null, i);
	*in = fcntl(*in, F_DUPFD, KEPT_MAX * 4);
	*sock = fcntl(*sock, F_DUPFD, KEPT_MAX * 4);
	dup2(*in, 3);
	dup2(*sock, 4);
	*in = 3;
	*sock = 4;
	fcntl(*in, F_SETFD, FD_CLOEXEC);
	fcntl(*sock, F_SETFD, FD_CLOEXEC);
	close_range(5, ~0U, 0);
}

static void check_words(struct json_object *args)
{
	const char **words = object_texts(args, "arg"), **env = object_texts(args, "env");
	int n = 0;

	while (words && words[n])
		n++;
	if (!words || !env || n > 256)
		qga_fail(NULL, "Parameters 'arg' and 'env' are lists of texts, of 256 at most");
	free(words);
	free(env);
}

static struct json_object *start(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	const char *path = qga_text(args, "path");
	int sock[2], answer[2] = { 0, ECHILD };

	check_words(args);
	capture_of(args);
	if (child_agent()->n_kept == KEPT_MAX)
		qga_fail(NULL, "%d files and commands are open: ask for their end", KEPT_MAX);
	int in = input_file(args);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		qga_fail(NULL, "make a socket: %s", strerror(errno));
	pid_t pid = fork();
	if (pid == 0) {
		keep_streams(&in, &sock[1]);
		keep_command(args, in, sock[1]);
	}
	close(sock[1]);
	if (pid < 0 || recv(sock[0], answer, sizeof(answer), 0) != sizeof(answer) || !answer[0])
		qga_fail(NULL, "Failed to execute child process \"%s\" (%s)", path,
			 strerror(answer[1]));
	child_keep(KEPT_COMMAND, answer[0], sock[0]);
	object_put_number(o, "pid", answer[0]);
	return o;
}

/* ---- asked how it is ---- */

static void put_output(struct json_object *o, const char *key, const char *cut_key, int file,
		       size_t bytes, bool cut)
{
	uint8_t *data = bytes ? malloc(bytes) : NULL;
	ssize_t n = data ? pread(file, data, bytes, 0) : 0;

	if (n > 0) {
		char *text = base64_make(data, n);
		object_put_text(o, key, text);
		free(text);
	}
	if (cut)
		json_object_object_add(o, cut_key, json_object_new_boolean(true));
	free(data);
}

static void ask(int sock, struct progress *ret, int files[2])
{
	char control[CMSG_SPACE(2 * sizeof(int))];
	struct iovec iov = { ret, sizeof(*ret) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct pollfd fd = { sock, POLLIN, 0 };

	if (send(sock, "?", 1, MSG_NOSIGNAL) != 1 || poll(&fd, 1, ANSWER_MS) <= 0 ||
	    recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != sizeof(*ret) || !CMSG_FIRSTHDR(&msg) ||
	    CMSG_FIRSTHDR(&msg)->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		qga_fail(NULL, "the command's keeper does not answer");
	memcpy(files, CMSG_DATA(CMSG_FIRSTHDR(&msg)), 2 * sizeof(int));
}

static struct json_object *status(struct json_object *args)
{
	struct json_object *o = json_object_new_object();
	int32_t pid = (int32_t)qga_number(args, "pid", -1, 1, INT32_MAX);
	int sock = keep_find(child_agent(), KEPT_COMMAND, pid), files[2];
	struct progress p;

	if (sock < 0)
		qga_fail(NULL, "PID %d does not exist", pid);
	ask(sock, &p, files);
	json_object_object_add(o, "exited", json_object_new_boolean(p.exited));
	if (!p.exited)
		return o;
	if (WIFSIGNALED(p.status))
		object_put_number(o, "signal", WTERMSIG(p.status));
	else
		object_put_number(o, "exitcode", WEXITSTATUS(p.status));
	put_output(o, "out-data", "out-truncated", files[0], p.bytes[0], p.cut[0]);
	put_output(o, "err-data", "err-truncated", files[1], p.bytes[1], p.cut[1]);
	child_drop(KEPT_COMMAND, pid);
	return o;
}

const struct qga_command qga_exec[] = {
	{ "guest-exec", start },
	{ "guest-exec-status", status },
	{ 0 },
};
