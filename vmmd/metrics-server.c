/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* HTTP for one resource. */
#include "config.h"
#include "vmmd/metrics-server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <glib-unix.h>
#include <grp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "libvmm/util/io.h"
#include "vmmd/bulk.h"
#include "vmmd/door.h"
#include "vmmd/http-head.h"
#include "vmmd/metrics.h"

#define CLIENTS_MAX 16u
#define REST_BYTES_MAX (1u << 20)
#define CLIENT_MS 10000		/* from its connection to the end of its answer */
#define FRESH_US G_USEC_PER_SEC	/* for so long an answer is given again */
#define N_FORMATS 2

struct metrics_server {
	struct daemon *daemon;
	int fd;
	struct door *door;
	char *path;			/* of a Unix socket; NULL */
	GPtrArray *clients;		/* struct client, the oldest first */
	char *text[N_FORMATS];
	size_t text_bytes[N_FORMATS];
	int64_t made_us[N_FORMATS];	/* monotonic; 0: never */
	struct round *asking[N_FORMATS];
};

struct client {
	struct metrics_server *server;
	int fd;
	guint source, timer;
	GString *in, *out;
	size_t sent, rest;		/* rest: bytes behind the head, which nobody wants */
	bool waiting;			/* for the round of its format */
	struct http_head head;
};

/* Workers are asked; it outlives a server that is freed meanwhile. */
struct round {
	struct metrics_server *server;	/* NULL: nobody wants to know any more */
	enum metrics_format format;
};

/* ---- clients ---- */

static void client_free(void *p)
{
	struct client *c = p;

	g_clear_handle_id(&c->source, g_source_remove);
	g_clear_handle_id(&c->timer, g_source_remove);
	g_string_free(c->in, TRUE);
	g_string_free(c->out, TRUE);
	close(c->fd);
	g_free(c);
}

static void client_end(struct client *c)
{
	g_ptr_array_remove(c->server->clients, c);
}

/* A close with bytes unread would be a reset, which may overtake the answer. */
static gboolean on_rest(int fd, GIOCondition condition, void *opaque)
{
	struct client *c = opaque;
	char bytes[4096];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	c->rest += n > 0 ? (size_t)n : 0;
	if (n > 0 && c->rest <= REST_BYTES_MAX)
		return G_SOURCE_CONTINUE;
	c->source = 0;
	client_end(c);
	return G_SOURCE_REMOVE;
}

