/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One reader of a console: what it is sent, what it types, what it is polled for. */
#include "config.h"
#include "libvmm/device/hub-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <inttypes.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define CHUNK_BYTES 8192
#define ROUND_BYTES (64 * 1024)		/* for one reader, before others have their turn */
#define BACKLOG_BYTES (64 * 1024)

/* --- output --- */

static void reader_missed(struct hub_reader *r, uint64_t bytes)
{
	r->pos += bytes;
	atomic_fetch_add(&r->hub->missed_bytes, bytes);
	/* One line for all of them, as long as it has not been told. */
	bytes += r->notice_len > 0 ? r->missed_bytes : 0;
	r->missed_bytes = bytes;
	r->notice_len = (unsigned)g_snprintf(r->notice, sizeof(r->notice),
					     "\r\n[%" PRIu64 " bytes missed]\r\n", bytes);
}

/* The reader's next bytes, out of the ring; 0 when it has them all. */
static size_t reader_peek(struct hub_reader *r, uint8_t *buf, size_t size)
{
	struct hub *hub = r->hub;
	size_t at, n, first;

	pthread_mutex_lock(&hub->lock);
	if (hub->total - r->pos > HUB_RING_BYTES)
		reader_missed(r, hub->total - r->pos - HUB_RING_BYTES);
	at = r->pos % HUB_RING_BYTES;
	n = MIN(size, hub->total - r->pos);
	first = MIN(n, HUB_RING_BYTES - at);
	memcpy(buf, hub->ring + at, first);
	memcpy(buf + first, hub->ring, n - first);
	pthread_mutex_unlock(&hub->lock);
	return n;
}

