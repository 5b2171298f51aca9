/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A framed connection on a main context: its life.
 *
 * Everything happens in conn_dispatch(), on the owner thread.  Functions that
 * users call only queue, and at most try one send whose failure they leave for
 * the loop to find: so no callback ever runs inside a call of the user, save
 * for the pending calls that rpc_conn_free() and rpc_conn_cancel() end.
 *
 * A callback may free the connection: busy counts the frames on the stack,
 * and the last one to leave releases the memory.
 */
#include "config.h"
#include "libvmm/rpc/conn-priv.h"

#include <errno.h>
#include <glib-unix.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define PAUSE_BYTES (4 << 20)
#define CLOSE_BYTES (128 << 20)
#define LINGER_US (5 * G_USEC_PER_SEC)
#define READ_MESSAGES 16		/* in one turn of the loop */

enum keepalive_procedure {
	KEEPALIVE_PING = 1,
	KEEPALIVE_PONG = 2,
};

struct conn_source {
	GSource source;
	struct rpc_conn *conn;
};

static void conn_release(struct rpc_conn *conn)
{
	g_source_destroy(conn->source);
	g_source_unref(conn->source);
	g_main_context_unref(conn->ctx);
	g_hash_table_unref(conn->pending);
	g_byte_array_unref(conn->body);
	g_clear_error(&conn->reason);
	g_free(conn);
}

void conn_busy_enter(struct rpc_conn *conn)
{
	conn->busy++;
}

void conn_busy_leave(struct rpc_conn *conn)
{
	if (--conn->busy == 0 && conn->freed)
		conn_release(conn);
}

/* Close the socket and tell the pending calls; the caller is busy. */
static void conn_shut(struct rpc_conn *conn, const GError *error)
{
	g_autoptr(GError) gone = g_error_new(VMM_ERROR, VMM_ERR_RPC, "the connection is closed");

	conn->ended = true;
	budget_leave(conn);
	conn_update(conn);
	fd_close(&conn->fd);
	conn_drop_output(conn);
	conn_drop_fds(conn);
	pending_fail(conn, error ? error : gone);
}

static void conn_end(struct rpc_conn *conn, const GError *error)
{
	if (conn->ended)
		return;
	conn_shut(conn, error);
	if (!conn->freed)
		conn->ops->closed(conn, error, conn->opaque);
}

bool conn_is_reading(const struct rpc_conn *conn)
{
	return !conn->ended && !conn->closing && !conn->paused && !conn->throttled && !conn->reason;
}

static unsigned conn_events(const struct rpc_conn *conn)
{
	unsigned events = 0;

	if (conn->ended)
		return 0;
	if (conn_is_reading(conn) && !conn->deferred)
		events |= G_IO_IN;
	if (conn->out.length > 0)
		events |= G_IO_OUT;
	return events;
}

static gint64 earlier(gint64 a, gint64 b)
{
	return a < 0 ? b : b < 0 ? a : MIN(a, b);
}

static gint64 conn_ready_time(const struct rpc_conn *conn)
{
	if (conn->reason && !conn->ended)
		return 0;
	if (conn->closing && !conn->ended && !conn->out.length)
		return 0;
	if (conn->ended)
		return pending_deadline(conn);
	return earlier(pending_deadline(conn), conn->closing ? conn->linger_us :
		       conn->keepalive_us ? conn->ping_us : -1);
}

void conn_update(struct rpc_conn *conn)
{
	unsigned events;

	if (conn->queued > conn->pause_bytes)
		conn->throttled = true;
	else if (conn->queued <= conn->pause_bytes / 2)
		conn->throttled = false;
	events = conn_events(conn);
	if (!events && conn->tag) {
		/* Not merely an empty mask: poll() would report a hang-up for ever. */
		g_source_remove_unix_fd(conn->source, conn->tag);
		conn->tag = NULL;
	} else if (events && !conn->tag) {
		conn->tag = g_source_add_unix_fd(conn->source, conn->fd, events);
	} else if (events) {
		g_source_modify_unix_fd(conn->source, conn->tag, events);
	}
	g_source_set_ready_time(conn->source, conn_ready_time(conn));
	budget_update(conn);
}

