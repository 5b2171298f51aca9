/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The files of consoles' journals, and the streams of their bytes. */
#include "config.h"
#include "vmmd/console-log.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/conlog.h"
#include "libvmm/util/error.h"

#define READ_BYTES 65536
#define QUEUED_MAX (1u << 20)

static char *path_of(const struct daemon *daemon, const char *uuid_text)
{
	g_autofree char *file = g_strconcat(uuid_text, ".console", NULL);

	return g_build_filename(daemon->log_dir, file, NULL);
}

static char *log_path(const struct domain *dom)
{
	return path_of(dom->daemon, dom->uuid_text);
}

int console_log_open(const struct domain *dom)
{
	g_autofree char *path = log_path(dom);
	int fd;

	if (!dom->daemon->console_log_bytes)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		g_warning("what the consoles of domain '%s' say is not kept: '%s': %s", dom->name,
			  path, g_strerror(errno));
	return fd;
}

void console_log_remove(const struct domain *dom)
{
	console_log_remove_stray(dom->daemon, dom->uuid_text);
}

void console_log_remove_stray(const struct daemon *daemon, const char *uuid_text)
{
	g_autofree char *path = path_of(daemon, uuid_text);

	if (g_unlink(path) < 0 && errno != ENOENT)
		g_warning("remove '%s': %s", path, g_strerror(errno));
}

/* ---- streams ---- */

struct log_stream {
	struct stream stream;
	int fd;				/* -1: all is sent */
	off_t at, end;
};

static struct log_stream *of(struct stream *stream)
{
	return container_of(stream, struct log_stream, stream);
}

static void log_free(struct stream *stream)
{
	fd_close(&of(stream)->fd);
	g_free(of(stream));
}

/* What is not there when it is read was cut off meanwhile: the rest is no loss to a reader. */
static void log_read(struct log_stream *s, size_t bytes)
{
	g_autofree uint8_t *buf = g_malloc(bytes);
	ssize_t n = pread(s->fd, buf, MIN(bytes, (size_t)(s->end - s->at)), s->at);
	struct rpc_conn *conn = session_conn(s->stream.session);

	for (ssize_t sent = 0; sent < n; sent += READ_BYTES)
		rpc_stream_data(conn, &s->stream.hdr, buf + sent,
				(size_t)MIN(n - sent, READ_BYTES));
	s->at += n;
	if (n > 0 && s->at < s->end)
		return;
	fd_close(&s->fd);
	rpc_stream_eof(conn, &s->stream.hdr);
}

static void log_drained(struct stream *stream)
{
	struct log_stream *s = of(stream);

	while (s->fd >= 0 && rpc_conn_queued(session_conn(stream->session)) < QUEUED_MAX)
		log_read(s, READ_BYTES);
}

static void log_finish(struct stream *stream, bool abort)
{
	rpc_stream_finish(session_conn(stream->session), &stream->hdr);
	session_remove_stream(stream);
}

/* A reader's bytes mean nothing. */
static void log_data(struct stream *stream, const void *data, size_t bytes)
{
}

static const struct stream_ops log_ops = {
	.data = log_data,
	.finish = log_finish,
	.drained = log_drained,
	.free = log_free,
};

void console_log_send(struct call *call, const struct domain *dom)
{
	g_autofree char *path = log_path(dom);
	auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct session *session = call->session;
	g_autoptr(GError) error = NULL;
	struct log_stream *s;

	if (fd < 0 && errno != ENOENT) {
		error_errno(&error, errno, "open '%s'", path);
		call_fail(call, error);
		return;
	}
	s = g_new0(struct log_stream, 1);
	s->stream.ops = &log_ops;
	s->stream.hdr = call->hdr;
	s->end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	s->fd = fd < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : TAKE_FD(fd);
	call_reply(call, NULL);		/* before any data */
	session_add_stream(session, &s->stream);
	log_read(s, CONLOG_FIRST_BYTES);
	log_drained(&s->stream);
}
