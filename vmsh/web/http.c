/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Requests: the page's files, which anybody may have, the exchange of a token
 * for a session, and deeds.
 *
 * The token is behind the # of the link, which no browser sends: the page takes
 * it from there and posts it, so that it stands in no log and no Referer, and
 * nothing that fetches links in advance uses it up.
 */
#include "config.h"
#include "vmsh/web/server-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "vmsh/json.h"
#include "vmsh/web/deed.h"
#include "vmsh/web/said.h"

#define TOO_MANY_REQUESTS 429		/* RFC 6585; libsoup has no name for it */
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"
#define RESOURCES "/org/libvmm/web"
#define NONCE "@NONCE@"			/* where the page wants it */
#define BODY "vmsh-body"		/* of a request, as the message's data */

void vmsh_web_register_resource(void);	/* made by glib-compile-resources */

static const struct {
	const char *path, *file, *type;
} files[] = {
	{ "/", "/index.html", "text/html; charset=utf-8" },
	{ "/app.css", "/app.css", "text/css; charset=utf-8" },
	{ "/app.js", "/app.js", "text/javascript; charset=utf-8" },
	{ "/fleet.js", "/fleet.js", "text/javascript; charset=utf-8" },
	{ "/snapshots.js", "/snapshots.js", "text/javascript; charset=utf-8" },
	{ "/terminal.js", "/terminal.js", "text/javascript; charset=utf-8" },
	{ "/icon.svg", "/icon.svg", "image/svg+xml" },
	{ "/xterm.js", "/xterm.js", "text/javascript; charset=utf-8" },
	{ "/xterm.css", "/xterm.css", "text/css; charset=utf-8" },
	{ "/xterm-licence.txt", "/xterm-licence.txt", TEXT },
};

static void headers_set(SoupServerMessage *msg)
{
	static const char *const headers[][2] = {
		{ "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'" },
		{ "X-Content-Type-Options", "nosniff" },
		{ "X-Frame-Options", "DENY" },
		{ "Referrer-Policy", "no-referrer" },
		{ "Cross-Origin-Opener-Policy", "same-origin" },
		{ "Cross-Origin-Resource-Policy", "same-origin" },
		{ "Cache-Control", "no-store" },
	};
	SoupMessageHeaders *out = soup_server_message_get_response_headers(msg);

	for (unsigned i = 0; i < ARRAY_SIZE(headers); i++)
		soup_message_headers_replace(out, headers[i][0], headers[i][1]);
}

static void answer_bytes(SoupServerMessage *msg, unsigned status, const char *type,
			 const char *data, size_t bytes)
{
	headers_set(msg);
	soup_server_message_set_status(msg, status, NULL);
	soup_server_message_set_response(msg, type, SOUP_MEMORY_COPY, data, bytes);
}

void http_answer(SoupServerMessage *msg, unsigned status, const char *type, const char *text)
{
	answer_bytes(msg, status, type, text, strlen(text));
}

static void answer_error(SoupServerMessage *msg, unsigned status, const char *text)
{
	struct json *j = json_new_line();
	g_autofree char *body = NULL;

	json_begin_object(j, NULL);
	json_string(j, "error", text);
	json_end(j);
	body = json_finish(j);
	http_answer(msg, status, JSON, body);
}

/* ---- the page ---- */

/* xterm.js makes style elements of its own: they are told by the nonce that the page gives them. */
static void page_send(SoupServerMessage *msg, const char *page, const char *type)
{
	g_autofree char *nonce = g_uuid_string_random();
	g_autofree char *policy = g_strdup_printf(
		"default-src 'none'; script-src 'self'; connect-src 'self'; "
		"img-src 'self' data:; style-src 'self' 'nonce-%s'; "
		"style-src-attr 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
		"frame-ancestors 'none'", nonce);
	g_auto(GStrv) parts = g_strsplit(page, NONCE, 0);
	g_autofree char *text = g_strjoinv(nonce, parts);

	http_answer(msg, SOUP_STATUS_OK, type, text);
	soup_message_headers_replace(soup_server_message_get_response_headers(msg),
				     "Content-Security-Policy", policy);
}