static void keepalive_answer(struct rpc_conn *conn, const struct rpc_message *msg)
{
	struct frame_header pong = msg->hdr;

	if (msg->hdr.procedure != KEEPALIVE_PING || msg->hdr.type != FRAME_MESSAGE)
		return;
	pong.procedure = KEEPALIVE_PONG;
	conn_send(conn, frame_encode_raw(&pong, NULL, 0));
}

void conn_heard(struct rpc_conn *conn)
{
	conn->pings = 0;
	conn->ping_us = g_get_monotonic_time() + conn->keepalive_us;
}

static bool keepalive_check(struct rpc_conn *conn, GError **error)
{
	struct frame_header ping = {
		.program = FRAME_PROGRAM_KEEPALIVE,
		.version = 1,
		.procedure = KEEPALIVE_PING,
		.type = FRAME_MESSAGE,
	};

	if (!conn->keepalive_us || conn->closing || g_get_monotonic_time() < conn->ping_us)
		return true;
	/* Who does not listen must not complain of silence. */
	if (!conn_is_reading(conn)) {
		conn_heard(conn);
		return true;
	}
	if (conn->pings == conn->keepalive_count)
		return error_set(error, VMM_ERR_RPC,
				 "the peer has not answered for %" G_GINT64_FORMAT " seconds",
				 conn->keepalive_us * (conn->pings + 1) / G_USEC_PER_SEC);
	conn->pings++;
	conn->ping_us = g_get_monotonic_time() + conn->keepalive_us;
	conn_send(conn, frame_encode_raw(&ping, NULL, 0));
	return true;
}

void conn_deliver(struct rpc_conn *conn, struct rpc_message *msg)
{
	if (msg->hdr.program == FRAME_PROGRAM_KEEPALIVE)
		keepalive_answer(conn, msg);
	else if (msg->hdr.type == FRAME_REPLY || msg->hdr.type == FRAME_REPLY_WITH_FDS)
		pending_reply(conn, msg, conn->reason ? NULL : &conn->reason);
	else
		conn->ops->message(conn, msg, conn->opaque);
}

/* Of many connections each has its turn. */
static bool conn_read_now(struct rpc_conn *conn, GError **error)
{
	struct rpc_turns *turns = conn->budget ? budget_turns(conn->budget) : NULL;

	if (!turns)
		return conn_read(conn, READ_MESSAGES, error);
	return !turns_take(turns, conn) || turns_read(turns, conn, error);
}

/* What the loop has found; false with an error ends the connection. */
static bool conn_work(struct rpc_conn *conn, unsigned revents, GError **error)
{
	bool had_output = conn->out.length > 0;

	if (conn->reason) {
		g_propagate_error(error, g_steal_pointer(&conn->reason));
		return false;
	}
	if (had_output && !conn_write(conn, error)) {
		/* A peer that has hung up may have said why. */
		if (conn_is_reading(conn))
			conn_read(conn, READ_MESSAGES, NULL);
		return false;
	}
	if (had_output && conn->out.length == 0 && conn->ops->drained)
		conn->ops->drained(conn, conn->opaque);
	if ((revents & (G_IO_IN | G_IO_HUP | G_IO_ERR)) && conn_is_reading(conn) &&
	    !conn_read_now(conn, error))
		return false;
	return conn->ended || keepalive_check(conn, error);
}

void conn_read_turn(struct rpc_conn *conn)
{
	g_autoptr(GError) error = NULL;

	conn_busy_enter(conn);
	if (conn_is_reading(conn) && conn->budget &&
	    !turns_read(budget_turns(conn->budget), conn, &error))
		conn_end(conn, error);
	if (!conn->freed)
		conn_update(conn);
	conn_busy_leave(conn);
}

