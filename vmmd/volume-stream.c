/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams of volumes.
 *
 * Neither side may make us keep what the other does not take: while much is
 * queued for the client the child's pipe is not read, while much waits for the
 * child the client is not read.  An upload is answered when the child has the
 * bytes on the disk; what the client sent last waits for that.
 */
#include "config.h"
#include "vmmd/volume-stream.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/sparse.h"
#include "vmmd/graph.h"
#include "vmmd/imagejob.h"
#include "vmmd/volume-priv.h"

#define READ_BYTES 65536
#define QUEUED_MAX (1u << 20)

struct volume_stream {
	struct stream stream;		/* means nothing when closed */
	bool closed;			/* the client has gone, or was answered */
	struct pool *pool;
	char *name;
	bool upload, sparse;
	struct sparse_reader reader;	/* of a sparse download's pipe */
	struct imagejob *job;		/* NULL when it has ended */
	int fd;				/* our end of the pipe */
	guint source;
	GByteArray *input;		/* for the child */
	bool client_paused, finishing;
	GError *failed;
};

static void stream_unref(struct volume_stream *s)
{
	if (!s->closed || s->job)
		return;
	volume_release(s->pool, s->name);
	g_clear_handle_id(&s->source, g_source_remove);
	fd_close(&s->fd);
	g_byte_array_unref(s->input);
	g_clear_error(&s->failed);
	g_free(s->name);
	g_free(s);
}

/* The session's table lets go of it: the child, if it still works, is told to end. */
static void stream_freed(struct stream *stream)
{
	struct volume_stream *s = container_of(stream, struct volume_stream, stream);

	if (s->client_paused)
		rpc_conn_resume(session_conn(stream->session));
	s->closed = true;
	g_clear_handle_id(&s->source, g_source_remove);
	if (s->job)
		imagejob_cancel(s->job);
	stream_unref(s);
}

static void stream_end(struct volume_stream *s, const GError *error)
{
	struct rpc_conn *conn = session_conn(s->stream.session);

	if (error)
		rpc_stream_error(conn, &s->stream.hdr, error);
	else
		rpc_stream_finish(conn, &s->stream.hdr);
	session_remove_stream(&s->stream);
}

/* ---- client to child ---- */

static void input_flow(struct volume_stream *s);

static gboolean on_writable(int fd, GIOCondition condition, void *opaque)
{
	struct volume_stream *s = opaque;

	s->source = 0;
	input_flow(s);
	return G_SOURCE_REMOVE;
}

static void client_hold(struct volume_stream *s, bool hold)
{
	if (hold == s->client_paused)
		return;
	s->client_paused = hold;
	if (hold)
		rpc_conn_pause(session_conn(s->stream.session));
	else
		rpc_conn_resume(session_conn(s->stream.session));
}

static void input_flow(struct volume_stream *s)
{
	while (s->fd >= 0 && s->input->len > 0) {
		ssize_t n = write(s->fd, s->input->data, s->input->len);

		if (n < 0 && errno == EAGAIN)
			break;
		if (n < 0 && errno != EINTR) {
			/* the child has gone: its error is on the way */
			fd_close(&s->fd);
			break;
		}
		if (n > 0)
			g_byte_array_remove_range(s->input, 0, (guint)n);
	}
	if (s->fd < 0)
		g_byte_array_set_size(s->input, 0);
	if (s->input->len > 0 && !s->source)
		s->source = g_unix_fd_add(s->fd, G_IO_OUT | G_IO_ERR, on_writable, s);
	client_hold(s, s->input->len > QUEUED_MAX);
	if (s->finishing && s->input->len == 0)
		fd_close(&s->fd);		/* the child sees the end */
}

static void input_head(struct volume_stream *s, enum sparse_kind kind, uint64_t bytes)
{
	uint8_t head[SPARSE_HEAD_BYTES];

	sparse_head(kind, bytes, head);
	g_byte_array_append(s->input, head, sizeof(head));
}

static void stream_data(struct stream *stream, const void *data, size_t bytes)
{
	struct volume_stream *s = container_of(stream, struct volume_stream, stream);

	if (!s->upload || s->finishing || s->fd < 0)
		return;
	if (s->sparse && bytes > 0)
		input_head(s, SPARSE_DATA, bytes);
	g_byte_array_append(s->input, data, (guint)bytes);
	input_flow(s);
}

static void stream_hole(struct stream *stream, uint64_t bytes)
{
	struct volume_stream *s = container_of(stream, struct volume_stream, stream);
	g_autoptr(GError) error = NULL;

	if (!s->upload || !s->sparse) {
		error_set(&error, VMM_ERR_RPC, "a hole in a stream that was opened without any");
		stream_end(s, error);
		return;
	}
	if (s->finishing || s->fd < 0 || bytes == 0)
		return;
	input_head(s, SPARSE_HOLE, bytes);
	input_flow(s);
}

static void stream_finish(struct stream *stream, bool abort)
{
	struct volume_stream *s = container_of(stream, struct volume_stream, stream);

	if (abort || !s->upload) {
		stream_end(s, NULL);
		return;
	}
	s->finishing = true;
	input_flow(s);
}

