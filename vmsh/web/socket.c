/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * WebSockets: viewers of the fleet, and terminals.  A page's key comes among
 * the subprotocols, the one header of theirs that a script can set.
 */
#include "config.h"
#include "vmsh/web/server-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/web/term.h"

#define PROTOCOL "vmsh"
#define KEY_PREFIX "key."
#define PING_S 20
#define INCOMING_MAX 16384
#define TEXT "text/plain; charset=utf-8"

/* One picture is on its way to it, at most: the next is sent when it has arrived. */
struct viewer {
	struct web_server *s;
	SoupWebsocketConnection *socket;
	bool busy, late;	/* late: there is a newer one */
};

/* ---- viewers ---- */

static void viewer_free(void *arg)
{
	struct viewer *v = arg;

	g_signal_handlers_disconnect_by_data(v->socket, v);
	g_object_unref(v->socket);
	g_free(v);
}

static void viewer_show(struct viewer *v)
{
	v->late = v->busy;
	if (v->busy || soup_websocket_connection_get_state(v->socket) != SOUP_WEBSOCKET_STATE_OPEN)
		return;
	v->busy = true;
	soup_websocket_connection_send_text(v->socket, v->s->fleet);
}

static void on_fleet(const char *json, void *opaque)
{
	struct web_server *s = opaque;

	g_free(s->fleet);
	s->fleet = g_strdup(json);
	for (unsigned i = 0; i < s->viewers->len; i++)
		viewer_show(s->viewers->pdata[i]);
}

/* Whatever it says, it has got the last one. */
static void on_viewer_said(SoupWebsocketConnection *socket, int type, GBytes *message,
			   struct viewer *v)
{
	v->busy = false;
	if (v->late)
		viewer_show(v);
}

static void on_viewer_closed(SoupWebsocketConnection *socket, struct viewer *v)
{
	struct web_server *s = v->s;

	g_ptr_array_remove_fast(s->viewers, v);
	if (s->viewers->len > 0)
		return;
	watch_set(s->watch, false);
	g_clear_pointer(&s->fleet, g_free);
}

static void viewer_new(struct web_server *s, SoupWebsocketConnection *socket)
{
	struct viewer *v = g_new0(struct viewer, 1);

	v->s = s;
	v->socket = g_object_ref(socket);
	g_signal_connect(socket, "message", G_CALLBACK(on_viewer_said), v);
	g_signal_connect(socket, "closed", G_CALLBACK(on_viewer_closed), v);
	g_ptr_array_add(s->viewers, v);
	if (s->viewers->len == 1)
		watch_set(s->watch, true);
	else if (s->fleet)
		viewer_show(v);
}

/* ---- terminals ---- */

static void on_term_gone(struct term *t, void *opaque)
{
	struct web_server *s = opaque;

	g_ptr_array_remove_fast(s->terms, t);
}

static const char *word(GHashTable *query, const char *key)
{
	const char *value = query ? g_hash_table_lookup(query, key) : NULL;

	return value ? value : "";
}

static enum term_mode mode_of(const char *text)
{
	return g_str_equal(text, "take") ? TERM_TAKE_OVER :
	       g_str_equal(text, "watch") ? TERM_WATCH :
					     TERM_WRITE;
}

static void term_begin(struct web_server *s, SoupWebsocketConnection *socket, const char *what,
		       SoupServerMessage *msg)
{
	const char *text = g_uri_get_query(soup_server_message_get_uri(msg));
	g_autoptr(GHashTable) query =
		g_uri_parse_params(text ? text : "", -1, "&", G_URI_PARAMS_NONE, NULL);
	const struct term_opts opts = {
		.kind = g_str_equal(what, "shell") ? TERM_SHELL : TERM_CONSOLE,
		.mode = s->sh->connect_flags & VMM_CONNECT_RO ? TERM_WATCH :
								mode_of(word(query, "mode")),
		.uri = s->uri,
		.connect_flags = s->sh->connect_flags,
		.uuid = word(query, "domain"),
		.columns = (unsigned)g_ascii_strtoull(word(query, "columns"), NULL, 10),
		.rows = (unsigned)g_ascii_strtoull(word(query, "rows"), NULL, 10),
	};

	g_ptr_array_add(s->terms, term_new(socket, &opts, on_term_gone, s));
}

