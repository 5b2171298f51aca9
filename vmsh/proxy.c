/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * "--proxy": moves bytes and understands none of them.
 *
 * A thread for each way: one way that is full never holds up the other.
 */
#include "config.h"
#include "vmsh/proxy.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmsh/rc.h"
#include "vmsh/tty.h"

static void copy(int from, int to)
{
	char buffer[65536];
	ssize_t n;

	while ((n = read(from, buffer, sizeof(buffer))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0 && !tty_write(to, buffer, (size_t)n))
			return;
}

static void *copy_in(void *socket)
{
	int fd = GPOINTER_TO_INT(socket);

	copy(STDIN_FILENO, fd);
	shutdown(fd, SHUT_WR);
	return NULL;
}

bool proxy_run(struct shell *sh, GError **error)
{
	int fd = vmm_connect_dial(rc_uri(sh, sh->uri), sh->connect_flags, error);

	if (fd < 0)
		return false;
	g_unix_set_fd_nonblocking(fd, FALSE, NULL);
	g_thread_unref(g_thread_new("proxy-in", copy_in, GINT_TO_POINTER(fd)));
	copy(fd, STDOUT_FILENO);
	/* The other thread may wait for input for ever: there is nothing left to wait for. */
	_exit(STATUS_OK);
}