static gboolean conn_dispatch(GSource *source, GSourceFunc callback, void *data)
{
	struct rpc_conn *conn = ((struct conn_source *)source)->conn;
	unsigned revents = conn->tag ? g_source_query_unix_fd(source, conn->tag) : 0;
	g_autoptr(GError) error = NULL;

	conn_busy_enter(conn);
	pending_expire(conn);
	if (!conn->ended && !conn_work(conn, revents, &error))
		conn_end(conn, error);
	else if (conn->closing && (!conn->out.length || g_get_monotonic_time() >= conn->linger_us))
		conn_end(conn, NULL);
	if (!conn->freed)
		conn_update(conn);
	conn_busy_leave(conn);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs conn_source_funcs = { .dispatch = conn_dispatch };

struct rpc_conn *rpc_conn_new(int fd, GMainContext *ctx, const struct rpc_conn_ops *ops,
			      void *opaque)
{
	struct rpc_conn *conn = g_new0(struct rpc_conn, 1);

	*conn = (struct rpc_conn){
		.fd = fd,
		.ctx = g_main_context_ref(ctx ? ctx : g_main_context_default()),
		.ops = ops,
		.opaque = opaque,
		.body = g_byte_array_new(),
		.message_max = FRAME_MESSAGE_MAX,
		.pause_bytes = PAUSE_BYTES,
		.close_bytes = CLOSE_BYTES,
		.pending = pending_table_new(),
	};
	g_queue_init(&conn->out);
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	conn->source = g_source_new(&conn_source_funcs, sizeof(struct conn_source));
	((struct conn_source *)conn->source)->conn = conn;
	g_source_set_static_name(conn->source, "rpc_conn");
	conn_update(conn);
	g_source_attach(conn->source, conn->ctx);
	return conn;
}

void rpc_conn_free(struct rpc_conn *conn)
{
	if (!conn || conn->freed)
		return;
	conn_busy_enter(conn);
	conn->freed = true;
	conn_shut(conn, NULL);
	conn_busy_leave(conn);
}

void rpc_conn_close(struct rpc_conn *conn)
{
	if (conn->ended || conn->closing)
		return;
	conn->closing = true;
	conn->linger_us = g_get_monotonic_time() + LINGER_US;
	conn_update(conn);
}

void rpc_conn_set_message_max(struct rpc_conn *conn, uint32_t bytes)
{
	conn->message_max = MIN(bytes, FRAME_MESSAGE_MAX);
}

void rpc_conn_set_output_limits(struct rpc_conn *conn, size_t pause_bytes, size_t close_bytes)
{
	conn->pause_bytes = pause_bytes;
	conn->close_bytes = close_bytes;
	conn_update(conn);
}

void rpc_conn_set_keepalive(struct rpc_conn *conn, unsigned interval_ms, unsigned count)
{
	conn->keepalive_us = (gint64)interval_ms * 1000;
	conn->keepalive_count = count;
	conn_heard(conn);
	conn_update(conn);
}

size_t rpc_conn_queued(const struct rpc_conn *conn)
{
	return conn->queued;
}

void rpc_conn_pause(struct rpc_conn *conn)
{
	conn->paused++;
	conn_update(conn);
}

void rpc_conn_resume(struct rpc_conn *conn)
{
	g_return_if_fail(conn->paused > 0);
	conn->paused--;
	conn_update(conn);
}

bool rpc_conn_peer(const struct rpc_conn *conn, struct ucred *ret, GError **error)
{
	socklen_t bytes = sizeof(*ret);

	if (getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, ret, &bytes) < 0)
		return error_errno(error, errno, "ask who the peer is");
	return true;
}

bool rpc_conn_is_open(const struct rpc_conn *conn)
{
	return !conn->ended && !conn->closing && !conn->reason;
}
