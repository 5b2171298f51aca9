/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Accepts clients, reads their calls within bounds, ends them cleanly. */
#include "config.h"
#include "vmmd/server.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/dispatch.h"
#include "vmmd/door.h"
#include "vmmd/event.h"
#include "vmmd/lifecycle.h"
#include "vmmd/settle.h"
#include "vmmd/store.h"

#define SESSIONS_MAX 1000
#define USER_SESSIONS_MAX 200		/* of one user but root: nobody shuts the others out */
#define UID_REMOTE ((uid_t)-1)		/* nobody's: owns no domain */
#define STREAMS_MAX 64			/* of one session */
/* Above the first a client is not read, above the second it is ended: it does not read us. */
#define OUTPUT_PAUSE_BYTES (4u << 20)
#define OUTPUT_CLOSE_BYTES (48u << 20)
/* What all of them may make us keep, sent and received: 1000 of 48 MiB would be too much. */
#define BUDGET_BYTES (256u << 20)

struct listener {
	struct server *server;
	int fd;
	struct door *door;
	char *path;
	bool readonly;
};

struct server {
	struct daemon *daemon;
	GPtrArray *listeners;
	GPtrArray *sessions;
	struct rpc_budget *budget;
};

struct session {
	struct server *server;
	struct rpc_conn *conn;
	bool readonly, open, autodestroys;	/* the last: some domain, once */
	bool public;			/* on the socket for everybody */
	bool asked_readonly;		/* by itself, whatever the socket */
	uid_t uid;			/* UID_REMOTE: of another host */
	uid_t quota;			/* whose share it takes: uid, or of a certificate */
	char *uri, *who;
	GPtrArray *calls;		/* in work; not owned: their holders answer them */
	bool paused;			/* because of the calls in work */
	GHashTable *streams;		/* serial -> struct stream */
};

struct rpc_conn *session_conn(struct session *s)
{
	return s->conn;
}

bool session_readonly(const struct session *s)
{
	return s->readonly;
}

bool session_owns(const struct session *s)
{
	return s->readonly && !s->asked_readonly;
}

bool session_is_public(const struct session *s)
{
	return s->public;
}

uid_t session_uid(const struct session *s)
{
	return s->uid;
}

bool session_is_open(const struct session *s)
{
	return s->open;
}

const char *session_uri(const struct session *s)
{
	return s->uri;
}

void session_set_autodestroys(struct session *s)
{
	s->autodestroys = true;
}

const char *session_who(const struct session *s)
{
	return s->who;
}

void session_open(struct session *s, const char *uri, bool readonly)
{
	s->open = true;
	s->readonly |= readonly;
	s->asked_readonly = readonly;
	s->uri = g_strdup(uri);
	rpc_conn_set_message_max(s->conn, FRAME_MESSAGE_MAX);
}

void session_close(struct session *s)
{
	rpc_conn_close(s->conn);
}

/* ---- calls ---- */

static struct call *call_new(struct session *s, const struct frame_header *hdr)
{
	struct call *call = g_new(struct call, 1);

	*call = (struct call){ .daemon = s->server->daemon, .session = s, .hdr = *hdr,
			       .commits = store_commits(s->server->daemon->store) };
	g_ptr_array_add(s->calls, call);
	if (s->calls->len >= SESSION_CALLS_MAX && !s->paused) {
		s->paused = true;
		rpc_conn_pause(s->conn);
	}
	return call;
}

static void call_end(struct call *call)
{
	struct session *s = call->session;

	if (s) {
		g_ptr_array_remove_fast(s->calls, call);
		if (s->paused && s->calls->len < SESSION_CALLS_MAX) {
			s->paused = false;
			rpc_conn_resume(s->conn);
		}
	}
	g_free(call->who);
	g_clear_pointer(&call->answer, g_bytes_unref);
	g_free(call);
}

static void on_synced(const GError *error, void *opaque)
{
	struct call *call = opaque;

	if (error) {
		call_fail(call, error);
		return;
	}
	if (call->who)
		dispatch_log(call, NULL);
	if (call->session)
		rpc_reply_send(call->session->conn, g_steal_pointer(&call->answer));
	call_end(call);
}

void call_reply(struct call *call, const void *ret)
{
	struct store *store = call->daemon->store;
	g_autoptr(GError) error = NULL;

	call->answer = rpc_reply_encode(&call->hdr, call->ret_proc, ret, &error);
	if (!call->answer)
		call_fail(call, error);
	else if (call->writes && store_commits(store) != call->commits && !store_is_synced(store))
		store_when_synced(store, on_synced, call);
	else
		on_synced(NULL, call);
}

void call_fail(struct call *call, const GError *error)
{
	g_info("procedure %d: %s", call->hdr.procedure, error->message);
	if (call->who)
		dispatch_log(call, error);
	if (call->session)
		rpc_reply_error(call->session->conn, &call->hdr, error);
	call_end(call);
}

