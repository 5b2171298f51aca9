/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pages by HTTP and WebSocket: listening, and the life of it all. */
#include "config.h"
#include "vmsh/web/server-priv.h"

#include "vmsh/web/deed.h"

#define CONNECTIONS_MAX 96
#define SILENT_S 60			/* so long may a connection say nothing */

static void on_connection_gone(void *opaque, GObject *connection)
{
	struct web_server *s = opaque;

	g_hash_table_remove(s->connections, connection);
}

static gboolean on_incoming(GSocketService *listener, GSocketConnection *connection,
			    GObject *source, void *opaque)
{
	struct web_server *s = opaque;
	g_autoptr(GSocketAddress) here =
		g_socket_connection_get_local_address(connection, NULL);
	g_autoptr(GSocketAddress) there =
		g_socket_connection_get_remote_address(connection, NULL);

	if (g_hash_table_size(s->connections) >= CONNECTIONS_MAX)
		return TRUE;		/* closed when nobody holds it any more */
	g_socket_set_timeout(g_socket_connection_get_socket(connection), SILENT_S);
	g_hash_table_add(s->connections, connection);
	g_object_weak_ref(G_OBJECT(connection), on_connection_gone, s);
	soup_server_accept_iostream(s->soup, G_IO_STREAM(connection), here, there, NULL);
	return TRUE;
}

static void connections_forget(struct web_server *s)
{
	GHashTableIter iter;
	void *connection;

	g_hash_table_iter_init(&iter, s->connections);
	while (g_hash_table_iter_next(&iter, &connection, NULL))
		g_object_weak_unref(connection, on_connection_gone, s);
	g_hash_table_unref(s->connections);
}

static char *place_text(GSocketAddress *address, unsigned *ret_port)
{
	GInetSocketAddress *inet = G_INET_SOCKET_ADDRESS(address);
	g_autofree char *ip =
		g_inet_address_to_string(g_inet_socket_address_get_address(inet));
	bool six = g_socket_address_get_family(address) == G_SOCKET_FAMILY_IPV6;

	*ret_port = g_inet_socket_address_get_port(inet);
	return g_strdup_printf(six ? "[%s]:%u" : "%s:%u", ip, *ret_port);
}

struct web_server *web_server_new(struct shell *sh, const char *uri, GSocketAddress *listen,
				  const char *const *names, GError **error)
{
	g_autoptr(GSocketService) listener = g_socket_service_new();
	g_autoptr(GSocketAddress) here = NULL;
	struct web_server *s;
	unsigned port;

	if (!g_socket_listener_add_address(G_SOCKET_LISTENER(listener), listen,
					   G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL,
					   &here, error)) {
		g_autofree char *place = place_text(listen, &port);

		g_prefix_error(error, "listen on %s: ", place);
		return NULL;
	}
	s = g_new0(struct web_server, 1);
	s->sh = sh;
	s->uri = g_strdup(uri);
	s->place = place_text(here, &port);
	s->gate = gate_new(port, names);
	s->connections = g_hash_table_new(NULL, NULL);
	s->deeds = deed_pool_new();
	s->soup = soup_server_new(NULL, NULL);
	http_init(s);
	sockets_init(s);
	s->listener = g_steal_pointer(&listener);
	g_signal_connect(s->listener, "incoming", G_CALLBACK(on_incoming), s);
	return s;
}

void web_server_free(struct web_server *s)
{
	if (!s)
		return;
	g_socket_service_stop(s->listener);
	g_socket_listener_close(G_SOCKET_LISTENER(s->listener));
	sockets_done(s);
	g_thread_pool_free(s->deeds, TRUE, TRUE);
	while (g_main_context_iteration(NULL, FALSE))
		;			/* what deeds had to tell */
	soup_server_disconnect(s->soup);
	g_object_unref(s->soup);
	g_object_unref(s->listener);
	connections_forget(s);
	gate_free(s->gate);
	g_free(s->fleet);
	g_free(s->place);
	g_free(s->uri);
	g_free(s);
}

char *web_server_link(struct web_server *s)
{
	return g_strdup_printf("http://%s/#%s", s->place,
			       gate_token_new(s->gate, g_get_monotonic_time()));
}
