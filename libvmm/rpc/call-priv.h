/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between call.c and stream.c. */
#pragma once

#include "libvmm/rpc/call.h"
#include "libvmm/util/owner.h"

struct rpc_client {
	struct owner_thread *thread;
	GMainContext *ctx;		/* of thread */
	const struct rpc_client_ops *ops;
	void *opaque;
	int interrupt_fd;		/* atomic */
	int open;			/* atomic */
	/* Owned by thread: */
	int fd;				/* until conn is made */
	struct rpc_conn *conn;
	GHashTable *streams;		/* serial to struct rpc_stream *, each with a reference */
	unsigned waiting;		/* calls that have no answer yet */
	size_t undelivered;		/* stream bytes that wait for their readers */
	bool paused;
};

/* Wait until done_fd is readable (true) or the interrupt is (false). */
bool client_wait(struct rpc_client *client, int done_fd);
/* Read from the socket, or not: after waiting or undelivered has changed. Thread only. */
void client_throttle(struct rpc_client *client);

/* stream.c, thread only */
void stream_message(struct rpc_client *client, struct rpc_message *msg);
void stream_drained(struct rpc_client *client);
void stream_fail_all(struct rpc_client *client, const GError *error);
