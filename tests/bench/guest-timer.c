/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guest-timer N COMMAND...: how long a command takes, so many times:
 * "TIMES MS MS ... FAILED N".
 * guest-timer uptime: for how many milliseconds this kernel has been up.
 * Static: guests run it, too.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* What it says is nobody's; what it complains of is read. */
static int run(char **argv)
{
	int status, null;
	pid_t pid = fork();

	if (pid == 0) {
		null = open("/dev/null", O_RDWR);
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

int main(int argc, char **argv)
{
	unsigned n, failed = 0;

	if (argc == 2 && !strcmp(argv[1], "uptime")) {
		printf("%.1f\n", now_ms(CLOCK_BOOTTIME));
		return 0;
	}
	if (argc < 3) {
		fprintf(stderr, "usage: guest-timer N COMMAND... | uptime\n");
		return 2;
	}
	n = (unsigned)atoi(argv[1]);
	printf("TIMES");
	for (unsigned i = 0; i < n; i++) {
		double begun = now_ms(CLOCK_MONOTONIC);

		failed += run(argv + 2) != 0;
		printf(" %.2f", now_ms(CLOCK_MONOTONIC) - begun);
	}
	printf(" FAILED %u\n", failed);
	return failed != 0;
}
