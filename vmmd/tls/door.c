/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A connection that has been let in becomes a pipe to a socket pair, whose
 * other end vmmd gets as an ordinary client.  Those that have not are bounded in
 * number and time, and the oldest of them makes room: so a thousand that say
 * nothing delay a proper client by nothing.
 */
#include "config.h"
#include "vmmd/tls/door.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "vmmd/door.h"
#include "vmmd/tls/words.h"

#define HANDSHAKE_MS 10000
#define HANDSHAKES_MAX 64
#define CLIENTS_MAX 400			/* of the 1000 that all may be: local ones keep room */
#define ACCEPT_TURN 16
#define TELL_MAX 30			/* refusals in the log, a minute: strangers write there */
#define RELOAD_US G_USEC_PER_SEC	/* at most so often the files are looked at */

struct tls_door {
	struct tls_creds *creds;
	const char *folder, *priority;
	char **allow;
	gint64 looked_us;
	GArray *listeners;		/* struct listener */
	GQueue strangers;		/* struct visitor, the oldest first */
	GPtrArray *clients;		/* struct visitor */
	gint64 told_us;			/* when the minute began whose refusals are counted */
	unsigned told;
};

struct listener {
	int fd;
	struct door *door;
};

struct visitor {
	struct tls_door *door;
	struct tls_pipe *pipe;
	char *from;			/* address */
	bool inside;
};

static void visitor_free(void *opaque)
{
	struct visitor *v = opaque;

	tls_pipe_free(v->pipe);
	g_free(v->from);
	g_free(v);
}

static void visitor_leave(struct visitor *v)
{
	if (v->inside)
		g_ptr_array_remove_fast(v->door->clients, v);
	else if (g_queue_remove(&v->door->strangers, v))
		visitor_free(v);
}

static void visitor_tell(const struct visitor *v, const char *why)
{
	struct tls_door *door = v->door;
	gint64 now = g_get_monotonic_time();

	if (now - door->told_us > 60 * G_USEC_PER_SEC) {
		door->told_us = now;
		door->told = 0;
	}
	if (++door->told <= TELL_MAX)
		g_message("TLS client from %s: %s", v->from, why);
	else if (door->told == TELL_MAX + 1)
		g_message("more TLS clients fail; no more of that in this minute");
}

/* ---- in ---- */

static bool on_permit(struct tls_pipe *pipe, const char *dn, void *opaque)
{
	const struct visitor *v = opaque;

	if (strlen(dn) >= TLS_TEXT_MAX)		/* what is cut might look like another's */
		return false;
	for (char **at = v->door->allow; at && *at; at++)
		if (g_pattern_match_simple(*at, dn))
			return true;
	return !v->door->allow;
}

static void on_open(struct tls_pipe *pipe, void *opaque)
{
	struct visitor *v = opaque;
	struct tls_door *door = v->door;
	const char *dn = tls_pipe_peer(pipe);
	auto_close int ours = -1, theirs = -1;
	int ends[2];

	if (door->clients->len < CLIENTS_MAX &&
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) {
		ours = ends[0];
		theirs = ends[1];
	}
	if (ours < 0 || !tls_words_send(TLS_WORDS_FD, TLS_WORD_CLIENT,
					  dn && *dn ? dn : "a certificate without a name", v->from,
					  theirs)) {
		visitor_tell(v, "no room for it");
		visitor_leave(v);
		return;
	}
	g_queue_remove(&door->strangers, v);
	g_ptr_array_add(door->clients, v);
	v->inside = true;
	tls_pipe_attach(pipe, TAKE_FD(ours));
}

static void on_ended(struct tls_pipe *pipe, const GError *error, void *opaque)
{
	struct visitor *v = opaque;

	if (error)
		visitor_tell(v, error->message);
	visitor_leave(v);
}

static const struct tls_pipe_ops pipe_ops = {
	.permit = on_permit, .open = on_open, .ended = on_ended,
};

/* ---- at the door ---- */

/* Certificates run out and are renewed: who comes after that sees the new ones. */
static void creds_renew(struct tls_door *door)
{
	gint64 now = g_get_monotonic_time();
	g_autoptr(GError) error = NULL;
	struct tls_creds *creds;

	if (now - door->looked_us < RELOAD_US || !tls_creds_changed(door->creds))
		return;
	door->looked_us = now;
	creds = tls_creds_load(TLS_SERVER, door->folder, door->priority, &error);
	if (!creds) {
		g_warning("the certificates have changed, the old ones stay in use: %s",
			  error->message);
		return;
	}
	tls_creds_unref(door->creds);
	door->creds = creds;
	g_message("TLS: the new certificates are in use");
}

char *tls_door_address(int fd, bool peer)
{
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} sa;
	socklen_t bytes = sizeof(sa);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if ((peer ? getpeername(fd, &sa.any, &bytes) : getsockname(fd, &sa.any, &bytes)) < 0 ||
	    getnameinfo(&sa.any, bytes, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		return g_strdup("?");
	return g_strdup_printf(strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

static void visitor_new(struct tls_door *door, int fd)
{
	struct visitor *v = g_new0(struct visitor, 1);
	struct visitor *oldest = g_queue_peek_head(&door->strangers);

	if (door->strangers.length >= HANDSHAKES_MAX) {
		visitor_tell(oldest, "had to make room before it has shown a certificate");
		visitor_leave(oldest);
	}
	v->door = door;
	v->from = tls_door_address(fd, true);
	v->pipe = tls_pipe_new(NULL, door->creds, NULL, fd, HANDSHAKE_MS, &pipe_ops, v);
	g_queue_push_tail(&door->strangers, v);
}

static void on_come(int fd, void *opaque)
{
	creds_renew(opaque);
	visitor_new(opaque, fd);
}

/* ---- life ---- */

struct tls_door *tls_door_new(struct tls_creds *creds, const char *folder, const char *priority,
			      char **allow)
{
	struct tls_door *door = g_new0(struct tls_door, 1);

	*door = (struct tls_door){
		.creds = creds, .folder = folder, .priority = priority, .allow = allow,
		.listeners = g_array_new(FALSE, FALSE, sizeof(struct listener)),
		.clients = g_ptr_array_new_with_free_func(visitor_free),
	};
	g_queue_init(&door->strangers);
	return door;
}

void tls_door_listen(struct tls_door *door, int listening)
{
	struct listener l = { listening, door_new(NULL, listening, ACCEPT_TURN, on_come, door) };

	g_array_append_val(door->listeners, l);
}

void tls_door_free(struct tls_door *door)
{
	for (unsigned i = 0; i < door->listeners->len; i++) {
		struct listener *l = &g_array_index(door->listeners, struct listener, i);

		door_free(l->door);
		fd_close(&l->fd);
	}
	g_queue_clear_full(&door->strangers, visitor_free);
	g_ptr_array_unref(door->clients);
	g_array_unref(door->listeners);
	tls_creds_unref(door->creds);
	g_free(door);
}
