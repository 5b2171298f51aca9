/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Our own calls on a connection, until their replies.
 *
 * A call that timed out or was cancelled stays in the table without its
 * callback: the reply may still come, and is then no protocol error.
 */
#include "config.h"
#include "libvmm/rpc/conn-priv.h"

#include <fcntl.h>

#include "libvmm/util/error.h"

struct pending {
	uint32_t program;
	int32_t procedure;
	gint64 deadline_us;		/* monotonic; -1: none */
	rpc_done_fn *done;		/* NULL: nobody waits any more */
	void *opaque;
};

GHashTable *pending_table_new(void)
{
	return g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
}

static void pending_tell(struct rpc_conn *conn, struct pending *p, struct rpc_message *msg,
			 const GError *error)
{
	rpc_done_fn *done = g_steal_pointer(&p->done);

	p->deadline_us = -1;
	if (!done)
		return;
	conn_busy_enter(conn);
	done(conn, msg, error, p->opaque);
	conn_busy_leave(conn);
}

bool pending_reply(struct rpc_conn *conn, struct rpc_message *msg, GError **error)
{
	gpointer key = GUINT_TO_POINTER(msg->hdr.serial);
	struct pending *found = g_hash_table_lookup(conn->pending, key);
	g_autofree struct pending *p = NULL;
	g_autoptr(GError) failure = NULL;

	if (!found || found->program != msg->hdr.program || found->procedure != msg->hdr.procedure)
		return error_set(error, VMM_ERR_RPC, "a reply to no call (procedure %d, serial %u)",
				 msg->hdr.procedure, msg->hdr.serial);
	g_hash_table_steal(conn->pending, key);
	p = found;
	if (msg->hdr.status != FRAME_OK)
		failure = rpc_message_error(msg);
	pending_tell(conn, p, failure ? NULL : msg, failure);
	return true;
}

void pending_expire(struct rpc_conn *conn)
{
	g_autoptr(GError) late = g_error_new(VMM_ERROR, VMM_ERR_TIMEOUT, "no answer in time");
	g_autoptr(GError) gone = g_error_new(VMM_ERROR, VMM_ERR_RPC, "the connection is closed");
	gint64 now = g_get_monotonic_time();
	g_autoptr(GPtrArray) due = g_ptr_array_new();
	GHashTableIter iter;
	gpointer key, value;

	g_hash_table_iter_init(&iter, conn->pending);
	while (g_hash_table_iter_next(&iter, &key, &value)) {
		const struct pending *p = value;

		if (p->done && p->deadline_us >= 0 && p->deadline_us <= now)
			g_ptr_array_add(due, key);
	}
	/* By serial: a callback may end others. */
	for (guint i = 0; i < due->len; i++) {
		struct pending *p = g_hash_table_lookup(conn->pending, due->pdata[i]);

		if (p)
			pending_tell(conn, p, NULL, conn->ended ? gone : late);
	}
}

void pending_fail(struct rpc_conn *conn, const GError *error)
{
	g_autoptr(GHashTable) all = conn->pending;
	GHashTableIter iter;
	gpointer value;

	/*
	 * Calls made by the callbacks go into the new table, and end in the next turn of the loop.
	 */
	conn->pending = pending_table_new();
	g_hash_table_iter_init(&iter, all);
	while (g_hash_table_iter_next(&iter, NULL, &value))
		pending_tell(conn, value, NULL, error);
}

gint64 pending_deadline(const struct rpc_conn *conn)
{
	gint64 first = -1;
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, conn->pending);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct pending *p = value;

		if (p->deadline_us >= 0 && (first < 0 || p->deadline_us < first))
			first = p->deadline_us;
	}
	return first;
}

/* Queue the call's bytes and descriptors; an error if they can't be. */
static bool call_send(struct rpc_conn *conn, const struct frame_header *h, xdrproc_t proc,
		      const void *args, const int *fds, unsigned n_fds, GError **error)
{
	GBytes *bytes;

	if (n_fds > FRAME_FDS_MAX)
		return error_set(error, VMM_ERR_RPC, "%u descriptors in one call", n_fds);
	bytes = frame_encode(h, n_fds, proc, args, error);
	if (!bytes)
		return false;
	conn_send(conn, bytes);
	for (unsigned i = 0; i < n_fds; i++)
		conn_send_fd(conn, fcntl(fds[i], F_DUPFD_CLOEXEC, 3));
	return true;
}

uint32_t rpc_conn_call(struct rpc_conn *conn, uint32_t program, int32_t procedure, xdrproc_t proc,
		       const void *args, const int *fds, unsigned n_fds, unsigned timeout_ms,
		       rpc_done_fn *done, void *opaque)
{
	struct frame_header h = {
		.program = program, .version = 1, .procedure = procedure, .serial = conn->serial++,
		.type = n_fds ? FRAME_CALL_WITH_FDS : FRAME_CALL,
	};
	struct pending *p = g_new(struct pending, 1);

	*p = (struct pending){ program, procedure, -1, done, opaque };
	if (timeout_ms)
		p->deadline_us = g_get_monotonic_time() + (gint64)timeout_ms * 1000;
	g_hash_table_insert(conn->pending, GUINT_TO_POINTER(h.serial), p);
	if (conn->ended)
		p->deadline_us = 0;
	else if (!call_send(conn, &h, proc, args, fds, n_fds, conn->reason ? NULL : &conn->reason))
		g_prefix_error(&conn->reason, "call: ");
	conn_update(conn);
	return h.serial;
}

void rpc_conn_cancel(struct rpc_conn *conn, uint32_t serial)
{
	g_autoptr(GError) aborted = g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "interrupted");
	struct pending *p = g_hash_table_lookup(conn->pending, GUINT_TO_POINTER(serial));

	if (p)
		pending_tell(conn, p, NULL, aborted);
}
