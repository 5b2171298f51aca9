/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between conn.c (life, loop), conn-io.c (bytes) and answer.c, pending.c (messages). */
#pragma once

#include "libvmm/rpc/conn.h"

/* What to send next: messages, or (bytes NULL) a descriptor with its byte. */
struct conn_out {
	GByteArray *bytes;
	int fd;
};

enum conn_in {
	CONN_IN_HEAD,
	CONN_IN_BODY,
	CONN_IN_FDS,
};

struct rpc_conn {
	int fd;				/* -1 once ended */
	GMainContext *ctx;
	GSource *source;		/* lives as long as conn: also carries deadlines */
	gpointer tag;			/* of fd in source; NULL while nothing is waited for */
	const struct rpc_conn_ops *ops;
	void *opaque;

	/* What comes in: a header, its body, then one byte for each descriptor. */
	enum conn_in in;
	uint8_t head[FRAME_HEADER_BYTES];
	struct frame_header hdr;
	GByteArray *body;		/* grows as bytes come, not to what a header claims */
	size_t have;			/* bytes of the current part */
	int in_fds[FRAME_FDS_MAX];	/* came, not yet given to a message */
	unsigned n_in_fds;
	unsigned want_fds;		/* bytes still to come in CONN_IN_FDS */
	unsigned msg_fds;		/* how many belong to this message */
	uint32_t message_max;
	unsigned paused;

	/* What goes out. */
	GQueue out;			/* struct conn_out * */
	size_t out_sent;		/* bytes of the first that have gone */
	size_t queued;
	size_t pause_bytes, close_bytes;
	bool throttled;			/* queued is too much: no reading until half */

	/* In and out, of what all connections of a server share. */
	struct rpc_budget *budget;	/* NULL: none, or it has left */
	size_t held;
	uid_t owner;
	bool deferred;			/* it has said something, and waits for its turn */
	gint64 cost_us, cost_at_us;	/* of its messages of late */

	/* Signs of life; monotonic us. */
	gint64 keepalive_us;		/* interval; 0: none are asked for */
	unsigned keepalive_count;
	unsigned pings;			/* sent since the peer was heard */
	gint64 ping_us;			/* when the next is due */

	GHashTable *pending;		/* serial to struct pending */
	uint32_t serial;

	/* The end. */
	unsigned busy;			/* callbacks on the stack */
	bool freed;			/* rpc_conn_free() came while busy */
	bool closing;			/* flush, then end */
	bool ended;			/* closed() has been called, or will never be */
	gint64 linger_us;		/* when closing gives up */
	GError *reason;			/* end with it as soon as the loop runs */
};

/* conn-io.c */
/* Until EAGAIN or so many messages; sets closing at EOF. */
bool conn_read(struct rpc_conn *conn, unsigned messages, GError **error);
bool conn_write(struct rpc_conn *conn, GError **error);	/* until empty or EAGAIN */
void conn_send(struct rpc_conn *conn, GBytes *bytes);	/* takes bytes; queues, tries once */
void conn_send_fd(struct rpc_conn *conn, int fd);	/* takes fd */
void conn_drop_output(struct rpc_conn *conn);
/* It ends with this error as soon as the loop runs; what waits to be sent is dropped now. */
void conn_give_up(struct rpc_conn *conn, const char *format, ...) G_GNUC_PRINTF(2, 3);
void conn_drop_fds(struct rpc_conn *conn);

/* conn.c */
void conn_update(struct rpc_conn *conn);	/* what the loop waits for, after any change */
void conn_heard(struct rpc_conn *conn);			/* a sign of life */
bool conn_is_reading(const struct rpc_conn *conn);
void conn_deliver(struct rpc_conn *conn, struct rpc_message *msg);
void conn_busy_enter(struct rpc_conn *conn);
void conn_busy_leave(struct rpc_conn *conn);		/* may free conn */
void conn_read_turn(struct rpc_conn *conn);		/* may free conn, too */

/* budget.c */
void budget_update(struct rpc_conn *conn);	/* after any change; may set some conn's reason */
void budget_leave(struct rpc_conn *conn);

/* turns.c */
struct rpc_turns *turns_new(void);
void turns_free(struct rpc_turns *t);
/* conn can be read: true: now; else turns_read() will when its turn comes. */
bool turns_take(struct rpc_turns *t, struct rpc_conn *conn);
/* One message, and what it costs. */
bool turns_read(struct rpc_turns *t, struct rpc_conn *conn, GError **error);
void turns_leave(struct rpc_turns *t, struct rpc_conn *conn);
struct rpc_turns *budget_turns(struct rpc_budget *b);

/* pending.c */
GHashTable *pending_table_new(void);
bool pending_reply(struct rpc_conn *conn, struct rpc_message *msg, GError **error);
void pending_expire(struct rpc_conn *conn);
void pending_fail(struct rpc_conn *conn, const GError *error);
gint64 pending_deadline(const struct rpc_conn *conn);	/* monotonic us, -1 if none */