static void file_send(SoupServerMessage *msg, const char *path)
{
	for (unsigned i = 0; i < ARRAY_SIZE(files); i++) {
		g_autofree char *name = g_strconcat(RESOURCES, files[i].file, NULL);
		g_autoptr(GBytes) bytes = NULL;
		const char *data;
		size_t n;

		if (!g_str_equal(path, files[i].path))
			continue;
		bytes = g_resources_lookup_data(name, 0, NULL);
		if (!bytes)
			break;
		data = g_bytes_get_data(bytes, &n);
		if (i == 0)	/* it ends with a NUL that is not counted */
			page_send(msg, data, files[i].type);
		else
			answer_bytes(msg, SOUP_STATUS_OK, files[i].type, data, n);
		return;
	}
	http_answer(msg, SOUP_STATUS_NOT_FOUND, TEXT, "There is no such page.\n");
}

/* ---- requests that do something ---- */

static bool known(struct web_server *s, SoupServerMessage *msg)
{
	SoupMessageHeaders *in = soup_server_message_get_request_headers(msg);

	return gate_knows(s->gate, soup_message_headers_get_list(in, "Cookie"),
			  soup_message_headers_get_one(in, "X-Vmsh-Key"),
			  g_get_monotonic_time());
}

static void login_answer(struct web_server *s, SoupServerMessage *msg,
			 const struct gate_pass *pass)
{
	g_autofree char *cookie = g_strdup_printf(
		"%s=%s; Path=/; HttpOnly; SameSite=Strict", gate_cookie_name(s->gate),
		pass->cookie);
	struct json *j = json_new_line();
	g_autofree char *body = NULL;

	json_begin_object(j, NULL);
	json_string(j, "key", pass->key);
	json_end(j);
	body = json_finish(j);
	http_answer(msg, SOUP_STATUS_OK, JSON, body);
	soup_message_headers_replace(soup_server_message_get_response_headers(msg),
				     "Set-Cookie", cookie);
}

static void login(struct web_server *s, SoupServerMessage *msg, const GString *body)
{
	g_auto(said) words = { 0 };
	struct gate_pass pass = { 0 };

	said_parse(body->str, body->len, &words);
	switch (gate_login(s->gate, words.token, g_get_monotonic_time(), &pass)) {
	case GATE_IN:
		login_answer(s, msg, &pass);
		break;
	case GATE_WRONG:
		answer_error(msg, SOUP_STATUS_FORBIDDEN,
			     "This link has been used, or is too old.");
		break;
	case GATE_WAIT:
		answer_error(msg, TOO_MANY_REQUESTS,
			     "Too many wrong links: wait a few seconds.");
		break;
	}
	explicit_bzero(&pass, sizeof(pass));
}

struct asked {
	struct web_server *s;
	SoupServerMessage *msg;
	bool gone;		/* the browser did not wait */
};

static void on_finished(SoupServerMessage *msg, struct asked *a)
{
	a->gone = true;
}

static void on_deed(const char *json, const GError *error, void *opaque)
{
	struct asked *a = opaque;

	g_signal_handlers_disconnect_by_data(a->msg, a);
	if (!a->gone) {
		if (error)
			answer_error(a->msg, SOUP_STATUS_CONFLICT, error->message);
		else
			http_answer(a->msg, SOUP_STATUS_OK, JSON, json);
		soup_server_message_unpause(a->msg);
	}
	if (a->s->watch)
		watch_soon(a->s->watch);
	g_object_unref(a->msg);
	g_free(a);
}

