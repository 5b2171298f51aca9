/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client's end of a stream.  Callbacks run on the context given at opening;
 * rpc_stream_free() there means that none comes after it.
 */
#pragma once

#include "libvmm/rpc/call.h"

struct rpc_stream;

struct rpc_stream_ops {
	void (*data)(const void *data, size_t bytes, void *opaque);
	void (*hole)(uint64_t bytes, void *opaque);	/* NULL: one is the peer's fault */
	/* Once; error NULL: the peer has sent all, or our finish was answered. */
	void (*closed)(const GError *error, void *opaque);
};

/*
 * Makes the call that opens the stream; its replied, opaque and, unless it has one, ret (void)
 * are set here.
 */
struct rpc_stream *rpc_stream_open(struct rpc_client *client, const struct rpc_call *call,
				   GMainContext *ctx, const struct rpc_stream_ops *ops,
				   void *opaque, GError **error);
bool rpc_stream_write(struct rpc_stream *s, const void *data, size_t bytes, GError **error);
/* Zeroes; of a stream that was opened so. */
bool rpc_stream_write_hole(struct rpc_stream *s, uint64_t bytes, GError **error);
/* The writer's end, as an empty packet is the peer's. */
bool rpc_stream_write_end(struct rpc_stream *s, GError **error);
size_t rpc_stream_queued(struct rpc_stream *s);
/* Say that no more is written, wait for the answer; true also if the stream had ended well. */
bool rpc_stream_close(struct rpc_stream *s, GError **error);
void rpc_stream_free(struct rpc_stream *s);
