/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sockets in the file system. */
#pragma once

#include <glib.h>
#include <sys/types.h>

/*
 * A listening Unix stream socket at path with this mode, close-on-exec.  A
 * socket that a dead process left there is replaced; one that answers, or
 * anything that is no socket, is an error.  -1 on failure.
 */
int io_listen_unix(const char *path, mode_t mode, GError **error);

/*
 * Connects to it; non-blocking, so it never hangs.  -1 on failure, errno
 * says why (EAGAIN: its queue is full; ENAMETOOLONG: no path for a socket).
 */
int io_connect_unix(const char *path, GError **error);
