/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The terminal while a guest has it.  On each way out it gets its old mode
 * back: the normal end, an error, and the signals that end a process, whose
 * handler only calls tcsetattr() and raises the signal again.
 */
#include "config.h"
#include "vmsh/tty.h"

#include <errno.h>
#include <glib.h>
#include <poll.h>
#include <signal.h>
#include <termios.h>
#include <unistd.h>

static struct termios tty_before, tty_attached;
static volatile sig_atomic_t raw;
static const int fatal_signals[] = { SIGTERM, SIGHUP, SIGQUIT };

static void tty_restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &tty_before);
	raw = 0;
}

static void on_fatal(int sig)
{
	tty_restore();
	signal(sig, SIG_DFL);
	raise(sig);
}

static void on_cont(int sig)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &tty_attached);
}

static struct sigaction cont_before;

void tty_raw(void)
{
	struct sigaction action = { .sa_handler = on_fatal };
	struct sigaction cont = { .sa_handler = on_cont, .sa_flags = SA_RESTART };

	if (tcgetattr(STDIN_FILENO, &tty_before) < 0)
		return;
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		sigaction(fatal_signals[i], &action, NULL);
	sigaction(SIGCONT, &cont, &cont_before);
	tty_attached = tty_before;
	cfmakeraw(&tty_attached);
	raw = 1;
	tcsetattr(STDIN_FILENO, TCSADRAIN, &tty_attached);
}

void tty_cooked(void)
{
	if (!raw)
		return;
	tty_restore();
	sigaction(SIGCONT, &cont_before, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(fatal_signals); i++)
		signal(fatal_signals[i], SIG_DFL);
}

bool tty_is_raw(void)
{
	return raw;
}

bool tty_write(int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes > 0) {
		ssize_t n = write(fd, at, bytes);

		if (n < 0 && errno == EAGAIN)
			poll(&(struct pollfd){ fd, POLLOUT, 0 }, 1, -1);
		else if (n < 0 && errno != EINTR)
			return false;
		at += MAX(n, 0);
		bytes -= (size_t)MAX(n, 0);
	}
	return true;
}