void call_fail_text(struct call *call, int code, const char *format, ...)
{
	g_autoptr(GError) error = NULL;
	va_list args;

	va_start(args, format);
	error = g_error_new_valist(VMM_ERROR, code, format, args);
	va_end(args);
	call_fail(call, error);
}

/* ---- streams ---- */

void session_add_stream(struct session *s, struct stream *stream)
{
	stream->session = s;
	g_hash_table_insert(s->streams, GUINT_TO_POINTER(stream->hdr.serial), stream);
}

void session_remove_stream(struct stream *stream)
{
	g_hash_table_remove(stream->session->streams, GUINT_TO_POINTER(stream->hdr.serial));
}

static void stream_free(void *p)
{
	struct stream *stream = p;

	stream->ops->free(stream);
}

static void session_hole(struct session *s, struct stream *stream, const struct rpc_message *msg)
{
	g_autoptr(GError) error = NULL;
	uint64_t bytes;

	if (stream->ops->hole && rpc_message_hole(msg, &bytes)) {
		stream->ops->hole(stream, bytes);
	} else {
		error_set(&error, VMM_ERR_RPC, "a hole where there can be none");
		rpc_stream_error(s->conn, &stream->hdr, error);
		session_remove_stream(stream);
	}
}

static void session_stream(struct session *s, struct rpc_message *msg)
{
	struct stream *stream = g_hash_table_lookup(s->streams, GUINT_TO_POINTER(msg->hdr.serial));

	/* The client may still be sending into one that has ended: not its fault. */
	if (!stream || stream->hdr.procedure != msg->hdr.procedure)
		return;
	if (msg->hdr.type == FRAME_STREAM_HOLE)
		session_hole(s, stream, msg);
	else if (msg->hdr.status == FRAME_CONTINUE)
		stream->ops->data(stream, msg->payload, msg->bytes);
	else
		stream->ops->finish(stream, msg->hdr.status == FRAME_ERROR);
}

/* ---- sessions ---- */

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct session *s = opaque;

	switch (msg->hdr.type) {
	case FRAME_CALL:
	case FRAME_CALL_WITH_FDS:
		if (dispatch_knows(msg->hdr.program) && msg->hdr.version == 1 &&
		    g_hash_table_size(s->streams) < STREAMS_MAX)
			dispatch(call_new(s, &msg->hdr), msg);
		else
			rpc_reply_unknown(conn, &msg->hdr);
		return;
	case FRAME_STREAM:
	case FRAME_STREAM_HOLE:
		if (s->open)
			session_stream(s, msg);
		return;
	default:
		return;
	}
}

static void on_ended(struct domain *dom, const GError *error, void *opaque)
{
	if (error)
		g_warning("domain '%s', whose client has gone: %s", dom->name, error->message);
}

/* Domains that were to end with this client. */
static void session_autodestroy(struct session *s)
{
	const struct daemon *d = s->server->daemon;
	g_autoptr(GPtrArray) all = s->autodestroys ? domain_table_peek(d->domains) : NULL;

	for (unsigned i = 0; all && i < all->len; i++) {
		struct domain *dom = all->pdata[i];

		if (dom->autodestroy != s)
			continue;
		dom->autodestroy = NULL;
		lifecycle_destroy(dom, false, on_ended, NULL);
	}
}

static void session_free(void *p)
{
	struct session *s = p;

	for (unsigned i = 0; i < s->calls->len; i++)
		((struct call *)g_ptr_array_index(s->calls, i))->session = NULL;
	event_forget(s->server->daemon->events, s);
	session_autodestroy(s);
	settle_soon(s->server->daemon);
	g_hash_table_unref(s->streams);
	g_ptr_array_unref(s->calls);
	rpc_conn_free(s->conn);
	g_free(s->uri);
	g_free(s->who);
	g_free(s);
}

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct session *s = opaque;

	if (error)
		g_message("client (%s): %s", s->who, error->message);
	else
		g_debug("client (%s) has left", s->who);
	g_ptr_array_remove_fast(s->server->sessions, s);
}

static void on_drained(struct rpc_conn *conn, void *opaque)
{
	struct session *s = opaque;
	g_autoptr(GList) streams = g_hash_table_get_values(s->streams);

	for (GList *at = streams; at; at = at->next) {
		struct stream *stream = at->data;

		stream->ops->drained(stream);
	}
}

static const struct rpc_conn_ops conn_ops = {
	.message = on_message, .closed = on_closed, .drained = on_drained,
};

/*
 * The socket's mode and group say who may connect in system mode; a session's
 * daemon serves its user and root, whatever the mode of the socket's folder.
 */
static bool peer_permitted(struct listener *l, const struct ucred *cred)
{
	return l->server->daemon->system_mode || l->readonly || cred->uid == 0 ||
	       cred->uid == geteuid();
}