static gboolean on_writable(int fd, GIOCondition condition, void *opaque)
{
	struct client *c = opaque;
	ssize_t n = send(c->fd, c->out->str + c->sent, c->out->len - c->sent, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	c->sent += n > 0 ? (size_t)n : 0;
	if (n > 0 && c->sent < c->out->len)
		return G_SOURCE_CONTINUE;
	c->source = 0;
	if (n > 0 && shutdown(c->fd, SHUT_WR) == 0)
		c->source = g_unix_fd_add(c->fd, G_IO_IN, on_rest, c);
	else
		client_end(c);
	return G_SOURCE_REMOVE;
}

static void answer(struct client *c, int status, const char *type, const char *body, size_t bytes)
{
	g_clear_handle_id(&c->source, g_source_remove);
	g_string_append_printf(c->out, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n"
			       "Content-Length: %zu\r\n%sConnection: close\r\n\r\n", status,
			       http_reason(status), type, bytes,
			       status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!c->head.head_only)
		g_string_append_len(c->out, body, (gssize)bytes);
	c->source = g_unix_fd_add(c->fd, G_IO_OUT, on_writable, c);
}

static void refuse(struct client *c, int status)
{
	g_autofree char *body = g_strdup_printf("%s\n", http_reason(status));

	answer(c, status, "text/plain; charset=utf-8", body, strlen(body));
}

static enum metrics_format format_of(const struct client *c)
{
	return c->head.openmetrics ? METRICS_OPENMETRICS : METRICS_PROMETHEUS;
}

static void answer_metrics(struct client *c)
{
	enum metrics_format f = format_of(c);

	c->waiting = false;
	answer(c, 200, metrics_content_type(f), c->server->text[f], c->server->text_bytes[f]);
}

static void on_metrics(const GPtrArray *records, void *opaque)
{
	g_autofree struct round *round = opaque;
	struct metrics_server *s = round->server;
	enum metrics_format f = round->format;
	GString *text;

	if (!s)
		return;
	text = metrics_text(records, f);
	g_free(s->text[f]);
	s->text_bytes[f] = text->len;
	s->text[f] = g_string_free(text, FALSE);
	s->made_us[f] = g_get_monotonic_time();
	s->asking[f] = NULL;
	for (unsigned i = 0; i < s->clients->len; i++) {
		struct client *c = s->clients->pdata[i];

		if (c->waiting && format_of(c) == f)
			answer_metrics(c);
	}
}

static void ask(struct client *c)
{
	struct metrics_server *s = c->server;
	enum metrics_format f = format_of(c);
	g_autoptr(GPtrArray) all = NULL;

	if (s->made_us[f] && g_get_monotonic_time() - s->made_us[f] < FRESH_US) {
		answer_metrics(c);
		return;
	}
	c->waiting = true;
	if (s->asking[f])
		return;
	s->asking[f] = g_new(struct round, 1);
	*s->asking[f] = (struct round){ s, f };
	all = domain_table_list(s->daemon->domains);
	bulk_ask(s->daemon, all, STATS_OURS, NULL, on_metrics, s->asking[f]);
}

static void take_head(struct client *c, size_t bytes)
{
	int status = http_head_parse(c->in->str, bytes, &c->head);

	if (status == 200 && !g_str_equal(c->head.path, "/metrics"))
		status = 404;
	if (status == 200)
		ask(c);
	else
		refuse(c, status);
}

static gboolean on_readable(int fd, GIOCondition condition, void *opaque)
{
	struct client *c = opaque;
	char bytes[2048];
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);
	size_t head;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0) {
		c->source = 0;
		client_end(c);
		return G_SOURCE_REMOVE;
	}
	g_string_append_len(c->in, bytes, n);
	head = http_head_length(c->in->str, c->in->len);
	if (!head && c->in->len <= HTTP_HEAD_BYTES_MAX)
		return G_SOURCE_CONTINUE;
	c->source = 0;
	if (head && head <= HTTP_HEAD_BYTES_MAX)
		take_head(c, head);
	else
		refuse(c, 431);
	return G_SOURCE_REMOVE;
}

static gboolean on_late(void *opaque)
{
	struct client *c = opaque;

	c->timer = 0;
	client_end(c);
	return G_SOURCE_REMOVE;
}

/* For the next one: the oldest of those that have not said what they want, else the oldest. */
static void make_room(struct metrics_server *s)
{
	struct client *leaves = s->clients->pdata[0];

	for (unsigned i = s->clients->len; i-- > 0;) {
		struct client *c = s->clients->pdata[i];

		if (!c->waiting && c->out->len == 0)
			leaves = c;
	}
	client_end(leaves);
}

static void on_come(int peer, void *opaque)
{
	struct metrics_server *s = opaque;
	struct client *c;

	if (s->clients->len >= CLIENTS_MAX)
		make_room(s);
	c = g_new0(struct client, 1);
	c->server = s;
	c->fd = peer;
	c->in = g_string_new(NULL);
	c->out = g_string_new(NULL);
	c->source = g_unix_fd_add(peer, G_IO_IN, on_readable, c);
	c->timer = g_timeout_add(CLIENT_MS, on_late, c);
	g_ptr_array_add(s->clients, c);
}