/* ---- child to client ---- */

static void output_watch(struct volume_stream *s);

static bool output_data(const uint8_t *data, size_t bytes, void *opaque)
{
	struct volume_stream *s = opaque;

	rpc_stream_data(session_conn(s->stream.session), &s->stream.hdr, data, bytes);
	return true;
}

static bool output_hole(uint64_t bytes, void *opaque)
{
	struct volume_stream *s = opaque;

	rpc_stream_hole(session_conn(s->stream.session), &s->stream.hdr, bytes);
	return true;
}

static bool output_take(struct volume_stream *s, const uint8_t *buf, size_t bytes)
{
	static const struct sparse_ops ops = { output_data, output_hole };

	return s->sparse ? sparse_read(&s->reader, buf, bytes, &ops, s) == 0 :
			   output_data(buf, bytes, s);
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct volume_stream *s = opaque;
	struct rpc_conn *conn = session_conn(s->stream.session);
	g_autoptr(GError) error = NULL;
	uint8_t buf[READ_BYTES];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n > 0 && !output_take(s, buf, (size_t)n)) {
		s->source = 0;
		error_set(&error, VMM_ERR_INTERNAL, "the reader of '%s' sent what is no file",
			  s->name);
		stream_end(s, error);
		return G_SOURCE_REMOVE;
	}
	if (n > 0) {
		if (rpc_conn_queued(conn) < QUEUED_MAX)
			return G_SOURCE_CONTINUE;
		s->source = 0;		/* stream_drained() goes on */
		return G_SOURCE_REMOVE;
	}
	s->source = 0;
	fd_close(&s->fd);
	output_watch(s);
	return G_SOURCE_REMOVE;
}

/* All is sent, and the child says whether it was all. */
static void output_watch(struct volume_stream *s)
{
	if (s->fd >= 0) {
		if (!s->source)
			s->source = g_unix_fd_add(s->fd, G_IO_IN | G_IO_HUP, on_readable, s);
	} else if (!s->job && s->failed) {
		stream_end(s, s->failed);
	} else if (!s->job) {
		rpc_stream_eof(session_conn(s->stream.session), &s->stream.hdr);
	}
}

static void stream_drained(struct stream *stream)
{
	struct volume_stream *s = container_of(stream, struct volume_stream, stream);

	if (!s->upload && s->fd >= 0)
		output_watch(s);
}

static const struct stream_ops volume_stream_ops = {
	.data = stream_data,
	.hole = stream_hole,
	.finish = stream_finish,
	.drained = stream_drained,
	.free = stream_freed,
};

/* ---- the child ---- */

static void on_job_done(GVariant *result, const GError *error, void *opaque)
{
	struct volume_stream *s = opaque;

	s->job = NULL;
	if (s->closed) {
		stream_unref(s);
		return;
	}
	if (s->upload) {
		if (error || s->finishing)
			stream_end(s, error);
		return;
	}
	s->failed = error ? g_error_copy(error) : NULL;
	output_watch(s);
}

static bool stream_start(struct volume_stream *s, struct daemon *daemon,
			 const struct volume_range *range, GError **error)
{
	g_autofree char *path = volume_path(s->pool, s->name);
	struct imagejob_opts o = {
		.op = s->upload ? IMAGEJOB_UPLOAD : IMAGEJOB_DOWNLOAD, .path = path,
		.format = "raw", .offset = range->offset, .bytes = range->bytes,
		.sparse = s->sparse,
	};
	auto_close int theirs = -1;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(error, errno, "open a pipe");
	s->fd = ends[s->upload];
	theirs = o.data_fd = ends[!s->upload];
	g_unix_set_fd_nonblocking(s->fd, TRUE, NULL);
	s->job = imagejob_start(daemon, &o, on_job_done, NULL, s, error);
	return s->job != NULL;
}

static bool open_permitted(struct pool *pool, const char *name, bool upload, GError **error)
{
	auto_close int fd = volume_open(pool, name, error);
	g_autofree char *path = volume_path(pool, name);

	return fd >= 0 &&
	       (!upload || graph_may_change(pool->daemon, path, "overwrite", false, error)) &&
	       volume_hold(pool, name, error);
}

void volume_stream_open(struct call *call, struct pool *pool, const char *name,
			const struct volume_range *range)
{
	struct session *session = call->session;
	struct daemon *daemon = call->daemon;
	g_autoptr(GError) error = NULL;
	struct volume_stream *s;

	if (!open_permitted(pool, name, range->upload, &error)) {
		call_fail(call, error);
		return;
	}
	s = g_new0(struct volume_stream, 1);
	s->stream.ops = &volume_stream_ops;
	s->stream.hdr = call->hdr;
	s->pool = pool;
	s->name = g_strdup(name);
	s->upload = range->upload;
	s->sparse = range->sparse;
	s->fd = -1;
	s->input = g_byte_array_new();
	if (!stream_start(s, daemon, range, &error)) {
		call_fail(call, error);
		s->closed = true;
		stream_unref(s);
		return;
	}
	call_reply(call, NULL);		/* before any data */
	session_add_stream(session, &s->stream);
	stream_drained(&s->stream);
}
