/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The TLS listener, on a thread of its own: what strangers make us compute
 * before they have shown a certificate never holds up the main loop.
 *
 * A connection that has been let in becomes a pipe to a socket pair, whose
 * other end the main loop gets as an ordinary client.  Those that have not
 * are bounded in number and time, and the oldest of them makes room: so a
 * thousand that say nothing delay a proper client by nothing.
 *
 * Owner of all in here: the thread "vmmd-tls".
 */
#include "config.h"
#include "vmmd/tls.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/socket.h>

#include "libvmm/rpc/tls.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/owner.h"
#include "vmmd/door.h"
#include "vmmd/server.h"

#define HANDSHAKE_MS 10000
#define HANDSHAKES_MAX 64
#define CLIENTS_MAX 400			/* of the 1000 that all may be: local ones keep room */
#define ACCEPT_TURN 16
#define TELL_MAX 30			/* refusals in the log, a minute: strangers write there */
#define RELOAD_US G_USEC_PER_SEC	/* at most so often the files are looked at */

struct tls_server {
	struct server *server;		/* the main loop's; only passed on */
	struct owner_thread *thread;
	GMainContext *ctx;
	struct tls_creds *creds;
	char *folder, *priority, **allow;
	gint64 looked_us;
	GPtrArray *listeners;		/* GSocket */
	GPtrArray *doors;		/* struct door of each */
	GQueue strangers;		/* struct visitor, the oldest first */
	GPtrArray *clients;		/* struct visitor */
	gint64 told_us;			/* when the minute began whose refusals are counted */
	unsigned told;
};

struct visitor {
	struct tls_server *tls;
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
		g_ptr_array_remove_fast(v->tls->clients, v);
	else if (g_queue_remove(&v->tls->strangers, v))
		visitor_free(v);
}

static void visitor_tell(const struct visitor *v, const char *why)
{
	struct tls_server *tls = v->tls;
	gint64 now = g_get_monotonic_time();

	if (now - tls->told_us > 60 * G_USEC_PER_SEC) {
		tls->told_us = now;
		tls->told = 0;
	}
	if (++tls->told <= TELL_MAX)
		g_message("TLS client from %s: %s", v->from, why);
	else if (tls->told == TELL_MAX + 1)
		g_message("more TLS clients fail; no more of that in this minute");
}

/* ---- in ---- */

static bool on_permit(struct tls_pipe *pipe, const char *dn, void *opaque)
{
	const struct visitor *v = opaque;

	for (char **at = v->tls->allow; at && *at; at++)
		if (g_pattern_match_simple(*at, dn))
			return true;
	return !v->tls->allow;
}

/* What the main loop is told: the listener may have gone before it looks. */
struct arrival {
	struct server *server;
	int fd;
	char *dn, *from;
};

static void arrival_deliver(void *arg)
{
	struct arrival *a = arg;

	server_take(a->server, a->fd, a->dn, a->from);
	g_free(a->dn);
	g_free(a->from);
	g_free(a);
}

static void on_open(struct tls_pipe *pipe, void *opaque)
{
	struct visitor *v = opaque;
	struct tls_server *tls = v->tls;
	struct arrival *a;
	int ends[2];

	if (tls->clients->len >= CLIENTS_MAX ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		visitor_tell(v, "no room for it");
		visitor_leave(v);
		return;
	}
	g_queue_remove(&tls->strangers, v);
	g_ptr_array_add(tls->clients, v);
	v->inside = true;
	tls_pipe_attach(pipe, ends[0]);
	a = g_new(struct arrival, 1);
	*a = (struct arrival){ tls->server, ends[1], g_strdup(tls_pipe_peer(pipe)),
			       g_strdup(v->from) };
	owner_post(g_main_context_default(), arrival_deliver, a);
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
static void creds_renew(struct tls_server *tls)
{
	gint64 now = g_get_monotonic_time();
	g_autoptr(GError) error = NULL;
	struct tls_creds *creds;

	if (now - tls->looked_us < RELOAD_US || !tls_creds_changed(tls->creds))
		return;
	tls->looked_us = now;
	creds = tls_creds_load(TLS_SERVER, tls->folder, tls->priority, &error);
	if (!creds) {
		g_warning("the certificates have changed, the old ones stay in use: %s",
			  error->message);
		return;
	}
	tls_creds_unref(tls->creds);
	tls->creds = creds;
	g_message("TLS: the new certificates are in use");
}

static char *address_text(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_storage room;
	} sa;
	socklen_t bytes = sizeof(sa);
	g_autoptr(GSocketAddress) address = NULL;

	if (getpeername(fd, &sa.any, &bytes) == 0)
		address = g_socket_address_new_from_native(&sa, bytes);
	return address ? g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(address)) :
			 g_strdup("?");
}

static void visitor_new(struct tls_server *tls, int fd)
{
	struct visitor *v = g_new0(struct visitor, 1);
	struct visitor *oldest = g_queue_peek_head(&tls->strangers);

	if (tls->strangers.length >= HANDSHAKES_MAX) {
		visitor_tell(oldest, "had to make room before it has shown a certificate");
		visitor_leave(oldest);
	}
	v->tls = tls;
	v->from = address_text(fd);
	v->pipe = tls_pipe_new(tls->ctx, tls->creds, NULL, fd, HANDSHAKE_MS, &pipe_ops, v);
	g_queue_push_tail(&tls->strangers, v);
}