static void ask(struct web_server *s, SoupServerMessage *msg, const GString *body)
{
	struct asked *a = g_new0(struct asked, 1);
	g_autoptr(GError) error = NULL;

	a->s = s;
	a->msg = g_object_ref(msg);
	if (!deed_begin(s->deeds, s->sh, s->uri, body->str, body->len, on_deed, a, &error)) {
		answer_error(msg, SOUP_STATUS_BAD_REQUEST, error->message);
		g_object_unref(msg);
		g_free(a);
		return;
	}
	g_signal_connect(msg, "finished", G_CALLBACK(on_finished), a);
	soup_server_message_pause(msg);
}

/* ---- all of them ---- */

static void on_chunk(SoupServerMessage *msg, GBytes *chunk, GString *body)
{
	size_t n;
	const void *data = g_bytes_get_data(chunk, &n);

	if (body->len + n <= DEED_BYTES_MAX)
		g_string_append_len(body, data, (gssize)n);
}

static void body_free(void *body)
{
	g_string_free(body, TRUE);
}

/* NULL: fine.  What is said of the body is checked before any of it is read. */
static const char *post_refused(SoupServerMessage *msg, const char *host)
{
	SoupMessageHeaders *in = soup_server_message_get_request_headers(msg);

	if (!gate_origin_allowed(host, soup_message_headers_get_list(in, "Origin")))
		return "Only this server's own page may ask for that.";
	if (soup_message_headers_get_encoding(in) != SOUP_ENCODING_CONTENT_LENGTH ||
	    soup_message_headers_get_content_length(in) > DEED_BYTES_MAX)
		return "That is too long, or does not say how long it is.";
	return NULL;
}

/* Before the body is read. */
static void on_headers(SoupServer *soup, SoupServerMessage *msg, const char *path,
		       GHashTable *query, void *opaque)
{
	struct web_server *s = opaque;
	SoupMessageHeaders *in = soup_server_message_get_request_headers(msg);
	const char *host = soup_message_headers_get_list(in, "Host");
	const char *method = soup_server_message_get_method(msg), *why = NULL;
	GString *body;

	if (!gate_host_allowed(s->gate, host)) {
		http_answer(msg, SOUP_STATUS_MISDIRECTED_REQUEST, TEXT,
			    "This server is not asked by that name; vmsh web --name adds one.\n");
		return;
	}
	if (method == SOUP_METHOD_POST)
		why = post_refused(msg, host);
	else if (method != SOUP_METHOD_GET && method != SOUP_METHOD_HEAD)
		why = "There is nothing to do this way.";
	if (why) {
		answer_error(msg, SOUP_STATUS_FORBIDDEN, why);
		return;
	}
	soup_message_body_set_accumulate(soup_server_message_get_request_body(msg), FALSE);
	body = g_string_new(NULL);
	g_object_set_data_full(G_OBJECT(msg), BODY, body, body_free);
	g_signal_connect(msg, "got-chunk", G_CALLBACK(on_chunk), body);
}

static void on_request(SoupServer *soup, SoupServerMessage *msg, const char *path,
		       GHashTable *query, void *opaque)
{
	struct web_server *s = opaque;
	const GString *body = g_object_get_data(G_OBJECT(msg), BODY);

	if (soup_server_message_get_method(msg) != SOUP_METHOD_POST)
		file_send(msg, path);
	else if (g_str_equal(path, "/login"))
		login(s, msg, body);
	else if (!known(s, msg))
		answer_error(msg, SOUP_STATUS_UNAUTHORIZED, "You are not signed in.");
	else if (g_str_equal(path, "/hello"))
		http_answer(msg, SOUP_STATUS_OK, JSON, "{}\n");
	else if (g_str_equal(path, "/do"))
		ask(s, msg, body);
	else
		answer_error(msg, SOUP_STATUS_NOT_FOUND, "There is nothing to do here.");
}

void http_init(struct web_server *s)
{
	vmsh_web_register_resource();
	/* One handler has a request, that of the longest path: sockets want this one, too. */
	soup_server_add_early_handler(s->soup, NULL, on_headers, s, NULL);
	soup_server_add_early_handler(s->soup, SOCKETS_FOLDER, on_headers, s, NULL);
	soup_server_add_handler(s->soup, NULL, on_request, s, NULL);
}
