/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What goes out on a connection besides our own calls: replies, errors, events, stream packets. */
#include "config.h"
#include <string.h>

#include "libvmm/rpc/conn-priv.h"
#include "libvmm/rpc/frame_xdr.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* Where an error says it comes from: informative, but for the one of unknown procedures. */
enum error_origin {
	ORIGIN_XML = 5,
	ORIGIN_RPC = 7,
	ORIGIN_HYPERVISOR = 10,
	ORIGIN_STORAGE = 18,
	ORIGIN_NETWORK = 19,
	ORIGIN_DOMAIN = 20,
	ORIGIN_SNAPSHOT = 35,
};

#define ERROR_LEVEL_ERROR 2

static enum error_origin error_origin(int code)
{
	switch (code) {
	case VMM_ERR_XML:
	case VMM_ERR_XML_SCHEMA:
		return ORIGIN_XML;
	case VMM_ERR_RPC:
		return ORIGIN_RPC;
	case VMM_ERR_NO_POOL:
	case VMM_ERR_NO_VOLUME:
		return ORIGIN_STORAGE;
	case VMM_ERR_NO_NETWORK:
		return ORIGIN_NETWORK;
	case VMM_ERR_NO_SNAPSHOT:
		return ORIGIN_SNAPSHOT;
	case VMM_ERR_NO_DOMAIN:
	case VMM_ERR_NO_METADATA:
		return ORIGIN_DOMAIN;
	default:
		return ORIGIN_HYPERVISOR;
	}
}

static struct frame_header answer_to(const struct frame_header *call, enum frame_type type,
				     enum frame_status status)
{
	struct frame_header h = *call;

	h.type = type;
	h.status = status;
	return h;
}

bool rpc_message_decode(const struct rpc_message *msg, xdrproc_t proc, void *ret, GError **error)
{
	if (frame_decode(msg->payload, msg->bytes, proc, ret, error))
		return true;
	g_prefix_error(error, "procedure %d: ", msg->hdr.procedure);
	return false;
}

GError *rpc_message_error(const struct rpc_message *msg)
{
	remote_error e = { 0 };
	GError *error = NULL;

	if (!rpc_message_decode(msg, (xdrproc_t)xdr_remote_error, &e, &error))
		return error;
	error = g_error_new_literal(VMM_ERROR, e.code,
				    e.message && **e.message ? *e.message : "no reason given");
	frame_free((xdrproc_t)xdr_remote_error, &e);
	return error;
}

static void error_send(struct rpc_conn *conn, const struct frame_header *h, const GError *error)
{
	char *message = error->message, *format = (char *)"%s";
	remote_error e = {
		.code = error->domain == VMM_ERROR ? error->code : VMM_ERR_INTERNAL,
		.message = &message,
		.level = ERROR_LEVEL_ERROR,
		.str1 = &format,
		.str2 = &message,
		.int1 = -1,
		.int2 = -1,
	};
	GBytes *bytes;

	e.domain = error_origin(e.code);
	if (strlen(message) > REMOTE_TEXT_MAX)
		message = (char *)"(the reason is too long to be sent)";
	bytes = frame_encode(h, 0, (xdrproc_t)xdr_remote_error, &e, NULL);
	if (bytes)
		conn_send(conn, bytes);
}

void rpc_reply_error(struct rpc_conn *conn, const struct frame_header *call, const GError *error)
{
	struct frame_header h = answer_to(call, FRAME_REPLY, FRAME_ERROR);

	error_send(conn, &h, error);
}

void rpc_reply_unknown(struct rpc_conn *conn, const struct frame_header *call)
{
	g_autoptr(GError) error =
		g_error_new(VMM_ERROR, VMM_ERR_RPC, "unknown procedure: %d", call->procedure);

	rpc_reply_error(conn, call, error);
}