static void on_come(int fd, void *opaque)
{
	struct tls_server *tls = opaque;

	creds_renew(tls);
	visitor_new(tls, fd);
}

/* ---- listening ---- */

static GSocket *socket_listen(GInetAddress *ip, unsigned port, GError **error)
{
	g_autoptr(GSocketAddress) address = g_inet_socket_address_new(ip, port);
	g_autoptr(GSocket) s = g_socket_new(g_inet_address_get_family(ip), G_SOCKET_TYPE_STREAM,
					    G_SOCKET_PROTOCOL_TCP, error);

	if (!s || !g_socket_bind(s, address, TRUE, error))
		return NULL;
	g_socket_set_listen_backlog(s, SOMAXCONN);
	g_socket_set_blocking(s, FALSE);
	return g_socket_listen(s, error) ? g_steal_pointer(&s) : NULL;
}

static void listener_add(struct tls_server *tls, GSocket *s)
{
	g_autoptr(GSocketAddress) at = g_socket_get_local_address(s, NULL);
	g_autofree char *text =
		at ? g_socket_connectable_to_string(G_SOCKET_CONNECTABLE(at)) : NULL;

	g_ptr_array_add(tls->listeners, s);
	g_ptr_array_add(tls->doors, door_new(tls->ctx, g_socket_get_fd(s), ACCEPT_TURN, on_come,
					     tls));
	g_message("TLS clients are served at %s", text ? text : "?");
}

/* An address, no name: what a name means may change, and asking for it takes time. */
static bool listen_at(struct tls_server *tls, const char *where, GError **error)
{
	g_autoptr(GSocketConnectable) parsed = g_network_address_parse(where, TLS_PORT, NULL);
	const char *host = parsed ? g_network_address_get_hostname(G_NETWORK_ADDRESS(parsed)) :
				    where;
	unsigned port = parsed ? g_network_address_get_port(G_NETWORK_ADDRESS(parsed)) : TLS_PORT;
	g_autoptr(GInetAddress) ip = g_inet_address_new_from_string(host);
	g_autoptr(GError) why = NULL;
	GSocket *s;

	if (!ip)
		return error_set(error, VMM_ERR_INVALID_ARG, "--tls-listen: '%s' is not ADDRESS or "
				 "ADDRESS:PORT; [::]:16514 is all of them", where);
	s = socket_listen(ip, port, &why);
	if (!s)
		return error_set(error, VMM_ERR_SYSTEM, "listen for TLS clients at '%s': %s", where,
				 why->message);
	listener_add(tls, s);
	return true;
}

static bool listen_all(struct tls_server *tls, char **listen, GError **error)
{
	g_autoptr(GSocket) probe = g_socket_new(G_SOCKET_FAMILY_IPV6, G_SOCKET_TYPE_STREAM,
						G_SOCKET_PROTOCOL_TCP, NULL);
	/* [::] takes IPv4, too; not every host has IPv6 */
	char *everywhere[] = { (char *)(probe ? "::" : "0.0.0.0"), NULL };

	for (char **at = listen ? listen : everywhere; *at; at++)
		if (!listen_at(tls, *at, error))
			return false;
	return true;
}

struct tls_server *tls_server_new(struct server *server, const struct tls_policy *policy,
				  GError **error)
{
	struct tls_server *tls = g_new0(struct tls_server, 1);

	tls->server = server;
	tls->folder = g_strdup(policy->folder);
	tls->priority = g_strdup(policy->priority);
	tls->allow = g_strdupv(policy->allow);
	tls->listeners = g_ptr_array_new_with_free_func(g_object_unref);
	tls->doors = g_ptr_array_new_with_free_func((GDestroyNotify)door_free);
	tls->clients = g_ptr_array_new_with_free_func(visitor_free);
	g_queue_init(&tls->strangers);
	tls->thread = owner_thread_new("vmmd-tls");
	tls->ctx = owner_thread_context(tls->thread);
	tls->creds = tls_creds_load(TLS_SERVER, tls->folder, tls->priority, error);
	if (!tls->creds || !listen_all(tls, policy->listen, error))
		g_clear_pointer(&tls, tls_server_free);
	return tls;
}

static void server_stop(void *arg)
{
	struct tls_server *tls = arg;

	g_ptr_array_set_size(tls->doors, 0);
	g_ptr_array_set_size(tls->listeners, 0);
	g_queue_clear_full(&tls->strangers, visitor_free);
	g_ptr_array_set_size(tls->clients, 0);
}

void tls_server_free(struct tls_server *tls)
{
	if (!tls)
		return;
	owner_call(tls->ctx, server_stop, tls);
	owner_thread_free(tls->thread);
	tls_creds_unref(tls->creds);
	g_ptr_array_unref(tls->doors);
	g_ptr_array_unref(tls->listeners);
	g_ptr_array_unref(tls->clients);
	g_strfreev(tls->allow);
	g_free(tls->folder);
	g_free(tls->priority);
	g_free(tls);
}