static bool user_is_full(const struct server *server, uid_t quota)
{
	unsigned n = 0;

	for (unsigned i = 0; i < server->sessions->len; i++)
		n += ((struct session *)g_ptr_array_index(server->sessions, i))->quota == quota;
	return quota != 0 && n >= USER_SESSIONS_MAX;
}

static char *peer_describe(const struct ucred *cred)
{
	g_autofree char *path = g_strdup_printf("/proc/%d/comm", cred->pid);
	g_autofree char *comm = NULL;
	g_autofree char *program = NULL;

	if (!g_file_get_contents(path, &comm, NULL, NULL))
		return g_strdup_printf("uid %u, pid %d", cred->uid, cred->pid);
	program = g_utf8_make_valid(g_strchomp(comm), -1);
	for (char *c = program; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	return g_strdup_printf("uid %u, %s (pid %d)", cred->uid, program, cred->pid);
}

static struct session *session_new(struct server *server, int fd)
{
	struct session *s = g_new0(struct session, 1);

	s->server = server;
	s->calls = g_ptr_array_new();
	s->streams = g_hash_table_new_full(NULL, NULL, NULL, stream_free);
	s->conn = rpc_conn_new(fd, NULL, &conn_ops, s);
	rpc_conn_set_message_max(s->conn, FRAME_UNTRUSTED_MAX);
	rpc_conn_set_output_limits(s->conn, OUTPUT_PAUSE_BYTES, OUTPUT_CLOSE_BYTES);
	return s;
}

/* Takes who. */
static void session_admit(struct session *s, uid_t uid, uid_t quota, char *who)
{
	s->uid = uid;
	s->quota = quota;
	s->who = who;
	rpc_conn_set_budget(s->conn, s->server->budget, quota);
	g_ptr_array_add(s->server->sessions, s);
}

static void session_accept(struct listener *l, int fd)
{
	struct session *s = session_new(l->server, fd);
	struct ucred cred = { 0 };

	s->readonly = s->public = l->readonly;
	if (!rpc_conn_peer(s->conn, &cred, NULL) || !peer_permitted(l, &cred) ||
	    user_is_full(l->server, cred.uid)) {
		g_warning("refused a client of uid %u", cred.uid);
		session_free(s);
		return;
	}
	session_admit(s, cred.uid, cred.uid, peer_describe(&cred));
}

static bool server_is_full(const struct server *server)
{
	if (server->sessions->len < SESSIONS_MAX)
		return false;
	g_warning("more than %d clients: one was turned away", SESSIONS_MAX);
	return true;
}

void server_take(struct server *server, int fd, const char *dn, const char *from)
{
	/* above every uid: a number for who it is, not for what it may */
	uid_t quota = g_str_hash(dn) | 0x80000000;
	auto_close int peer = fd;
	g_autofree char *name = g_strdup(dn);

	if (server_is_full(server))
		return;
	if (user_is_full(server, quota)) {
		g_warning("refused a client of '%s': it has too many", dn);
		return;
	}
	for (char *c = name; *c; c++)
		if (g_ascii_iscntrl(*c))
			*c = '?';
	session_admit(session_new(server, TAKE_FD(peer)), UID_REMOTE, quota,
		      g_strdup_printf("%s, from %s", name, from));
}

static void on_come(int fd, void *opaque)
{
	struct listener *l = opaque;
	auto_close int peer = fd;

	if (!server_is_full(l->server))
		session_accept(l, TAKE_FD(peer));
}

/* ---- the server ---- */

static void listener_free(void *p)
{
	struct listener *l = p;

	door_free(l->door);
	if (l->fd >= 0)
		g_unlink(l->path);
	fd_close(&l->fd);
	g_free(l->path);
	g_free(l);
}

struct server *server_new(struct daemon *daemon)
{
	struct server *server = g_new0(struct server, 1);

	server->daemon = daemon;
	server->listeners = g_ptr_array_new_with_free_func(listener_free);
	server->sessions = g_ptr_array_new_with_free_func(session_free);
	server->budget = rpc_budget_new(BUDGET_BYTES);
	return server;
}

void server_free(struct server *server)
{
	if (!server)
		return;
	g_ptr_array_unref(server->listeners);
	g_ptr_array_unref(server->sessions);
	rpc_budget_free(server->budget);
	g_free(server);
}

bool server_listen(struct server *server, const char *path, mode_t mode, bool readonly,
		   GError **error)
{
	struct listener *l = g_new0(struct listener, 1);

	l->server = server;
	l->readonly = readonly;
	l->path = g_strdup(path);
	l->fd = io_listen_unix(path, mode, error);
	g_ptr_array_add(server->listeners, l);
	if (l->fd < 0)
		return false;
	g_unix_set_fd_nonblocking(l->fd, TRUE, NULL);
	l->door = door_new(NULL, l->fd, 1, on_come, l);
	return true;
}
