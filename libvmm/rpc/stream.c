/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Streams, the client's side.
 *
 * Two threads know a stream: the client's, which has it in its table until
 * the peer has said its last word, and the reader's, which gets the bytes by
 * stream_deliver() on its context.  Between them is a queue under the lock.
 * Bytes that the reader has not taken count as undelivered; above a limit the
 * client's thread stops reading the socket, so the peer feels it.
 *
 * The peer's end of data is an empty packet; only the client may finish, so
 * it is answered with our finish, and that by the peer's.  Then the reader is
 * told, after the last byte.
 */
#include "config.h"
#include "libvmm/rpc/stream.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "libvmm/rpc/call-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* Reached only while the reader waits for an answer, so that the socket must be read. */
#define UNDELIVERED_MAX_BYTES (64 << 20)

struct piece {
	GBytes *data;			/* NULL: a hole */
	uint64_t hole;
	size_t cost;			/* counts as undelivered */
};

struct rpc_stream {
	gint refs;			/* atomic */
	struct rpc_client *client;
	GMainContext *ctx;
	const struct rpc_stream_ops *ops;
	void *opaque;
	struct frame_header hdr;	/* of the call that opened it */
	int end_fd;			/* eventfd: readable once ended */

	GMutex lock;			/* protects what follows */
	GQueue in;			/* struct piece *, for the reader */
	size_t unsent;
	GError *error;
	bool scheduled;			/* stream_deliver() is on its way */
	bool ended;			/* no byte comes or goes any more */
	bool told;			/* ops->closed has been called */
	bool freed;

	/* The client's thread only. */
	size_t undelivered;
	size_t in_conn;			/* of unsent, in the connection's queue */
	bool finishing;			/* our finish or abort is sent */
	bool awaited;			/* rpc_stream_close() waits */
};

static void piece_free(void *p)
{
	struct piece *piece = p;

	g_clear_pointer(&piece->data, g_bytes_unref);
	g_free(piece);
}

static struct rpc_stream *stream_ref(struct rpc_stream *s)
{
	g_atomic_int_inc(&s->refs);
	return s;
}

static void stream_unref(struct rpc_stream *s)
{
	if (!g_atomic_int_dec_and_test(&s->refs))
		return;
	g_queue_clear_full(&s->in, piece_free);
	g_clear_error(&s->error);
	g_mutex_clear(&s->lock);
	g_main_context_unref(s->ctx);
	fd_close(&s->end_fd);
	g_free(s);
}

/* ---- the reader's thread ---- */

struct credit {
	struct rpc_stream *s;
	size_t bytes;
};

static void stream_credit(void *arg)
{
	struct credit *c = arg;
	size_t n = MIN(c->bytes, c->s->undelivered);

	c->s->undelivered -= n;
	c->s->client->undelivered -= n;
	client_throttle(c->s->client);
	stream_unref(c->s);
	g_free(c);
}

static void credit_post(struct rpc_stream *s, size_t bytes)
{
	struct credit *c = g_new(struct credit, 1);

	*c = (struct credit){ stream_ref(s), bytes };
	owner_post(s->client->ctx, stream_credit, c);
}

enum deliver {
	DELIVER_NOTHING,
	DELIVER_BYTES,
	DELIVER_END,
};

static enum deliver deliver_next(struct rpc_stream *s, struct piece **ret)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&s->lock);

	if (!s->freed && (*ret = g_queue_pop_head(&s->in)))
		return DELIVER_BYTES;
	s->scheduled = false;
	if (s->freed || !s->ended || s->told)
		return DELIVER_NOTHING;
	s->told = true;
	return DELIVER_END;
}

static bool stream_is_freed(struct rpc_stream *s)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&s->lock);

	return s->freed;
}

static void stream_deliver(void *arg)
{
	struct rpc_stream *s = arg;
	enum deliver what;
	struct piece *piece;
	bool freed = false;

	while (!freed && (what = deliver_next(s, &piece)) == DELIVER_BYTES) {
		if (piece->data)
			s->ops->data(g_bytes_get_data(piece->data, NULL),
				     g_bytes_get_size(piece->data), s->opaque);
		else
			s->ops->hole(piece->hole, s->opaque);
		/* The callback may have freed stream and client. */
		freed = stream_is_freed(s);
		if (!freed)
			credit_post(s, piece->cost);
		piece_free(piece);
	}
	/* error does not change once ended. */
	if (what == DELIVER_END)
		s->ops->closed(s->error, s->opaque);
	stream_unref(s);
}

/* ---- the client's thread ---- */

/* The lock is held. */
static void stream_schedule(struct rpc_stream *s)
{
	if (s->scheduled || s->freed)
		return;
	s->scheduled = true;
	owner_post(s->ctx, stream_deliver, stream_ref(s));
}

