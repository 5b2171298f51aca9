/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's connection, served by a thread of its own: calls block the
 * thread that makes them, and only that one; events and keepalive go on
 * meanwhile.  All functions may be called from any thread but the client's
 * own; callbacks run on the client's own and must not block.
 */
#pragma once

#include "libvmm/rpc/conn.h"

struct rpc_client;

struct rpc_client_ops {
	/* Events: messages that belong to no call and no stream. */
	void (*event)(struct rpc_message *msg, void *opaque);
	/* Once, if the connection ends before rpc_client_free(). */
	void (*closed)(const GError *error, void *opaque);
};

/* Takes fd. */
struct rpc_client *rpc_client_new(int fd, const struct rpc_client_ops *ops, void *opaque);
/* Ends the connection, joins the thread; no callback runs after it. */
void rpc_client_free(struct rpc_client *client);
bool rpc_client_is_open(struct rpc_client *client);
/* From now on the other side has to show signs of life. */
void rpc_client_keepalive(struct rpc_client *client);
/* While fd is readable calls fail with VMM_ERR_ABORTED; -1: none. */
void rpc_client_set_interrupt_fd(struct rpc_client *client, int fd);
GMainContext *rpc_client_context(struct rpc_client *client);

/*
 * proc of arguments and result; ret is zeroed here and released by the caller
 * with frame_free() after success.  replied, if given, runs on the client's
 * thread after ret has been decoded and before any later message is looked at.
 */
struct rpc_call {
	uint32_t program;
	int32_t procedure;
	xdrproc_t args_proc;
	const void *args;
	xdrproc_t ret_proc;
	void *ret;
	size_t ret_bytes;		/* of *ret */
	unsigned timeout_ms;		/* 0: for ever */
	void (*replied)(const struct frame_header *hdr, void *opaque);
	void *opaque;
};

bool rpc_client_call(struct rpc_client *client, const struct rpc_call *call, GError **error);
