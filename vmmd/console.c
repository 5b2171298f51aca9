/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Console streams.
 *
 * Neither side may make us keep what the other does not take.  Output: while
 * much is queued for the client, the worker's socket is not read, and the hub
 * (which never waits) drops the oldest for this reader.  Input: while much
 * waits for the guest, the client is not read.
 */
#include "config.h"
#include "vmmd/console.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/rpc/vmm.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/link.h"

#define REPLAY_BYTES (256u * 1024)
#define READ_BYTES 65536
#define QUEUED_MAX (256u * 1024)	/* for the client: above it the worker is not read */
#define INPUT_MAX (64u * 1024)	/* for the guest: above it the client is not read */

struct console {
	struct stream stream;
	int fd;
	guint in_source, out_source;
	GByteArray *input;		/* from the client, not yet taken by the worker */
	bool client_paused;
	bool relayed;			/* a connection, whose ways end each by itself */
	bool input_ended;		/* of that: by the client */
	/* Of one that types: a domain may be gone before its streams. */
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	char *alias, *asked;		/* the console's, and by what name it was opened */
};

static void console_watch(struct console *c);

/* ---- who types ---- */

static void writer_end(struct console *c)
{
	struct domain *dom = c->daemon ? domain_find_uuid(c->daemon->domains, c->uuid) : NULL;

	if (dom)
		dom->writers = g_slist_remove(dom->writers, c);
}

/* The worker has made it the one: whoever was it before only reads now. */
static void writer_begin(struct console *c, struct domain *dom)
{
	for (GSList *l = dom->writers, *next; l; l = next) {
		struct console *other = l->data;

		next = l->next;
		if (g_str_equal(other->alias, c->alias))
			writer_end(other);
	}
	dom->writers = g_slist_prepend(dom->writers, c);
}

bool console_is_writer(const struct session *session, const struct domain *dom,
		       const char *device)
{
	for (GSList *l = dom->writers; l; l = l->next) {
		const struct console *c = l->data;

		if (c->stream.session == session && c->fd >= 0 &&
		    (!device[0] || g_str_equal(c->alias, device) ||
		     g_str_equal(c->asked, device)))
			return true;
	}
	return false;
}

static void console_free(struct stream *stream)
{
	struct console *c = container_of(stream, struct console, stream);

	writer_end(c);
	g_free(c->alias);
	g_free(c->asked);
	if (c->client_paused)
		rpc_conn_resume(session_conn(stream->session));
	g_clear_handle_id(&c->in_source, g_source_remove);
	g_clear_handle_id(&c->out_source, g_source_remove);
	g_byte_array_unref(c->input);
	fd_close(&c->fd);
	g_free(c);
}

/* ---- guest to client ---- */

static void console_no_more(struct console *c)
{
	/* Never a finish that the client did not ask for: it ends the stream when it sees this. */
	rpc_stream_eof(session_conn(c->stream.session), &c->stream.hdr);
	g_clear_handle_id(&c->out_source, g_source_remove);
	fd_close(&c->fd);
	console_watch(c);		/* nobody takes what the client was paused for */
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct console *c = opaque;
	struct rpc_conn *conn = session_conn(c->stream.session);
	uint8_t buf[READ_BYTES];
	ssize_t n = read(fd, buf, sizeof(buf));

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		c->in_source = 0;
		console_no_more(c);
		return G_SOURCE_REMOVE;
	}
	rpc_stream_data(conn, &c->stream.hdr, buf, (size_t)n);
	if (rpc_conn_queued(conn) < QUEUED_MAX)
		return G_SOURCE_CONTINUE;
	c->in_source = 0;		/* console_drained() goes on */
	return G_SOURCE_REMOVE;
}

static void console_drained(struct stream *stream)
{
	struct console *c = container_of(stream, struct console, stream);

	if (c->fd >= 0 && !c->in_source)
		c->in_source = g_unix_fd_add(c->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_readable, c);
}

/* ---- client to guest ---- */