static bool stream_is_known(struct rpc_stream *s)
{
	return s->client->conn &&
	       g_hash_table_lookup(s->client->streams, GUINT_TO_POINTER(s->hdr.serial)) == s;
}

/* The peer's last word, or none will come: out of the table. */
static void stream_end(struct rpc_stream *s, const GError *error)
{
	g_hash_table_remove(s->client->streams, GUINT_TO_POINTER(s->hdr.serial));
	g_mutex_lock(&s->lock);
	s->ended = true;
	s->error = error ? g_error_copy(error) : NULL;
	stream_schedule(s);
	g_mutex_unlock(&s->lock);
	if (s->awaited)
		s->client->waiting--;
	s->awaited = false;
	client_throttle(s->client);
	eventfd_write(s->end_fd, 1);
	stream_unref(s);
}

static void stream_refuse(struct rpc_stream *s, int code, const char *why)
{
	g_autoptr(GError) error = g_error_new_literal(VMM_ERROR, code, why);

	s->finishing = true;
	rpc_stream_error(s->client->conn, &s->hdr, NULL);
	stream_end(s, error);
}

/* Takes data. */
static void stream_push(struct rpc_stream *s, GBytes *data, uint64_t hole)
{
	const size_t cost = data ? g_bytes_get_size(data) : sizeof(struct piece);
	struct piece *piece = g_new(struct piece, 1);

	*piece = (struct piece){ data, hole, cost };
	if (stream_is_freed(s)) {
		piece_free(piece);
		return;
	}
	g_mutex_lock(&s->lock);
	g_queue_push_tail(&s->in, piece);
	stream_schedule(s);
	g_mutex_unlock(&s->lock);
	s->undelivered += cost;
	s->client->undelivered += cost;
	if (s->undelivered > UNDELIVERED_MAX_BYTES)
		stream_refuse(s, VMM_ERR_ABORTED, "the stream's reader was busy for too long");
	else
		client_throttle(s->client);
}

static void stream_hole(struct rpc_stream *s, const struct rpc_message *msg)
{
	uint64_t bytes;

	if (s->ops->hole && rpc_message_hole(msg, &bytes))
		stream_push(s, NULL, bytes);
	else
		stream_refuse(s, VMM_ERR_RPC, "the daemon sent a hole where there can be none");
}

static void finish_send(struct rpc_stream *s)
{
	if (s->finishing)
		return;
	s->finishing = true;
	rpc_stream_finish(s->client->conn, &s->hdr);
}

/* A stream whose opening was interrupted: tell the peer that nobody has it. */
static void orphan_abort(struct rpc_client *client, const struct rpc_message *msg)
{
	if (msg->hdr.status == FRAME_CONTINUE)
		rpc_stream_error(client->conn, &msg->hdr, NULL);
}

void stream_message(struct rpc_client *client, struct rpc_message *msg)
{
	struct rpc_stream *s =
		g_hash_table_lookup(client->streams, GUINT_TO_POINTER(msg->hdr.serial));
	g_autoptr(GError) error = NULL;

	if (!s || s->hdr.procedure != msg->hdr.procedure) {
		orphan_abort(client, msg);
		return;
	}
	if (msg->hdr.type == FRAME_STREAM_HOLE) {
		stream_hole(s, msg);
		return;
	}
	switch (msg->hdr.status) {
	case FRAME_CONTINUE:
		if (msg->bytes)
			stream_push(s, g_bytes_new(msg->payload, msg->bytes), 0);
		else
			finish_send(s);
		return;
	case FRAME_OK:
		stream_end(s, NULL);
		return;
	default:
		error = rpc_message_error(msg);
		stream_end(s, error);
	}
}

static void stream_sent(struct rpc_stream *s, size_t bytes)
{
	g_mutex_lock(&s->lock);
	s->unsent -= bytes;
	g_mutex_unlock(&s->lock);
}

void stream_drained(struct rpc_client *client)
{
	GHashTableIter iter;
	gpointer value;

	g_hash_table_iter_init(&iter, client->streams);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		struct rpc_stream *s = value;

		stream_sent(s, s->in_conn);
		s->in_conn = 0;
	}
}

void stream_fail_all(struct rpc_client *client, const GError *error)
{
	g_autoptr(GList) all = g_hash_table_get_values(client->streams);

	for (GList *l = all; l; l = l->next)
		stream_end(l->data, error);
}

static void stream_replied(const struct frame_header *hdr, void *opaque)
{
	struct rpc_stream *s = opaque;

	s->hdr = *hdr;
	g_hash_table_insert(s->client->streams, GUINT_TO_POINTER(hdr->serial), stream_ref(s));
}

struct outgoing {
	struct rpc_stream *s;
	GBytes *bytes;			/* NULL: a hole; none: the end */
	uint64_t hole;
};

