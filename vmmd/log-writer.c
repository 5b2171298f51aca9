/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* g_message() and its like: into the daemon's logbook, and to whoever listens on stderr. */
#include "config.h"
#include "vmmd/log-writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/logbook.h"

#define STDERR_BYTES_MAX (1 << 20)

static bool log_is_noted(const GLogField *fields, gsize n)
{
	for (gsize i = 0; i < n; i++)
		if (strcmp(fields[i].key, LOGBOOK_FIELD) == 0)
			return true;
	return false;
}

static void log_note(struct logbook *log, GLogLevelFlags level, const GLogField *fields, gsize n)
{
	enum log_level ours = level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ? LOG_LEVEL_ERROR :
			      level & G_LOG_LEVEL_WARNING ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTE;

	for (gsize i = 0; i < n; i++)
		if (strcmp(fields[i].key, "MESSAGE") == 0 && fields[i].length < 0)
			logbook_add(log, NULL, ours, "message", NULL, fields[i].value);
}

/* The logbook, and who listens on stderr: the journal, a terminal, a service's log. */
static GLogWriterOutput log_write(GLogLevelFlags level, const GLogField *fields, gsize n,
				  void *opaque)
{
	const struct daemon *d = opaque;
	bool details = level & (G_LOG_LEVEL_INFO | G_LOG_LEVEL_DEBUG);

	if (details && !d->verbose)
		return G_LOG_WRITER_HANDLED;
	if (g_log_writer_is_journald(STDERR_FILENO))
		g_log_writer_journald(level, fields, n, NULL);
	else if (log_is_noted(fields, n))
		return G_LOG_WRITER_HANDLED;
	else if (!d->in_background)
		g_log_writer_standard_streams(level, fields, n, NULL);
	if (d->logbook && !details && !log_is_noted(fields, n))
		log_note(d->logbook, level, fields, n);
	return G_LOG_WRITER_HANDLED;
}

void log_writer_set(struct daemon *daemon)
{
	g_log_set_writer_func(log_write, daemon, NULL);
}

/* What is not a message of ours: the last words of a library that gives up. */
void log_writer_background(struct daemon *d)
{
	g_autofree char *path = g_build_filename(d->log_dir, "vmmd.stderr", NULL);
	auto_close int fd =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > STDERR_BYTES_MAX && ftruncate(fd, 0) < 0)
		g_warning("cut '%s': %s", path, g_strerror(errno));
	dup2(fd, STDERR_FILENO);
	d->in_background = true;
}
