/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a connection, in and out.
 *
 * Reading asks for exactly what the current part still lacks (header, body,
 * then one byte for each descriptor), so descriptors and bytes can't get out
 * of step: the kernel never joins two SCM_RIGHTS into one read.
 */
#include "config.h"
#include "libvmm/rpc/conn-priv.h"

#include <errno.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define BODY_STEP_BYTES 65536		/* a body's first allocation; then it doubles */
#define BODY_KEEP_BYTES 65536		/* larger buffers are not kept for the next message */
#define CHUNK_BYTES 65536		/* messages are queued together up to this */

void conn_drop_fds(struct rpc_conn *conn)
{
	for (unsigned i = 0; i < conn->n_in_fds; i++)
		fd_close(&conn->in_fds[i]);
	conn->n_in_fds = 0;
}

static bool fd_keep(struct rpc_conn *conn, int fd, GError **error)
{
	if (conn->n_in_fds == FRAME_FDS_MAX) {
		close(fd);
		return error_set(error, VMM_ERR_RPC,
				 "the peer sent descriptors that belong to no message");
	}
	conn->in_fds[conn->n_in_fds++] = fd;
	return true;
}

static bool fds_keep(struct rpc_conn *conn, struct msghdr *mh, GError **error)
{
	bool ok = true;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			ok &= fd_keep(conn, fd, ok ? error : NULL);
		}
	}
	if (ok && (mh->msg_flags & MSG_CTRUNC))
		return error_set(error, VMM_ERR_RPC, "the peer sent too many descriptors at once");
	return ok;
}