void rpc_reply_fds(struct rpc_conn *conn, const struct frame_header *call, xdrproc_t proc,
		   const void *ret, const int *fds, unsigned n_fds)
{
	struct frame_header h =
		answer_to(call, n_fds ? FRAME_REPLY_WITH_FDS : FRAME_REPLY, FRAME_OK);
	g_autoptr(GError) error = NULL;
	GBytes *bytes = frame_encode(&h, n_fds, proc, ret, &error);

	if (bytes)
		conn_send(conn, bytes);
	else
		rpc_reply_error(conn, call, error);
	for (unsigned i = 0; i < n_fds; i++) {
		auto_close int fd = fds[i];

		if (bytes)
			conn_send_fd(conn, TAKE_FD(fd));
	}
}

void rpc_reply(struct rpc_conn *conn, const struct frame_header *call, xdrproc_t proc,
	       const void *ret)
{
	rpc_reply_fds(conn, call, proc, ret, NULL, 0);
}

GBytes *rpc_reply_encode(const struct frame_header *call, xdrproc_t proc, const void *ret,
			 GError **error)
{
	struct frame_header h = answer_to(call, FRAME_REPLY, FRAME_OK);
	remote_none none = { 0 };

	return ret ? frame_encode(&h, 0, proc, ret, error)
		   : frame_encode(&h, 0, (xdrproc_t)xdr_remote_none, &none, error);
}

void rpc_reply_send(struct rpc_conn *conn, GBytes *reply)
{
	conn_send(conn, reply);
}

void rpc_reply_none(struct rpc_conn *conn, const struct frame_header *call)
{
	remote_none none = { 0 };

	rpc_reply(conn, call, (xdrproc_t)xdr_remote_none, &none);
}

void rpc_event(struct rpc_conn *conn, uint32_t program, int32_t procedure, xdrproc_t proc,
	       const void *arg)
{
	struct frame_header h = {
		.program = program,
		.version = 1,
		.procedure = procedure,
		.type = FRAME_MESSAGE,
		.serial = 1,
	};
	g_autoptr(GError) error = NULL;
	GBytes *bytes = frame_encode(&h, 0, proc, arg, &error);

	if (bytes)
		conn_send(conn, bytes);
	else
		g_warning("event: %s", error->message);
}

void rpc_stream_data(struct rpc_conn *conn, const struct frame_header *call, const void *data,
		     size_t bytes)
{
	struct frame_header h = answer_to(call, FRAME_STREAM, FRAME_CONTINUE);

	/* An empty packet would mean the end. */
	for (size_t n; bytes; data = (const char *)data + n, bytes -= n) {
		n = MIN(bytes, FRAME_STREAM_CHUNK);
		conn_send(conn, frame_encode_raw(&h, data, n));
	}
}

void rpc_stream_hole(struct rpc_conn *conn, const struct frame_header *call, uint64_t bytes)
{
	const struct frame_header h = answer_to(call, FRAME_STREAM_HOLE, FRAME_CONTINUE);
	remote_stream_hole hole = { .length = (int64_t)MIN(bytes, G_MAXINT64) };

	conn_send(conn, frame_encode(&h, 0, (xdrproc_t)xdr_remote_stream_hole, &hole, NULL));
}

bool rpc_message_hole(const struct rpc_message *msg, uint64_t *ret_bytes)
{
	remote_stream_hole hole = { 0 };

	if (msg->hdr.status != FRAME_CONTINUE ||
	    !rpc_message_decode(msg, (xdrproc_t)xdr_remote_stream_hole, &hole, NULL) ||
	    hole.length < 0 || hole.flags)
		return false;
	*ret_bytes = (uint64_t)hole.length;
	return true;
}

void rpc_stream_eof(struct rpc_conn *conn, const struct frame_header *call)
{
	struct frame_header h = answer_to(call, FRAME_STREAM, FRAME_CONTINUE);

	conn_send(conn, frame_encode_raw(&h, NULL, 0));
}

void rpc_stream_finish(struct rpc_conn *conn, const struct frame_header *call)
{
	struct frame_header h = answer_to(call, FRAME_STREAM, FRAME_OK);

	conn_send(conn, frame_encode_raw(&h, NULL, 0));
}

void rpc_stream_error(struct rpc_conn *conn, const struct frame_header *call, const GError *error)
{
	struct frame_header h = answer_to(call, FRAME_STREAM, FRAME_ERROR);

	if (error)
		error_send(conn, &h, error);
	else
		conn_send(conn, frame_encode_raw(&h, NULL, 0));
}