/* ---- where it listens ---- */

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* "127.0.0.1:9177", "[::1]:9177"; names are not looked up: they may lead anywhere. */
static bool loopback_parse(const char *text, union address *ret, socklen_t *ret_bytes)
{
	const char *colon = strrchr(text, ':');
	g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;
	guint64 port;

	*ret = (union address){ 0 };
	if (!host || !g_ascii_string_to_unsigned(colon + 1, 10, 1, 65535, &port, NULL))
		return false;
	if (g_str_equal(host, "[::1]")) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_addr = in6addr_loopback;
		ret->in6.sin6_port = htons((uint16_t)port);
		*ret_bytes = sizeof(ret->in6);
		return true;
	}
	ret->in.sin_family = AF_INET;
	ret->in.sin_port = htons((uint16_t)port);
	*ret_bytes = sizeof(ret->in);
	return inet_pton(AF_INET, host, &ret->in.sin_addr) == 1 &&
	       ntohl(ret->in.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

static bool is_off(const char *text)
{
	return !text || g_str_equal(text, "off");
}

bool metrics_address_check(const char *text, GError **error)
{
	union address address;
	socklen_t bytes;

	if (is_off(text) || g_str_equal(text, "unix") || loopback_parse(text, &address, &bytes))
		return true;
	if (*text == '/' && strlen(text) < sizeof(((struct sockaddr_un *)NULL)->sun_path))
		return true;
	return error_set(error, VMM_ERR_INVALID_ARG, "--metrics %s: off, unix, the path of a "
			 "socket, or an address of the loopback, as 127.0.0.1:9177", text);
}

/* The same people as at vmmd.sock. */
static void path_share(const struct daemon *daemon, const char *path)
{
	const struct group *group = daemon->system_mode ? getgrnam("vmm") : NULL;

	if (group && chown(path, (uid_t)-1, group->gr_gid) < 0)
		g_warning("who may use '%s': %s", path, g_strerror(errno));
}

static int listen_at(const union address *address, socklen_t bytes, const char *text,
		     GError **error)
{
	auto_close int fd = socket(address->any.sa_family,
				   SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0 &&
	    bind(fd, &address->any, bytes) == 0 && listen(fd, (int)CLIENTS_MAX) == 0)
		return TAKE_FD(fd);
	error_errno(error, errno, "serve metrics at '%s'", text);
	return -1;
}

static int server_socket(struct metrics_server *s, const char *text, GError **error)
{
	union address address;
	socklen_t bytes;
	int fd;

	if (loopback_parse(text, &address, &bytes))
		return listen_at(&address, bytes, text, error);
	s->path = *text == '/' ? g_strdup(text) :
				 g_build_filename(s->daemon->run_dir, "metrics.sock", NULL);
	fd = io_listen_unix(s->path, s->daemon->system_mode ? 0660 : 0600, error);
	if (fd >= 0) {
		g_unix_set_fd_nonblocking(fd, TRUE, NULL);
		path_share(s->daemon, s->path);
	}
	return fd;
}

bool metrics_server_open(struct daemon *daemon, const char *text, GError **error)
{
	struct metrics_server *s;

	if (is_off(text))
		return true;
	s = g_new0(struct metrics_server, 1);
	s->daemon = daemon;
	s->clients = g_ptr_array_new_with_free_func(client_free);
	s->fd = server_socket(s, text, error);
	if (s->fd < 0) {
		g_clear_pointer(&s->path, g_free);	/* not ours to remove */
		metrics_server_free(s);
		return false;
	}
	s->door = door_new(NULL, s->fd, 1, on_come, s);
	daemon->metrics = s;
	return true;
}

void metrics_server_free(struct metrics_server *s)
{
	if (!s)
		return;
	door_free(s->door);
	g_ptr_array_unref(s->clients);
	for (unsigned i = 0; i < N_FORMATS; i++) {
		if (s->asking[i])
			s->asking[i]->server = NULL;
		g_free(s->text[i]);
	}
	fd_close(&s->fd);
	if (s->path)
		unlink(s->path);
	g_free(s->path);
	g_free(s);
}