/* Bytes written, or -errno. */
static ssize_t reader_write(struct hub_reader *r, const void *data, size_t len)
{
	ssize_t n = send(r->out_fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(r->out_fd, data, len);
	return n < 0 ? -errno : n;
}

static ssize_t reader_write_notice(struct hub_reader *r)
{
	ssize_t n = reader_write(r, r->notice + r->notice_off, r->notice_len - r->notice_off);

	if (n > 0)
		r->notice_off += (unsigned)n;
	if (r->notice_off == r->notice_len)
		r->notice_off = r->notice_len = 0;
	return n;
}

static ssize_t reader_write_output(struct hub_reader *r)
{
	uint8_t buf[CHUNK_BYTES];
	size_t len = reader_peek(r, buf, sizeof(buf));
	ssize_t n = 0;

	if (r->notice_len > 0)
		return reader_write_notice(r);
	if (len > 0)
		n = reader_write(r, buf, len);
	if (n > 0)
		r->pos += (uint64_t)n;
	r->hub->busy |= n > 0;
	return n;
}

void hub_reader_flush(struct hub_reader *r)
{
	ssize_t n = 1;

	r->blocked = false;
	for (size_t done = 0; done < ROUND_BYTES && n != 0; done += n > 0 ? (size_t)n : 0) {
		/* A notice once begun is finished before anything can overwrite it. */
		if (r->notice_off > 0)
			n = reader_write_notice(r);
		else
			n = reader_write_output(r);
		if (n == -EAGAIN) {
			r->blocked = true;
			return;
		}
		if (n < 0 && n != -EINTR) {
			hub_reader_drop(r);
			return;
		}
	}
}

/* --- input --- */

static size_t hub_room(struct hub *hub)
{
	size_t room = hub->ops ? hub->ops->room(hub->dev) : 0;

	if (room > 0)
		return room;
	atomic_store(&hub->starved, true);
	room = hub->ops ? hub->ops->room(hub->dev) : 0;
	if (room > 0)
		atomic_store(&hub->starved, false);
	return room;
}

static void hub_input(struct hub *hub, const uint8_t *data, size_t len)
{
	if (len == 0)
		return;
	atomic_fetch_add(&hub->in_bytes, len);
	hub->ops->input(hub->dev, data, len);
}

/* Hand on what is between the escape bytes. */
static void reader_input(struct hub_reader *r, const uint8_t *data, size_t len)
{
	struct hub *hub = r->hub;
	const uint8_t *hit;

	while (r->escapes && hub->escape >= 0 && len > 0 &&
	       (hit = memchr(data, hub->escape, len))) {
		hub_input(hub, data, (size_t)(hit - data));
		len -= (size_t)(hit + 1 - data);
		data = hit + 1;
		hub->escape_fn(hub->escape_arg);
	}
	hub_input(hub, data, len);
}

void hub_backlog_pump(struct hub *hub)
{
	size_t room = hub->backlog->len > 0 ? hub_room(hub) : 0;
	size_t n = MIN(room, hub->backlog->len);

	if (n == 0)
		return;
	hub_input(hub, hub->backlog->data, n);
	g_byte_array_remove_range(hub->backlog, 0, (guint)n);
}

static void reader_read(struct hub_reader *r)
{
	struct hub *hub = r->hub;
	uint8_t buf[CHUNK_BYTES];
	size_t room = sizeof(buf);
	ssize_t n;

	if (r->writes)
		room = hub->backlog->len > 0 ? 0 : MIN(room, hub_room(hub));
	if (room == 0)
		return;
	n = read(r->in_fd, buf, room);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		/* half closed: it may go on reading; HUP tells of the rest */
		r->input_ended = true;
	else if (r->writes)
		reader_input(r, buf, (size_t)n);
}

/* Its last words, which wait for room, outlive it. */
static void reader_rescue_input(struct hub_reader *r)
{
	GByteArray *backlog = r->hub->backlog;
	uint8_t buf[CHUNK_BYTES];

	while (r->writes && !r->input_ended && backlog->len < BACKLOG_BYTES) {
		ssize_t n = recv(r->in_fd, buf, MIN(sizeof(buf), BACKLOG_BYTES - backlog->len),
				 MSG_DONTWAIT);
		if (n <= 0)
			return;
		g_byte_array_append(backlog, buf, (guint)n);
	}
}

/* --- readers --- */

static bool fd_unblock(int fd)
{
	int flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static void fd_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

struct hub_reader *hub_reader_add(struct hub *hub, const char *who, int in_fd, int out_fd,
				  uint64_t replay_bytes)
{
	struct hub_reader *r = g_new0(struct hub_reader, 1);

	*r = (struct hub_reader){ .hub = hub, .in_fd = in_fd, .out_fd = out_fd };
	r->who = g_strdup(who);
	r->restore_in = fd_unblock(in_fd);
	r->restore_out = fd_unblock(out_fd);
	r->input_ended = in_fd < 0;
	pthread_mutex_lock(&hub->lock);
	r->pos = hub->total - MIN(MIN(replay_bytes, HUB_RING_BYTES), hub->total);
	pthread_mutex_unlock(&hub->lock);
	g_ptr_array_add(hub->readers, r);
	hub_wake(hub);
	return r;
}

/* It takes no further part; freed when nobody walks the list. */
void hub_reader_drop(struct hub_reader *r)
{
	if (r->dead)
		return;
	r->dead = true;
	r->exclusive = false;
	hub_wake(r->hub);
}

static void reader_unpoll(struct hub_reader *r, void **tag)
{
	if (*tag)
		g_source_remove_unix_fd(r->hub->source, *tag);
	*tag = NULL;
}

void hub_reader_free(void *arg)
{
	struct hub_reader *r = arg;

	reader_unpoll(r, &r->in_tag);
	reader_unpoll(r, &r->out_tag);
	if (r->restore_out)
		fd_block(r->out_fd);
	if (r->restore_in)
		fd_block(r->in_fd);
	if (r->listener)
		hub_listener_client_left(r->listener);
	if (r->out_fd != r->in_fd)
		fd_close(&r->out_fd);
	fd_close(&r->in_fd);
	g_free(r->who);
	g_free(r);
}

struct hub_reader *hub_writer(struct hub *hub)
{
	for (guint i = 0; i < hub->readers->len; i++) {
		struct hub_reader *r = hub->readers->pdata[i];

		if (r->exclusive && !r->dead)
			return r;
	}
	return NULL;
}

/* The one that loses the line hears of it; a terminal of our own may go on watching. */
static void reader_taken_over(struct hub_reader *r, const char *who)
{
	g_autofree char *text = g_strdup_printf("\r\n[taken over by %s]\r\n", who);

	reader_write(r, text, strlen(text));
	r->exclusive = r->writes = false;
	if (!r->escapes)
		hub_reader_drop(r);
}

bool hub_writer_set(struct hub *hub, struct hub_reader *r, bool take_over, GError **error)
{
	struct hub_reader *other = hub_writer(hub);

	if (other && !take_over)
		return error_set(error, VMM_ERR_OPERATION_FAILED,
				 "console '%s' is in use by %s; attach read-only or take it over",
				 hub->name, other->who);
	if (other)
		reader_taken_over(other, r ? r->who : "another");
	if (r)
		r->exclusive = r->writes = true;
	return true;
}

/* --- the round --- */

static GIOCondition reader_events(const struct hub_reader *r, void *tag)
{
	return tag ? g_source_query_unix_fd(r->hub->source, tag) : 0;
}

void hub_reader_round(struct hub_reader *r)
{
	GIOCondition out = reader_events(r, r->out_tag);
	GIOCondition in = r->in_fd == r->out_fd ? out : reader_events(r, r->in_tag);

	if (out & (G_IO_HUP | G_IO_ERR)) {
		reader_rescue_input(r);
		hub_reader_drop(r);
		return;
	}
	if (in & (G_IO_IN | G_IO_HUP) && !r->input_ended)
		reader_read(r);
	if (r->out_fd >= 0 && (!r->blocked || out & G_IO_OUT))
		hub_reader_flush(r);
}

static void reader_poll(struct hub_reader *r, void **tag, int fd, GIOCondition events)
{
	if (*tag)
		g_source_modify_unix_fd(r->hub->source, *tag, events);
	else
		*tag = g_source_add_unix_fd(r->hub->source, fd, events);
}

/*
 * What to poll for; true when it waits for the next byte of output.  An input
 * of its own is not polled at all while it must wait: a pipe whose far end has
 * gone would wake us for ever.
 */
bool hub_reader_settle(struct hub_reader *r, bool starved)
{
	bool typing = !r->input_ended && !(r->writes && (starved || r->hub->backlog->len > 0));
	GIOCondition in = typing ? G_IO_IN : 0;
	GIOCondition out = r->blocked ? G_IO_OUT : 0;

	if (r->in_fd == r->out_fd) {
		reader_poll(r, &r->out_tag, r->out_fd, in | out);
	} else {
		if (typing)
			reader_poll(r, &r->in_tag, r->in_fd, in);
		else
			reader_unpoll(r, &r->in_tag);
		if (r->out_fd >= 0)
			reader_poll(r, &r->out_tag, r->out_fd, out);
	}
	return r->out_fd >= 0 && !r->blocked;
}