/* ---- who may open one ---- */

/* "vmsh, key.SECRET" */
static char *key_of(SoupMessageHeaders *in)
{
	const char *text = soup_message_headers_get_list(in, "Sec-WebSocket-Protocol");
	g_auto(GStrv) words = g_strsplit(text ? text : "", ",", 8);

	for (char **p = words; *p; p++) {
		const char *w = g_strstrip(*p);

		if (g_str_has_prefix(w, KEY_PREFIX))
			return g_strdup(w + strlen(KEY_PREFIX));
	}
	return NULL;
}

static const char *const kinds[] = {
	SOCKETS_FOLDER "/fleet", SOCKETS_FOLDER "/console", SOCKETS_FOLDER "/shell", NULL,
};

/* Runs before the upgrade, which a status prevents. */
static void on_asked(SoupServer *soup, SoupServerMessage *msg, const char *path,
		     GHashTable *query, void *opaque)
{
	struct web_server *s = opaque;
	SoupMessageHeaders *in = soup_server_message_get_request_headers(msg);
	g_autofree char *key = key_of(in);

	if (!gate_origin_allowed(soup_message_headers_get_list(in, "Host"),
				 soup_message_headers_get_list(in, "Origin")))
		http_answer(msg, SOUP_STATUS_FORBIDDEN, TEXT, "Another page's origin.\n");
	else if (!gate_knows(s->gate, soup_message_headers_get_list(in, "Cookie"), key,
			     g_get_monotonic_time()))
		http_answer(msg, SOUP_STATUS_UNAUTHORIZED, TEXT, "You are not signed in.\n");
	else if (!g_strv_contains(kinds, path))
		http_answer(msg, SOUP_STATUS_NOT_FOUND, TEXT, "There is no such socket.\n");
	else if (s->viewers->len + s->terms->len >= SOCKETS_MAX)
		http_answer(msg, SOUP_STATUS_SERVICE_UNAVAILABLE, TEXT, "Too many are open.\n");
}

static void on_socket(SoupServer *soup, SoupServerMessage *msg, const char *path,
		      SoupWebsocketConnection *socket, void *opaque)
{
	struct web_server *s = opaque;

	soup_websocket_connection_set_max_incoming_payload_size(socket, INCOMING_MAX);
	soup_websocket_connection_set_keepalive_interval(socket, PING_S);
	if (g_str_equal(path, SOCKETS_FOLDER "/fleet"))
		viewer_new(s, socket);
	else
		term_begin(s, socket, path + strlen(SOCKETS_FOLDER "/"), msg);
}

void sockets_init(struct web_server *s)
{
	static char *protocols[] = { (char *)PROTOCOL, NULL };

	s->viewers = g_ptr_array_new_with_free_func(viewer_free);
	s->terms = g_ptr_array_new();
	s->watch = watch_new(s->sh, s->uri, on_fleet, s);
	/* A small message could unpack to a large one. */
	soup_server_remove_websocket_extension(s->soup, SOUP_TYPE_WEBSOCKET_EXTENSION_DEFLATE);
	soup_server_add_handler(s->soup, SOCKETS_FOLDER, on_asked, s, NULL);
	soup_server_add_websocket_handler(s->soup, SOCKETS_FOLDER, NULL, protocols, on_socket, s,
					  NULL);
}

void sockets_done(struct web_server *s)
{
	for (unsigned i = 0; i < s->terms->len; i++)
		term_end(s->terms->pdata[i], "vmsh web has ended");
	while (s->terms->len > 0)
		g_main_context_iteration(NULL, TRUE);
	g_clear_pointer(&s->watch, watch_free);
	for (unsigned i = 0; i < s->viewers->len; i++) {
		struct viewer *v = s->viewers->pdata[i];

		g_signal_handlers_disconnect_by_data(v->socket, v);
		if (soup_websocket_connection_get_state(v->socket) == SOUP_WEBSOCKET_STATE_OPEN)
			soup_websocket_connection_close(v->socket,
							SOUP_WEBSOCKET_CLOSE_GOING_AWAY, NULL);
	}
	g_clear_pointer(&s->viewers, g_ptr_array_unref);
	g_ptr_array_unref(s->terms);
}
