/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Opening and closing a connection, and what it tells of the host. */
#include "config.h"
#include <errno.h>
#include <string.h>

#include "libvmm/client/client-priv.h"
#include "libvmm/client/transport.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/io.h"
#include "libvmm/util/owner.h"

#define CLOSE_TIMEOUT_MS 2000
#define OPEN_TIMEOUT_MS 30000
#define PASSWORD_TIMEOUT_MS 180000	/* ssh may ask the user for one */

enum auth_kind {
	AUTH_KIND_NONE = 0,
	AUTH_KIND_POLKIT = 2,
};

static bool call_timed(vmm_connect *conn, int procedure, unsigned timeout_ms, xdrproc_t args_proc,
		       const void *args, xdrproc_t ret_proc, void *ret, size_t ret_bytes,
		       GError **error)
{
	struct rpc_call call = {
		.program = FRAME_PROGRAM_REMOTE,
		.procedure = procedure,
		.args_proc = args_proc,
		.args = args,
		.ret_proc = ret_proc,
		.ret = ret,
		.ret_bytes = ret_bytes,
		.timeout_ms = timeout_ms,
	};

	return rpc_client_call(conn->client, &call, error);
}

bool connect_call(vmm_connect *conn, int procedure, xdrproc_t args_proc, const void *args,
		  xdrproc_t ret_proc, void *ret, size_t ret_bytes, GError **error)
{
	return call_timed(conn, procedure, 0, args_proc, args, ret_proc, ret, ret_bytes, error);
}

bool connect_own_call(vmm_connect *conn, int procedure, xdrproc_t args_proc, const void *args,
		      xdrproc_t ret_proc, void *ret, size_t ret_bytes, GError **error)
{
	struct rpc_call call = {
		.program = FRAME_PROGRAM_VMM, .procedure = procedure,
		.args_proc = args_proc, .args = args,
		.ret_proc = ret_proc, .ret = ret, .ret_bytes = ret_bytes,
	};

	return rpc_client_call(conn->client, &call, error);
}

static bool connect_failed(int err, const char *path, bool session, GError **error)
{
	const char *how = session ? "vmmd --session --daemon" : "vmmd --daemon";

	switch (err) {
	case ENOENT:
	case ENOTDIR:
		return error_set(error, VMM_ERR_SYSTEM,
				 "vmmd is not running (no socket at '%s'): start it with '%s'",
				 path, how);
	case ECONNREFUSED:
		return error_set(error, VMM_ERR_SYSTEM,
				 "vmmd is not running (nobody listens at '%s' any more): "
				 "start it with '%s'",
				 path, how);
	case EACCES:
	case EPERM:
		return error_set(error, VMM_ERR_AUTH_FAILED,
				 "you may not use vmmd's socket '%s': be root, join "
				 "the socket's group, or use vmm:///session",
				 path);
	case EAGAIN:
		return error_set(error, VMM_ERR_SYSTEM,
				 "vmmd at '%s' does not take connections: it is overloaded "
				 "or hangs",
				 path);
	default:
		return error_errno(error, err, "connect to '%s'", path);
	}
}

static int socket_connect(const char *path, bool session, GError **error)
{
	g_autoptr(GError) plain = NULL;
	int fd = io_connect_unix(path, &plain);

	if (fd < 0 && errno == ENAMETOOLONG)
		g_propagate_error(error, g_steal_pointer(&plain));
	else if (fd < 0)
		connect_failed(errno, path, session, error);
	return fd;
}

static void on_event(struct rpc_message *msg, void *opaque)
{
	vmm_connect *conn = opaque;

	if (conn->events)
		event_message(msg, conn->events);
}

struct close_note {
	vmm_connect *conn;
	GError *error;
};

static void close_deliver(void *arg)
{
	struct close_note *note = arg;
	vmm_close_fn fn;
	void *opaque;

	/* Now, not when the note was posted: the user may have closed meanwhile. */
	g_mutex_lock(&note->conn->lock);
	fn = g_steal_pointer(&note->conn->close_fn);
	opaque = note->conn->close_opaque;
	g_mutex_unlock(&note->conn->lock);
	if (fn)
		fn(note->conn, note->error, opaque);
	connect_unref(note->conn);
	g_error_free(note->error);
	g_free(note);
}

/* The lock is held. */
static void close_note_post(vmm_connect *conn, const GError *error)
{
	struct close_note *note = g_new(struct close_note, 1);

	*note = (struct close_note){ connect_ref(conn), g_error_copy(error) };
	owner_post(conn->close_ctx, close_deliver, note);
}

static void on_closed(const GError *error, void *opaque)
{
	vmm_connect *conn = opaque;
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&conn->lock);

	if (conn->close_fn)
		close_note_post(conn, error);
}

static const struct rpc_client_ops client_ops = { .event = on_event, .closed = on_closed };

/* Who we are is seen by the daemon in the socket; there is nothing to send. */
static bool authenticate(vmm_connect *conn, GError **error)
{
	remote_auth_list_ret list;
	remote_none none;
	remote_int_ret polkit;
	bool patient = conn->where->transport == URI_SSH && !conn->where->no_tty;
	int type;

	if (!call_timed(conn, REMOTE_PROC_AUTH_LIST,
			patient ? PASSWORD_TIMEOUT_MS : OPEN_TIMEOUT_MS, (xdrproc_t)xdr_remote_none,
			&none, (xdrproc_t)xdr_remote_auth_list_ret, &list, sizeof(list), error))
		return false;
	type = list.types.types_len ? list.types.types_val[0] : AUTH_KIND_NONE;
	FREE(auth_list_ret, &list);
	rpc_client_keepalive(conn->client);
	if (type == AUTH_KIND_NONE)
		return true;
	if (type != AUTH_KIND_POLKIT)
		return error_set(error, VMM_ERR_AUTH_FAILED,
				 "the daemon wants authentication of kind %d", type);
	return CALL(conn, AUTH_POLKIT, none, &none, int_ret, &polkit, error);
}

