/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Blocking calls.
 *
 * The connection belongs to the client's thread.  A call is started there by
 * owner_call(), then its maker polls an eventfd together with the interrupt
 * descriptor.  An interrupted maker cancels by owner_call() too, so when it
 * leaves, nobody knows its stack any more.  The client's thread never waits.
 */
#include "config.h"
#include "libvmm/rpc/call-priv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define UNDELIVERED_PAUSE_BYTES (1 << 20)
/* A daemon that hangs is given up after half a minute, as libvirt's clients do. */
#define KEEPALIVE_MS 5000
#define KEEPALIVE_COUNT 5

struct wait {
	struct rpc_client *client;
	const struct rpc_call *call;
	uint32_t serial;
	int done_fd;
	GError *error;
};

bool client_wait(struct rpc_client *client, int done_fd)
{
	for (;;) {
		struct pollfd fds[2] = {
			{ .fd = done_fd, .events = POLLIN },
			{ .fd = g_atomic_int_get(&client->interrupt_fd), .events = POLLIN },
		};

		/* EINTR: a handler may have written to the interrupt descriptor. */
		if (poll(fds, 2, -1) < 0)
			continue;
		if (fds[0].revents)
			return true;
		if (fds[1].revents)
			return false;
	}
}

void client_throttle(struct rpc_client *client)
{
	/* Someone who waits for an answer does not read streams: his answer must come through. */
	bool pause = client->undelivered > UNDELIVERED_PAUSE_BYTES && !client->waiting;

	if (!client->conn || pause == client->paused)
		return;
	client->paused = pause;
	if (pause)
		rpc_conn_pause(client->conn);
	else
		rpc_conn_resume(client->conn);
}

static void wait_done(struct rpc_conn *conn, struct rpc_message *reply, const GError *error,
		      void *opaque)
{
	struct wait *w = opaque;
	const struct rpc_call *call = w->call;

	w->client->waiting--;
	/* Calls are told before client_closed() runs: who is told must not see it open. */
	if (!rpc_conn_is_open(conn))
		g_atomic_int_set(&w->client->open, FALSE);
	if (error)
		w->error = g_error_copy(error);
	else if (rpc_message_decode(reply, call->ret_proc, call->ret, &w->error) && call->replied)
		call->replied(&reply->hdr, call->opaque);
	client_throttle(w->client);
	eventfd_write(w->done_fd, 1);
}

static void wait_start(void *arg)
{
	struct wait *w = arg;

	w->client->waiting++;
	client_throttle(w->client);
	w->serial = rpc_conn_call(w->client->conn, w->call->program, w->call->procedure,
				  w->call->args_proc, w->call->args, NULL, 0, w->call->timeout_ms,
				  wait_done, w);
}

static void wait_cancel(void *arg)
{
	struct wait *w = arg;

	rpc_conn_cancel(w->client->conn, w->serial);
}

bool rpc_client_call(struct rpc_client *client, const struct rpc_call *call, GError **error)
{
	auto_close int done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct wait w = { .client = client, .call = call, .done_fd = done_fd };
	eventfd_t told;

	if (done_fd < 0)
		return error_errno(error, errno, "make an eventfd");
	memset(call->ret, 0, call->ret_bytes);
	owner_call(client->ctx, wait_start, &w);
	if (!client_wait(client, done_fd))
		owner_call(client->ctx, wait_cancel, &w);
	eventfd_read(done_fd, &told);	/* poll() tells TSan nothing of who wrote before */
	if (!w.error)
		return true;
	g_propagate_error(error, w.error);
	return false;
}

static void client_message(struct rpc_conn *conn, struct rpc_message *msg, void *opaque)
{
	struct rpc_client *client = opaque;

	if (msg->hdr.type == FRAME_STREAM || msg->hdr.type == FRAME_STREAM_HOLE)
		stream_message(client, msg);
	else if (msg->hdr.type == FRAME_MESSAGE)
		client->ops->event(msg, client->opaque);
	else
		rpc_reply_unknown(conn, &msg->hdr);
}

static void client_closed(struct rpc_conn *conn, const GError *error, void *opaque)
{
	struct rpc_client *client = opaque;
	g_autoptr(GError) gone = error ? g_error_copy(error) :
		g_error_new(VMM_ERROR, VMM_ERR_RPC, "the daemon has closed the connection");

	g_atomic_int_set(&client->open, FALSE);
	stream_fail_all(client, gone);
	client->ops->closed(gone, client->opaque);
}

static void client_drained(struct rpc_conn *conn, void *opaque)
{
	stream_drained(opaque);
}

static const struct rpc_conn_ops client_ops = {
	.message = client_message,
	.closed = client_closed,
	.drained = client_drained,
};

static void client_start(void *arg)
{
	struct rpc_client *client = arg;

	client->conn = rpc_conn_new(client->fd, client->ctx, &client_ops, client);
}

static void client_keepalive(void *arg)
{
	struct rpc_client *client = arg;

	if (client->conn)
		rpc_conn_set_keepalive(client->conn, KEEPALIVE_MS, KEEPALIVE_COUNT);
}

void rpc_client_keepalive(struct rpc_client *client)
{
	owner_call(client->ctx, client_keepalive, client);
}

static void client_stop(void *arg)
{
	struct rpc_client *client = arg;
	g_autoptr(GError) gone = g_error_new(VMM_ERROR, VMM_ERR_RPC, "the connection is closed");

	stream_fail_all(client, gone);
	g_clear_pointer(&client->conn, rpc_conn_free);
}

struct rpc_client *rpc_client_new(int fd, const struct rpc_client_ops *ops, void *opaque)
{
	struct rpc_client *client = g_new0(struct rpc_client, 1);

	client->thread = owner_thread_new("vmm-client");
	client->ctx = owner_thread_context(client->thread);
	client->ops = ops;
	client->opaque = opaque;
	client->interrupt_fd = -1;
	client->open = TRUE;
	client->fd = fd;
	client->streams = g_hash_table_new(g_direct_hash, g_direct_equal);
	owner_call(client->ctx, client_start, client);
	return client;
}

void rpc_client_free(struct rpc_client *client)
{
	if (!client)
		return;
	owner_call(client->ctx, client_stop, client);
	owner_thread_free(client->thread);
	g_hash_table_unref(client->streams);
	g_free(client);
}

bool rpc_client_is_open(struct rpc_client *client)
{
	return g_atomic_int_get(&client->open);
}

void rpc_client_set_interrupt_fd(struct rpc_client *client, int fd)
{
	g_atomic_int_set(&client->interrupt_fd, fd);
}

GMainContext *rpc_client_context(struct rpc_client *client)
{
	return client->ctx;
}
