/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Listening sockets and sessions.  A session is one client; a call is one
 * request of it, answered now or later, exactly once.  A call whose session
 * has ended is still answered, into nothing, so whoever holds one need not
 * know.
 */
#pragma once

#include "libvmm/rpc/conn.h"
#include "libvmm/util/uuid.h"
#include "vmmd/daemon.h"

#define SESSION_CALLS_MAX 8		/* in work; then the client is not read */

struct server;
struct session;

struct call {
	struct daemon *daemon;
	struct session *session;	/* NULL when it has ended */
	struct frame_header hdr;
	xdrproc_t ret_proc;
	bool writes;
	uint64_t commits;		/* of the store, when it came */
	GBytes *answer;			/* waits for the disk; NULL */
	char *who;			/* of a call that goes into a logbook; else NULL */
	uint8_t about[UUID_BYTES];	/* the domain whose book that is, if has_domain */
	bool has_domain;
};

struct server *server_new(struct daemon *daemon);
/* Ends all sessions. */
void server_free(struct server *server);
bool server_listen(struct server *server, const char *path, mode_t mode, bool readonly,
		   GError **error);
/*
 * A client of another host, through a socket of ours; takes fd.  dn: of its
 * certificate, which has been checked; from: its address.
 */
void server_take(struct server *server, int fd, const char *dn, const char *from);

struct rpc_conn *session_conn(struct session *session);
bool session_readonly(const struct session *session);
/* On the socket for everybody: not all domains are seen there (owner.h). */
bool session_is_public(const struct session *s);
/* On the socket for everybody, without having asked to read only: owners may steer (owner.h). */
bool session_owns(const struct session *session);
uid_t session_uid(const struct session *session);
bool session_is_open(const struct session *session);
/* CONNECT_OPEN: from now on messages may be long. */
void session_open(struct session *session, const char *uri, bool readonly);
const char *session_uri(const struct session *session);
/* "uid 1000, vmsh (pid 4711)"; "CN=ann,O=us, from 10.0.0.7:4711". */
const char *session_who(const struct session *session);
/* Domains end with it. */
void session_set_autodestroys(struct session *session);
/* After the answer that is on its way. */
void session_close(struct session *session);

/* Streams: each has the serial of its call. */
struct stream;
struct stream_ops {
	void (*data)(struct stream *stream, const void *data, size_t bytes);
	/* Zeroes that are not sent; NULL: there are none in such a stream. */
	void (*hole)(struct stream *stream, uint64_t bytes);
	/* answer, then session_remove_stream() */
	void (*finish)(struct stream *stream, bool abort);
	void (*drained)(struct stream *stream);		/* the connection's output is sent */
	void (*free)(struct stream *stream);		/* session or stream has ended */
};
struct stream {				/* first member of the implementations */
	const struct stream_ops *ops;
	struct session *session;
	struct frame_header hdr;
};
void session_add_stream(struct session *session, struct stream *stream);
void session_remove_stream(struct stream *stream);	/* calls ops->free */

/*
 * ret: of the procedure's type; NULL when it has none.  All free the call.  A
 * success is sent when what the call has changed is on the disk.
 */
void call_reply(struct call *call, const void *ret);
void call_fail(struct call *call, const GError *error);
void call_fail_text(struct call *call, int code, const char *format, ...) G_GNUC_PRINTF(3, 4);
