/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * boot-timer MARKER SECONDS COMMAND...: time from exec to the first output of
 * MARKER, and the KVM exits until then, as one line: "MS EXITS IO MMIO FAULTS".
 * A run that never says MARKER prints "hung".  Then the command is killed.
 */
#include "config.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SETTLE_US 200000
#define KVM_STATS "/sys/kernel/debug/kvm"

static guint64 stat_read(const char *vm, const char *name)
{
	g_autofree char *path = g_build_filename(KVM_STATS, vm, name, NULL);
	g_autofree char *text = NULL;

	return g_file_get_contents(path, &text, NULL, NULL) ? g_ascii_strtoull(text, NULL, 10) : 0;
}

/* The folder of the one VM that is there: PID-FD, a thread's or a child's perhaps. */
static char *vm_folder(void)
{
	g_autoptr(GDir) dir = g_dir_open(KVM_STATS, 0, NULL);
	const char *name;

	while (dir && (name = g_dir_read_name(dir)))
		if (g_ascii_isdigit(name[0]))
			return g_strdup(name);
	return NULL;
}

static pid_t command_start(char **argv, int *ret_out)
{
	int out[2];
	pid_t pid;

	if (pipe(out) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		dup2(out[1], STDOUT_FILENO);
		close(out[0]);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	*ret_out = out[0];
	return pid;
}

static gboolean marker_wait(int fd, const char *marker, gint64 deadline_us)
{
	g_autoptr(GString) seen = g_string_new(NULL);
	char buf[4096];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		gint64 left_ms = (deadline_us - g_get_monotonic_time()) / 1000;
		ssize_t n;

		if (left_ms <= 0 || poll(&p, 1, (int)left_ms) <= 0)
			return FALSE;
		n = read(fd, buf, sizeof(buf));
		if (n <= 0)
			return FALSE;
		g_string_append_len(seen, buf, n);
		if (strstr(seen->str, marker))
			return TRUE;
	}
}

int main(int argc, char **argv)
{
	gint64 start, end;
	gboolean ok;
	int fd;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "usage: boot-timer MARKER SECONDS COMMAND...\n");
		return 2;
	}
	start = g_get_monotonic_time();
	pid = command_start(argv + 3, &fd);
	ok = pid > 0 && marker_wait(fd, argv[1], start + atoi(argv[2]) * G_USEC_PER_SEC);
	end = g_get_monotonic_time();
	if (ok) {
		g_autofree char *vm = vm_folder();

		printf("%.1f %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT
		       " %" G_GUINT64_FORMAT "\n", (double)(end - start) / 1000,
		       vm ? stat_read(vm, "exits") : 0, vm ? stat_read(vm, "io_exits") : 0,
		       vm ? stat_read(vm, "mmio_exits") : 0, vm ? stat_read(vm, "pf_fixed") : 0);
	} else {
		printf("hung\n");
	}
	/* Whoever reads it looks at other clocks: before the command's end takes time, too. */
	fflush(stdout);
	g_usleep(SETTLE_US);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return 0;
}
