/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One framed connection over a stream socket: client sessions of vmmd, the
 * links between vmmd and its workers, the client library.
 *
 * Owner: the thread that iterates ctx.  All functions are called by the owner,
 * all callbacks run on it.  A callback may call anything here, rpc_conn_free()
 * of its own connection too.
 *
 * Order of ends: whatever ends a connection (peer, error, rpc_conn_close()),
 * first every pending call is told, then ops->closed runs once; after it only
 * rpc_conn_free() is left to do.  rpc_conn_free() itself tells the pending
 * calls but does not call ops->closed.
 *
 * Keepalive pings are answered here and never seen above.
 */
#pragma once

#include <sys/socket.h>

#include "libvmm/rpc/frame.h"

struct rpc_conn;

/* A message that came in; valid during the callback only. */
struct rpc_message {
	struct frame_header hdr;
	const uint8_t *payload;		/* after the header (and the nfds word) */
	size_t bytes;
	int fds[FRAME_FDS_MAX];		/* take with TAKE_FD(msg->fds[i]); the rest is closed */
	unsigned n_fds;
};

struct rpc_conn_ops {
	/* Everything but replies to our own calls: calls, events, stream packets. */
	void (*message)(struct rpc_conn *conn, struct rpc_message *msg, void *opaque);
	/* error is NULL after a clean end (EOF between messages, or rpc_conn_close()). */
	void (*closed)(struct rpc_conn *conn, const GError *error, void *opaque);
	/* The output queue has become empty; may be NULL. */
	void (*drained)(struct rpc_conn *conn, void *opaque);
};

/* Takes fd (made non-blocking). ctx may be NULL for the default context; ops must outlive conn. */
struct rpc_conn *rpc_conn_new(int fd, GMainContext *ctx, const struct rpc_conn_ops *ops,
			      void *opaque);
void rpc_conn_free(struct rpc_conn *conn);
/* Read no more, send what is queued (5 s at most), then closed(). */
void rpc_conn_close(struct rpc_conn *conn);

/* The longest message to accept, with header; FRAME_MESSAGE_MAX at first. */
void rpc_conn_set_message_max(struct rpc_conn *conn, uint32_t bytes);
/*
 * Output limits: above pause_bytes (4 MiB) nothing is read until half of it
 * has been sent; above close_bytes (128 MiB) the connection ends with an error.
 */
void rpc_conn_set_output_limits(struct rpc_conn *conn, size_t pause_bytes, size_t close_bytes);
/*
 * Connections with one budget may hold max_bytes together, unsent and half
 * received.  When that is exceeded the largest of the owner that has most
 * ends with an error.  The budget outlives them.
 */
struct rpc_budget *rpc_budget_new(size_t max_bytes);
void rpc_budget_free(struct rpc_budget *b);
void rpc_conn_set_budget(struct rpc_conn *conn, struct rpc_budget *b, uid_t owner);
/*
 * Ask a silent peer for a sign of life every interval_ms; end the connection
 * when count of them stay without any message.  0: never, as at first.
 */
void rpc_conn_set_keepalive(struct rpc_conn *conn, unsigned interval_ms, unsigned count);
/* Bytes that wait to be sent: what producers (console streams) look at before they make more. */
size_t rpc_conn_queued(const struct rpc_conn *conn);
/* Stop and go on reading; nests. Replies to our own calls are not read either. */
void rpc_conn_pause(struct rpc_conn *conn);
void rpc_conn_resume(struct rpc_conn *conn);
/* SO_PEERCRED. */
bool rpc_conn_peer(const struct rpc_conn *conn, struct ucred *ret, GError **error);
bool rpc_conn_is_open(const struct rpc_conn *conn);

/* Decode msg's payload: see frame_decode(). */
bool rpc_message_decode(const struct rpc_message *msg, xdrproc_t proc, void *ret, GError **error);
/* The error that a reply or stream packet with status FRAME_ERROR carries. */
GError *rpc_message_error(const struct rpc_message *msg);

/*
 * Answers.  call is the header of the call that is answered; its copy can be
 * kept and answered any time later, in any order.  Exactly one answer per
 * call.  Sending on a connection that has ended does nothing.  A value that
 * cannot be encoded becomes an error reply.
 */
void rpc_reply(struct rpc_conn *conn, const struct frame_header *call, xdrproc_t proc,
	       const void *ret);
void rpc_reply_none(struct rpc_conn *conn, const struct frame_header *call);
/* The two halves of both: for an answer that has to wait.  ret NULL: there is nothing in it. */
GBytes *rpc_reply_encode(const struct frame_header *call, xdrproc_t proc, const void *ret,
			 GError **error);
void rpc_reply_send(struct rpc_conn *conn, GBytes *reply);	/* takes reply */
/* Takes the descriptors: they are closed when sent. */
void rpc_reply_fds(struct rpc_conn *conn, const struct frame_header *call, xdrproc_t proc,
		   const void *ret, const int *fds, unsigned n_fds);
void rpc_reply_error(struct rpc_conn *conn, const struct frame_header *call, const GError *error);
/* The very text by which clients see that a procedure does not exist. */
void rpc_reply_unknown(struct rpc_conn *conn, const struct frame_header *call);

void rpc_event(struct rpc_conn *conn, uint32_t program, int32_t procedure, xdrproc_t proc,
	       const void *arg);

/* Streams: packets repeat program, procedure and serial of the call that opened it. */
void rpc_stream_data(struct rpc_conn *conn, const struct frame_header *call, const void *data,
		     size_t bytes);
/* Zeroes that are not sent: only where both sides have agreed on it at opening. */
void rpc_stream_hole(struct rpc_conn *conn, const struct frame_header *call, uint64_t bytes);
/* Of a message of type FRAME_STREAM_HOLE; false: it is none. */
bool rpc_message_hole(const struct rpc_message *msg, uint64_t *ret_bytes);
/* No more data from here: an empty data packet; the client then sends its finish. */
void rpc_stream_eof(struct rpc_conn *conn, const struct frame_header *call);
/* Client: no more data. Server: the answer to the client's finish or abort, never unasked. */
void rpc_stream_finish(struct rpc_conn *conn, const struct frame_header *call);
/* Client (error NULL): abort. Server: the stream has failed. */
void rpc_stream_error(struct rpc_conn *conn, const struct frame_header *call, const GError *error);

/*
 * Our own calls.  done runs exactly once, never from within rpc_conn_call():
 * with reply (its status is OK; decode with rpc_message_decode(), take its fds) or
 * with error (the peer's own error, a time-out, the end of the connection).
 * fds are duplicated.  timeout_ms 0 waits for ever.  Returns the serial.
 */
typedef void rpc_done_fn(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
			 void *opaque);

uint32_t rpc_conn_call(struct rpc_conn *conn, uint32_t program, int32_t procedure, xdrproc_t proc,
		       const void *args, const int *fds, unsigned n_fds, unsigned timeout_ms,
		       rpc_done_fn *done, void *opaque);
/* Forget a call: done runs with VMM_ERR_ABORTED now, a later reply is dropped. */
void rpc_conn_cancel(struct rpc_conn *conn, uint32_t serial);

