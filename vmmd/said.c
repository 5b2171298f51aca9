/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A worker's stderr, line by line, and the bound of what is written of it. */
#include "config.h"
#include "vmmd/said.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>

#include "libvmm/util/cleanup.h"

/* One line in 10 s, and 200 on top after a quiet time: a report of an abort is not cut. */
#define LINE_COST_US (10 * G_USEC_PER_SEC)
#define LINES_AHEAD_US (200 * LINE_COST_US)
#define READ_BYTES 4096
#define REST_MS 100		/* so a flood costs vmmd 40 KiB a second to look at */
#define DRAIN_BYTES (128u << 10)	/* more than a pipe holds */

struct said {
	int fd;
	guint source;			/* of the descriptor, or of the rest after a read */
	said_line_fn *fn;
	void *opaque;
	GString *line;			/* that has not ended */
};

static void line_end(struct said *s)
{
	if (s->line->len > 0)
		s->fn(s->line->str, s->opaque);
	g_string_truncate(s->line, 0);
}

static void take(struct said *s, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n' || bytes[i] == '\0')
			line_end(s);
		else if (s->line->len < LOGBOOK_TEXT_MAX)
			g_string_append_c(s->line, bytes[i]);
	}
}

/* 0: nothing is there; less: there never will be. */
static ssize_t read_some(struct said *s)
{
	char bytes[READ_BYTES];
	ssize_t n = read(s->fd, bytes, sizeof(bytes));

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	take(s, bytes, (size_t)n);
	return n ?: -1;
}

static void watch(struct said *s);

static gboolean on_rested(void *opaque)
{
	watch(opaque);
	return G_SOURCE_REMOVE;
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct said *s = opaque;

	s->source = read_some(s) < 0 ? 0 : g_timeout_add(REST_MS, on_rested, s);
	return G_SOURCE_REMOVE;
}

static void watch(struct said *s)
{
	s->source = g_unix_fd_add(s->fd, G_IO_IN, on_readable, s);
}

struct said *said_new(int fd, said_line_fn *fn, void *opaque)
{
	struct said *s;

	if (fd < 0)
		return NULL;
	s = g_new0(struct said, 1);
	s->fd = fd;
	s->fn = fn;
	s->opaque = opaque;
	s->line = g_string_new(NULL);
	watch(s);
	return s;
}

void said_free(struct said *s)
{
	if (!s)
		return;
	g_clear_handle_id(&s->source, g_source_remove);
	for (ssize_t got = 0, n; got < DRAIN_BYTES && (n = read_some(s)) > 0; got += n)
		;
	line_end(s);
	g_string_free(s->line, TRUE);
	close(s->fd);
	g_free(s);
}

bool said_may(struct said_budget *b, unsigned *ret_left_out)
{
	gint64 now = g_get_monotonic_time();

	/* 0: nothing has been said yet; soon after a boot that is later than what is ahead */
	b->paid_us = (b->paid_us ? MAX(b->paid_us, now - LINES_AHEAD_US) : now - LINES_AHEAD_US) +
		     LINE_COST_US;
	if (b->paid_us > now) {
		b->paid_us -= LINE_COST_US;
		b->left_out++;
		return false;
	}
	*ret_left_out = b->left_out;
	b->left_out = 0;
	return true;
}

void said_note(struct domain *dom, enum log_level level, const char *event, const char *text)
{
	unsigned left_out;

	if (!said_may(&dom->said_budget, &left_out))
		return;
	if (left_out > 0)
		logbook_domain(dom, LOG_LEVEL_WARNING, "left-out", NULL,
			       "%u entries that came too fast", left_out);
	logbook_domain(dom, level, event, NULL, "%s", text);
}

void said_domain_line(const char *line, void *opaque)
{
	said_note(opaque, LOG_LEVEL_WARNING, "worker", line);
}
