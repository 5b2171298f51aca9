/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a command's standard output goes. */
#include "config.h"
#include "vmsh/output.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* fd becomes the standard output. */
static bool begin(struct output *o, int fd, GError **error)
{
	fflush(stdout);
	*o = (struct output){ .saved = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10), .memory = -1 };
	if (o->saved < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return error_errno(error, errno, "redirect the standard output");
	return true;
}

bool output_to_file(struct output *o, const char *path, bool append, GError **error)
{
	auto_close int fd = open(
		path, O_WRONLY | O_CREAT | O_CLOEXEC | (append ? O_APPEND : O_TRUNC), 0666);

	if (fd < 0)
		return error_errno(error, errno, "write '%s'", path);
	return begin(o, fd, error);
}

bool output_to_memory(struct output *o, GError **error)
{
	auto_close int fd = memfd_create("output", MFD_CLOEXEC);

	if (fd < 0)
		return error_errno(error, errno, "keep the output");
	if (!begin(o, fd, error))
		return false;
	o->memory = TAKE_FD(fd);
	return true;
}

/* in: its standard input; -1: ours. */
static pid_t shell_start(const char *command, int in)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	signal(SIGPIPE, SIG_DFL);
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

/* As sh(1) has it in $?. */
static int shell_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool output_to_pipe(struct output *o, const char *command, GError **error)
{
	int ends[2];
	pid_t child;
	bool ok;

	fflush(stdout);
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "make a pipe to '%s'", command);
	child = shell_start(command, ends[0]);
	close(ends[0]);
	ok = child > 0 ? begin(o, ends[1], error) :
			 error_errno(error, errno, "start '%s'", command);
	close(ends[1]);
	if (ok)
		o->child = child;
	else if (child > 0)
		shell_wait(child);
	return ok;
}

bool output_end(struct output *o)
{
	bool ok = fflush(stdout) == 0 || errno == EPIPE;

	dup2(o->saved, STDOUT_FILENO);
	close(o->saved);
	clearerr(stdout);
	if (o->child > 0)
		ok = shell_wait(o->child) == 0 && ok;
	return ok;
}

char *output_end_text(struct output *o)
{
	auto_close int fd = o->memory;
	GString *s = g_string_new(NULL);
	char buffer[65536];
	ssize_t n;
	off_t at = 0;

	output_end(o);
	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		g_string_append_len(s, buffer, n);
		at += n;
	}
	return g_string_free(s, FALSE);
}

int output_run_shell(const char *command, GError **error)
{
	pid_t pid;

	fflush(stdout);
	pid = shell_start(command, -1);
	if (pid < 0) {
		error_errno(error, errno, "start '%s'", command);
		return -1;
	}
	return shell_wait(pid);
}
