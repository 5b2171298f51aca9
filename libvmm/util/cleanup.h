/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors that close at the end of a scope, and small things GLib lacks. */
#pragma once

#include <assert.h>
#include <glib.h>
#include <unistd.h>

static inline void fd_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* "auto_close int fd = open(...)": closed on every way out, unless taken by TAKE_FD. */
#define auto_close __attribute__((cleanup(fd_close)))

/* The descriptor's value; the variable no longer owns it. */
#define TAKE_FD(fd) g_steal_fd_value(&(fd))

static inline int g_steal_fd_value(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))
