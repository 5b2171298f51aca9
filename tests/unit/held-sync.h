/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An fsync() that a test holds up: what is linked with it calls this one, not the C library's. */
#pragma once

#include <glib.h>
#include <sys/syscall.h>
#include <unistd.h>

static gint sync_held, sync_waiting; /* atomic */

int fsync(int fd)
{
	g_atomic_int_inc(&sync_waiting);
	while (g_atomic_int_get(&sync_held))
		g_usleep(1000);
	return (int)syscall(SYS_fsync, fd);
}

static inline void sync_hold(void)
{
	g_atomic_int_set(&sync_waiting, 0);
	g_atomic_int_set(&sync_held, 1);
}

/* So many calls are under way. */
static inline void sync_expect(gint n)
{
	for (unsigned i = 0; g_atomic_int_get(&sync_waiting) < n; i++) {
		g_assert_cmpuint(i, <, 10000);
		g_main_context_iteration(NULL, FALSE);	/* the device may be in it */
		g_usleep(1000);
	}
}

static inline void sync_release(void)
{
	g_atomic_int_set(&sync_held, 0);
}