static void stream_send(void *arg)
{
	struct outgoing *o = arg;
	struct rpc_stream *s = o->s;
	size_t bytes = 0;
	const void *data = o->bytes ? g_bytes_get_data(o->bytes, &bytes) : NULL;

	const bool goes_on = stream_is_known(s) && !s->finishing;

	if (goes_on && bytes)
		rpc_stream_data(s->client->conn, &s->hdr, data, bytes);
	else if (goes_on && o->bytes)
		rpc_stream_eof(s->client->conn, &s->hdr);
	else if (goes_on)
		rpc_stream_hole(s->client->conn, &s->hdr, o->hole);
	if (stream_is_known(s) && rpc_conn_queued(s->client->conn))
		s->in_conn += bytes;
	else
		stream_sent(s, bytes);
	g_clear_pointer(&o->bytes, g_bytes_unref);
	stream_unref(s);
	g_free(o);
}

static void stream_finish(void *arg)
{
	struct rpc_stream *s = arg;

	if (stream_is_known(s) && !s->awaited) {
		s->awaited = true;
		s->client->waiting++;
		client_throttle(s->client);
		finish_send(s);
	}
	stream_unref(s);
}

static void stream_abandon(void *arg)
{
	struct rpc_stream *s = arg;

	s->client->undelivered -= s->undelivered;
	s->undelivered = 0;
	client_throttle(s->client);
	if (stream_is_known(s) && !s->finishing) {
		s->finishing = true;
		rpc_stream_error(s->client->conn, &s->hdr, NULL);
	}
}

/* ---- the user's thread ---- */

struct rpc_stream *rpc_stream_open(struct rpc_client *client, const struct rpc_call *call,
				   GMainContext *ctx, const struct rpc_stream_ops *ops,
				   void *opaque, GError **error)
{
	struct rpc_stream *s = g_new0(struct rpc_stream, 1);
	struct rpc_call opening = *call;
	remote_none none;

	s->refs = 1;
	s->client = client;
	s->ctx = ctx ? g_main_context_ref(ctx) : g_main_context_ref_thread_default();
	s->ops = ops;
	s->opaque = opaque;
	s->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g_mutex_init(&s->lock);
	g_queue_init(&s->in);
	if (!opening.ret) {
		opening.ret_proc = (xdrproc_t)xdr_remote_none;
		opening.ret = &none;
		opening.ret_bytes = sizeof(none);
	}
	opening.replied = stream_replied;
	opening.opaque = s;
	if (s->end_fd < 0)
		error_errno(error, errno, "make an eventfd");
	else if (rpc_client_call(client, &opening, error))
		return s;
	stream_unref(s);
	return NULL;
}

/* Takes data; NULL: a hole. */
static bool write_post(struct rpc_stream *s, GBytes *data, uint64_t hole, GError **error)
{
	struct outgoing *o;
	bool ended;

	g_mutex_lock(&s->lock);
	ended = s->ended;
	s->unsent += ended || !data ? 0 : g_bytes_get_size(data);
	g_mutex_unlock(&s->lock);
	if (ended) {
		g_clear_pointer(&data, g_bytes_unref);
		return error_set(error, VMM_ERR_OPERATION_INVALID, "the stream has ended");
	}
	o = g_new(struct outgoing, 1);
	*o = (struct outgoing){ stream_ref(s), data, hole };
	owner_post(s->client->ctx, stream_send, o);
	return true;
}

bool rpc_stream_write(struct rpc_stream *s, const void *data, size_t bytes, GError **error)
{
	return bytes == 0 || write_post(s, g_bytes_new(data, bytes), 0, error);
}

bool rpc_stream_write_hole(struct rpc_stream *s, uint64_t bytes, GError **error)
{
	return write_post(s, NULL, bytes, error);
}

bool rpc_stream_write_end(struct rpc_stream *s, GError **error)
{
	return write_post(s, g_bytes_new(NULL, 0), 0, error);
}

size_t rpc_stream_queued(struct rpc_stream *s)
{
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&s->lock);

	return s->ended ? 0 : s->unsent;
}

bool rpc_stream_close(struct rpc_stream *s, GError **error)
{
	/* Posted, not called: behind the writes. */
	owner_post(s->client->ctx, stream_finish, stream_ref(s));
	if (!client_wait(s->client, s->end_fd))
		return error_set(error, VMM_ERR_ABORTED, "interrupted");
	g_autoptr(GMutexLocker) locker G_GNUC_UNUSED = g_mutex_locker_new(&s->lock);
	if (!s->error)
		return true;
	g_propagate_error(error, g_error_copy(s->error));
	return false;
}

void rpc_stream_free(struct rpc_stream *s)
{
	if (!s)
		return;
	g_mutex_lock(&s->lock);
	s->freed = true;
	g_mutex_unlock(&s->lock);
	owner_call(s->client->ctx, stream_abandon, s);
	stream_unref(s);
}
