/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Fault points that strike: linked before the library's, which do nothing. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/fault.h"

static void fault_log(const char *name)
{
	const char *path = g_getenv("VMM_FAULT_LOG");
	auto_close int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
	g_autofree char *line = g_strconcat(name, "\n", NULL);

	if (fd >= 0 && write(fd, line, strlen(line)) < 0)
		g_error("write '%s'", path);
}

/* "NAME" or "NAME@N" */
static bool fault_chosen(const char *name)
{
	static unsigned passed;
	const char *chosen = g_getenv("VMM_FAULT");
	const char *at = chosen ? strchr(chosen, '@') : NULL;
	size_t len = at ? (size_t)(at - chosen) : chosen ? strlen(chosen) : 0;

	if (!chosen || strlen(name) != len || strncmp(chosen, name, len) != 0)
		return false;
	return ++passed == (at ? g_ascii_strtoull(at + 1, NULL, 10) : 1);
}

void fault_point(const char *name)
{
	fault_log(name);
	/* Not kill(): the worker's jail has none. */
	if (fault_chosen(name))
		raise(SIGKILL);
}

int fault_errno(const char *name)
{
	const char *chosen = g_getenv("VMM_FAULT_FAIL");
	const size_t len = strlen(name);

	return chosen && strncmp(chosen, name, len) == 0 && chosen[len] == ':' &&
	       access(chosen + len + 1, F_OK) == 0 ? EIO : 0;
}