/* Like read(), for -EAGAIN too; descriptors that come along are kept. */
static ssize_t bytes_read(struct rpc_conn *conn, void *buf, size_t bytes, GError **error)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(FRAME_FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { buf, bytes };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	do
		n = recvmsg(conn->fd, &mh, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return -EAGAIN;
	if (n < 0) {
		error_set(error, VMM_ERR_RPC, "connection lost: %s", g_strerror(errno));
		return -EIO;
	}
	return fds_keep(conn, &mh, error) ? n : -EIO;
}

static size_t body_bytes(const struct rpc_conn *conn)
{
	return conn->hdr.length - FRAME_HEADER_BYTES;
}

/* Where the next bytes go, and how many are wanted at most. */
static size_t part_room(struct rpc_conn *conn, uint8_t **ret)
{
	static uint8_t fd_byte;
	size_t room;

	switch (conn->in) {
	case CONN_IN_HEAD:
		*ret = conn->head + conn->have;
		return FRAME_HEADER_BYTES - conn->have;
	case CONN_IN_BODY:
		room = MIN(body_bytes(conn), MAX(conn->have * 2, BODY_STEP_BYTES));
		g_byte_array_set_size(conn->body, room);
		*ret = conn->body->data + conn->have;
		return room - conn->have;
	default:
		*ret = &fd_byte;
		return 1;
	}
}

static void part_next(struct rpc_conn *conn, enum conn_in in)
{
	conn->in = in;
	conn->have = 0;
}

static bool message_has_fds(const struct rpc_conn *conn)
{
	return conn->hdr.type == FRAME_CALL_WITH_FDS || conn->hdr.type == FRAME_REPLY_WITH_FDS;
}

/* Hand the complete message over; what its receiver leaves is closed here. */
static bool message_done(struct rpc_conn *conn, GError **error)
{
	unsigned word = message_has_fds(conn) ? 4 : 0;
	struct rpc_message msg = {
		.hdr = conn->hdr,
		.payload = body_bytes(conn) ? conn->body->data + word : (const uint8_t *)"",
		.bytes = body_bytes(conn) - word,
		.n_fds = conn->msg_fds,
	};

	if (conn->n_in_fds < msg.n_fds)
		return error_set(error, VMM_ERR_RPC, "a message announced %u descriptors, %u came",
				 msg.n_fds, conn->n_in_fds);
	memcpy(msg.fds, conn->in_fds, msg.n_fds * sizeof(int));
	conn->n_in_fds -= msg.n_fds;
	memmove(conn->in_fds, conn->in_fds + msg.n_fds, conn->n_in_fds * sizeof(int));
	conn->msg_fds = 0;
	part_next(conn, CONN_IN_HEAD);
	conn_deliver(conn, &msg);
	for (unsigned i = 0; i < msg.n_fds; i++)
		fd_close(&msg.fds[i]);
	if (conn->body->len > BODY_KEEP_BYTES) {
		g_byte_array_unref(conn->body);
		conn->body = g_byte_array_new();
	}
	return true;
}

static bool body_done(struct rpc_conn *conn, GError **error)
{
	uint32_t n;

	if (!message_has_fds(conn))
		return message_done(conn, error);
	if (body_bytes(conn) < sizeof(n))
		return error_set(error, VMM_ERR_RPC,
				 "a message with descriptors does not say how many");
	memcpy(&n, conn->body->data, sizeof(n));
	n = GUINT32_FROM_BE(n);
	if (n > FRAME_FDS_MAX)
		return error_set(error, VMM_ERR_RPC,
				 "a message with %u descriptors; %d are allowed", n, FRAME_FDS_MAX);
	conn->want_fds = conn->msg_fds = n;
	part_next(conn, CONN_IN_FDS);
	return n ? true : message_done(conn, error);
}

static bool part_take(struct rpc_conn *conn, size_t n, GError **error)
{
	conn->have += n;
	switch (conn->in) {
	case CONN_IN_HEAD:
		if (conn->have < FRAME_HEADER_BYTES)
			return true;
		if (!frame_header_decode(conn->head, conn->message_max, &conn->hdr, error))
			return false;
		part_next(conn, CONN_IN_BODY);
		return body_bytes(conn) ? true : body_done(conn, error);
	case CONN_IN_BODY:
		return conn->have < body_bytes(conn) ? true : body_done(conn, error);
	default:
		return conn->have < conn->want_fds ? true : message_done(conn, error);
	}
}

static bool eof_seen(struct rpc_conn *conn, GError **error)
{
	if (conn->in != CONN_IN_HEAD || conn->have)
		return error_set(error, VMM_ERR_RPC, "the peer hung up in the middle of a message");
	rpc_conn_close(conn);
	return true;
}

bool conn_read(struct rpc_conn *conn, unsigned messages, GError **error)
{
	for (unsigned done = 0; done < messages;) {
		bool in_head = conn->in == CONN_IN_HEAD;
		uint8_t *at;
		size_t room = part_room(conn, &at);
		ssize_t n = bytes_read(conn, at, room, error);

		if (n == -EAGAIN)
			return true;
		if (n < 0)
			return false;
		if (n == 0)
			return eof_seen(conn, error);
		conn_heard(conn);
		if (!part_take(conn, n, error))
			return false;
		if (!conn_is_reading(conn))
			return true;
		done += conn->in == CONN_IN_HEAD && (!in_head || !conn->have);
	}
	return true;
}

static ssize_t fd_send(int sock, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)"", 1 };
	struct msghdr mh = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control.buf, .msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	*c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	return sendmsg(sock, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t out_send(struct rpc_conn *conn, const struct conn_out *out)
{
	if (!out->bytes)
		return fd_send(conn->fd, out->fd);
	return send(conn->fd, out->bytes->data + conn->out_sent, out->bytes->len - conn->out_sent,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void out_free(struct conn_out *out)
{
	g_clear_pointer(&out->bytes, g_byte_array_unref);
	fd_close(&out->fd);
	g_free(out);
}

static size_t out_bytes(const struct conn_out *out)
{
	return out->bytes ? out->bytes->len : 1;
}

bool conn_write(struct rpc_conn *conn, GError **error)
{
	struct conn_out *out;

	while ((out = g_queue_peek_head(&conn->out))) {
		ssize_t n = out_send(conn, out);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0)
			return error_set(error, VMM_ERR_RPC, "connection lost: %s",
					 g_strerror(errno));
		conn->out_sent += n;
		conn->queued -= n;
		if (conn->out_sent < out_bytes(out))
			continue;
		conn->out_sent = 0;
		out_free(g_queue_pop_head(&conn->out));
	}
	return true;
}

void conn_drop_output(struct rpc_conn *conn)
{
	g_queue_clear_full(&conn->out, (GDestroyNotify)out_free);
	conn->queued = conn->out_sent = 0;
}

void conn_give_up(struct rpc_conn *conn, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!conn->reason)
		conn->reason = g_error_new_valist(VMM_ERROR, VMM_ERR_RPC, format, args);
	va_end(args);
	conn_drop_output(conn);
}

static void out_add(struct rpc_conn *conn, GByteArray *bytes, int fd)
{
	struct conn_out *out = g_new(struct conn_out, 1);

	*out = (struct conn_out){ bytes, fd };
	g_queue_push_tail(&conn->out, out);
}

/* Mostly there is room: one turn of the loop less. A failure shows again in the loop. */
static void out_added(struct rpc_conn *conn, size_t bytes, bool first)
{
	conn->queued += bytes;
	if (first)
		conn_write(conn, NULL);
	if (conn->queued > conn->close_bytes)
		conn_give_up(conn, "the peer does not read: %zu bytes wait for it", conn->queued);
	conn_update(conn);
}

/*
 * Many small messages may wait (events), and each by itself would cost several
 * times its bytes.
 */
void conn_send(struct rpc_conn *conn, GBytes *message)
{
	struct conn_out *last = g_queue_peek_tail(&conn->out);
	size_t bytes = g_bytes_get_size(message);
	bool first = !last;

	if (conn->ended || conn->reason) {
		g_bytes_unref(message);
		return;
	}
	if (last && last->bytes && last->bytes->len + bytes <= CHUNK_BYTES) {
		g_byte_array_append(last->bytes, g_bytes_get_data(message, NULL), bytes);
		g_bytes_unref(message);
	} else {
		out_add(conn, g_bytes_unref_to_array(message), -1);
	}
	out_added(conn, bytes, first);
}

void conn_send_fd(struct rpc_conn *conn, int fd)
{
	bool first = g_queue_is_empty(&conn->out);

	if (conn->ended || conn->reason) {
		close(fd);
		return;
	}
	out_add(conn, NULL, fd);
	out_added(conn, 1, first);
}
