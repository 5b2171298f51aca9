/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A peer that sends what it likes: as a stream to a connection, and as the content of each
 * procedure.
 */
#include "config.h"
#include "fuzz.h"

#include <string.h>
#include <sys/socket.h>

#include "libvmm/rpc/conn.h"
#include "libvmm/rpc/proctab.h"
#include "libvmm/rpc/worker.h"

#define VALUE_BYTES 1024

static const xdrproc_t types[] = {
#define X(nr, name, args, ret, need) (xdrproc_t)xdr_remote_##args, (xdrproc_t)xdr_remote_##ret,
	REMOTE_PROCEDURES(X)
#undef X
	(xdrproc_t)xdr_worker_hello_ret,
	(xdrproc_t)xdr_worker_start_args,
	(xdrproc_t)xdr_worker_stats_ret,
	(xdrproc_t)xdr_worker_event_io_error,
};

static void decode(xdrproc_t proc, const uint8_t *data, size_t bytes)
{
	uint64_t value[VALUE_BYTES / 8] = { 0 };

	if (frame_decode(data, bytes, proc, value, NULL))
		frame_free(proc, value);
}

static void on_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	decode(types[(uint32_t)msg->hdr.procedure % G_N_ELEMENTS(types)], msg->payload, msg->bytes);
	if (msg->hdr.type == FRAME_CALL)
		rpc_reply_unknown(conn, &msg->hdr);
}

static void on_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
}

static const struct rpc_conn_ops ops = { .message = on_message, .closed = on_closed };

static void stream(const uint8_t *data, size_t bytes)
{
	struct rpc_conn *conn;
	int sv[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
		abort();
	conn = rpc_conn_new(sv[0], NULL, &ops, NULL);
	if (send(sv[1], data, bytes, MSG_NOSIGNAL) < 0)
		abort();
	close(sv[1]);
	for (int i = 0; i < 100 && g_main_context_iteration(NULL, FALSE); i++)
		;
	rpc_conn_free(conn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	if (bytes < 2 || bytes > 65536)
		return 0;
	if (data[0] & 1)
		stream(data + 1, bytes - 1);
	else
		decode(types[data[1] % G_N_ELEMENTS(types)], data + 2, bytes - 2);
	return 0;
}