/* False when the worker's end is closed: what is typed then goes nowhere. */
static bool input_write(struct console *c)
{
	while (c->input->len > 0) {
		ssize_t n = write(c->fd, c->input->data, c->input->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN;
		g_byte_array_remove_range(c->input, 0, (guint)n);
	}
	return true;
}

static gboolean on_writable(int fd, GIOCondition condition, void *opaque)
{
	struct console *c = opaque;

	c->out_source = 0;
	console_watch(c);
	return G_SOURCE_REMOVE;
}

/* Writes what can be written, waits for what can't, and pauses or goes on with the client. */
static void console_watch(struct console *c)
{
	struct rpc_conn *conn = session_conn(c->stream.session);
	bool much;

	if (c->fd < 0 || !input_write(c))
		g_byte_array_set_size(c->input, 0);
	if (c->fd >= 0 && c->input_ended && c->input->len == 0)
		shutdown(c->fd, SHUT_WR);
	if (c->input->len > 0 && !c->out_source)
		c->out_source = g_unix_fd_add(c->fd, G_IO_OUT, on_writable, c);
	much = c->input->len > INPUT_MAX;
	if (much != c->client_paused) {
		c->client_paused = much;
		if (much)
			rpc_conn_pause(conn);
		else
			rpc_conn_resume(conn);
	}
}

static void console_data(struct stream *stream, const void *data, size_t bytes)
{
	struct console *c = container_of(stream, struct console, stream);

	if (c->fd < 0 || c->input_ended)
		return;
	c->input_ended = c->relayed && bytes == 0;
	g_byte_array_append(c->input, data, (guint)bytes);
	console_watch(c);
}

static void console_finish(struct stream *stream, bool abort)
{
	struct console *c = container_of(stream, struct console, stream);

	/*
	 * A guest that reads nothing would hold up the answer for ever: what
	 * it has not taken is lost.
	 */
	if (!abort && c->fd >= 0)
		input_write(c);
	rpc_stream_finish(session_conn(stream->session), &stream->hdr);
	session_remove_stream(stream);
}

static const struct stream_ops console_ops = {
	.data = console_data,
	.finish = console_finish,
	.drained = console_drained,
	.free = console_free,
};

/* ---- opening ---- */

/* Our own program's clients are told where in the journal the stream begins. */
static void open_reply(struct call *call, const worker_console_ret *place)
{
	vmm_console_ret ret = { place->device ?: (char *)"", place->run, place->position };

	call_reply(call, call->hdr.program == FRAME_PROGRAM_VMM ? &ret : NULL);
}

struct opening {
	struct call *call;
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	char *device;
	bool types;
};

static struct console *console_new(struct opening *o, int fd, const worker_console_ret *place)
{
	struct console *c = g_new0(struct console, 1);

	c->stream.ops = &console_ops;
	c->stream.hdr = o->call->hdr;
	c->fd = fd;
	c->input = g_byte_array_new();
	c->daemon = o->daemon;
	memcpy(c->uuid, o->uuid, UUID_BYTES);
	c->asked = g_steal_pointer(&o->device);
	c->alias = g_strdup(place->device && place->device[0] ? place->device : c->asked);
	return c;
}

static void opened(struct opening *o, int fd, const worker_console_ret *place)
{
	struct session *session = o->call->session;
	struct domain *dom = domain_find_uuid(o->daemon->domains, o->uuid);
	struct console *c;

	if (!session) {
		open_reply(o->call, place);
		close(fd);
		return;
	}
	c = console_new(o, fd, place);
	open_reply(o->call, place);	/* before any data */
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	session_add_stream(session, &c->stream);
	if (dom && o->types)
		writer_begin(c, dom);
	console_drained(&c->stream);
}

static void on_opened(int fd, const void *place, const GError *error, void *opaque)
{
	struct opening *o = opaque;

	if (error)
		call_fail(o->call, error);
	else
		opened(o, fd, place);
	g_free(o->device);
	g_free(o);
}

void console_open(struct call *call, struct domain *dom, const char *device, unsigned mode,
		  bool replay)
{
	worker_console_args args = {
		.device = (char *)device, .mode = mode, .who = (char *)session_who(call->session),
		.replay_bytes = replay ? REPLAY_BYTES : 0,
	};
	struct opening *o;

	o = g_new(struct opening, 1);
	*o = (struct opening){ .call = call, .daemon = dom->daemon, .device = g_strdup(device),
			       .types = mode != WORKER_CONSOLE_READ };
	memcpy(o->uuid, dom->uuid, UUID_BYTES);
	link_console(dom->link, &args, on_opened, o);
}

void console_relay(struct session *session, const struct frame_header *hdr, int fd)
{
	struct console *c = g_new0(struct console, 1);

	c->stream.ops = &console_ops;
	c->stream.hdr = *hdr;
	c->fd = fd;
	c->relayed = true;
	c->input = g_byte_array_new();
	g_unix_set_fd_nonblocking(fd, TRUE, NULL);
	session_add_stream(session, &c->stream);
	console_drained(&c->stream);
}