/* The way to another host knows best what went wrong on it. */
static void open_failed(vmm_connect *conn, GError **error)
{
	GError *why = NULL;

	if (conn->transport && !rpc_client_is_open(conn->client) &&
	    (!error || !g_error_matches(*error, VMM_ERROR, VMM_ERR_ABORTED)))
		why = transport_failure(conn->transport);
	if (why) {
		g_clear_error(error);
		g_propagate_error(error, why);
	}
	g_prefix_error(error, "open '%s': ", conn->where->text);
}

static bool open_session(vmm_connect *conn, unsigned flags, GError **error)
{
	remote_open_args args = { .name = &conn->where->name, .flags = flags };
	remote_none none;

	if (authenticate(conn, error) &&
	    CALL(conn, CONNECT_OPEN, open_args, &args, none, &none, error))
		return true;
	open_failed(conn, error);
	return false;
}

static int local_connect(const struct uri *uri, unsigned flags, GError **error)
{
	g_autofree char *path = uri_local_socket(uri, flags & VMM_CONNECT_RO);

	return socket_connect(path, uri->session, error);
}

int vmm_connect_dial(const char *text, unsigned flags, GError **error)
{
	g_autoptr(vmm_uri) uri = uri_parse(text, error);

	if (uri && uri->transport == URI_UNIX)
		return local_connect(uri, flags, error);
	if (uri)
		error_set(error, VMM_ERR_INVALID_ARG,
			  "'%s' is another host's daemon: connect to it directly", uri->text);
	return -1;
}

static bool client_begin(vmm_connect *conn, unsigned flags, GError **error)
{
	int fd = -1;

	if (conn->where->transport == URI_UNIX)
		fd = local_connect(conn->where, flags, error);
	else
		conn->transport =
			transport_new(conn->where, flags & VMM_CONNECT_RO, &fd, error);
	if (fd < 0)
		return false;
	conn->events = event_table_new(conn);
	conn->client = rpc_client_new(fd, &client_ops, conn);
	if (conn->transport)
		transport_start(conn->transport, rpc_client_context(conn->client));
	return true;
}

vmm_connect *vmm_connect_open(const char *uri, unsigned flags, GError **error)
{
	return vmm_connect_open_interruptible(uri, flags, -1, error);
}

vmm_connect *vmm_connect_open_interruptible(const char *uri, unsigned flags, int interrupt_fd,
					    GError **error)
{
	g_autoptr(vmm_connect) conn = g_new0(struct vmm_connect, 1);

	conn->refs = 1;
	g_mutex_init(&conn->lock);
	if (flags & ~VMM_CONNECT_RO) {
		error_set(error, VMM_ERR_INVALID_ARG, "unknown flags 0x%x", flags);
		return NULL;
	}
	conn->where = uri_parse(uri, error);
	if (!conn->where || !client_begin(conn, flags, error))
		return NULL;
	rpc_client_set_interrupt_fd(conn->client, interrupt_fd);
	if (!open_session(conn, flags, error))
		return NULL;
	return g_steal_pointer(&conn);
}

vmm_connect *connect_ref(vmm_connect *conn)
{
	g_atomic_int_inc(&conn->refs);
	return conn;
}

void connect_unref(vmm_connect *conn)
{
	remote_none none;

	if (!g_atomic_int_dec_and_test(&conn->refs))
		return;
	if (conn->client && rpc_client_is_open(conn->client)) {
		/* An impatient user has been heard already; this is short. */
		rpc_client_set_interrupt_fd(conn->client, -1);
		call_timed(conn, REMOTE_PROC_CONNECT_CLOSE, CLOSE_TIMEOUT_MS,
			   (xdrproc_t)xdr_remote_none, &none, (xdrproc_t)xdr_remote_none, &none,
			   sizeof(none), NULL);
	}
	transport_stop(conn->transport);
	rpc_client_free(conn->client);
	transport_free(conn->transport);
	event_table_free(conn->events);
	g_clear_pointer(&conn->close_ctx, g_main_context_unref);
	g_mutex_clear(&conn->lock);
	uri_free(conn->where);
	g_free(conn);
}

void vmm_connect_close(vmm_connect *conn)
{
	if (!conn)
		return;
	g_mutex_lock(&conn->lock);
	conn->close_fn = NULL;
	g_mutex_unlock(&conn->lock);
	if (conn->client)
		event_table_kill(conn->events);
	connect_unref(conn);
}

void vmm_connect_set_interrupt_fd(vmm_connect *conn, int fd)
{
	rpc_client_set_interrupt_fd(conn->client, fd);
}

bool vmm_connect_is_alive(vmm_connect *conn)
{
	return rpc_client_is_open(conn->client);
}

const char *vmm_connect_uri(const vmm_connect *conn)
{
	return conn->where->text;
}

void vmm_connect_set_close_callback(vmm_connect *conn, GMainContext *context, vmm_close_fn fn,
				    void *opaque)
{
	g_autoptr(GError) gone = g_error_new(VMM_ERROR, VMM_ERR_RPC, "the connection is closed");
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&conn->lock);

	g_clear_pointer(&conn->close_ctx, g_main_context_unref);
	conn->close_ctx =
		context ? g_main_context_ref(context) : g_main_context_ref_thread_default();
	conn->close_fn = fn;
	conn->close_opaque = opaque;
	if (fn && !rpc_client_is_open(conn->client))
		close_note_post(conn, gone);
}
