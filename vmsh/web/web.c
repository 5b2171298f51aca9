/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "web": serving until ^C, and the link that lets somebody in. */
#include "config.h"
#include "vmsh/web/web.h"

#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/rc.h"
#include "vmsh/web/server.h"

#define KEY_AGAIN_S 1

struct web {
	struct shell *sh;
	struct web_server *server;
	GMainLoop *loop;
	GSource *keys;		/* NULL: nobody types, or not to us */
};

/* "127.0.0.1:8000", "[::1]:8000", "localhost:8000" */
static GSocketAddress *address_parse(const char *text, GError **error)
{
	const char *colon = strrchr(text, ':');
	g_autofree char *host = colon ? g_strndup(text, (gsize)(colon - text)) : NULL;
	size_t n = host ? strlen(host) : 0;
	GSocketAddress *address = NULL;
	guint64 port;

	if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
		host[n - 1] = 0;
		memmove(host, host + 1, n - 1);
	}
	if (host && g_str_equal(host, "localhost"))
		memcpy(host, "127.0.0.1", sizeof("127.0.0.1"));
	if (host && g_ascii_string_to_unsigned(colon + 1, 10, 0, 65535, &port, NULL))
		address = g_inet_socket_address_new_from_string(host, (guint)port);
	if (!address)
		error_set(error, VMM_ERR_INVALID_ARG,
			  "'%s' is no address and port, as in " WEB_LISTEN " or [::1]:8000", text);
	return address;
}

static bool is_loopback(GSocketAddress *address)
{
	return g_inet_address_get_is_loopback(
		g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address)));
}

static void link_print(struct web *w)
{
	g_autofree char *link = web_server_link(w->server);

	printf("%s\n", link);
	shell_say(w->sh, "This link lets in one browser, within %d minutes.%s", GATE_TOKEN_MINUTES,
		  w->keys ? " Enter makes another; Ctrl-C ends." : "");
	fflush(stdout);
}

static gboolean on_key(int fd, GIOCondition condition, void *opaque);

static gboolean keys_watch(void *opaque)
{
	struct web *w = opaque;

	w->keys = g_unix_fd_source_new(STDIN_FILENO, G_IO_IN | G_IO_HUP);
	g_source_set_callback(w->keys, G_SOURCE_FUNC(on_key), w, NULL);
	g_source_attach(w->keys, NULL);
	return G_SOURCE_REMOVE;
}

static gboolean on_key(int fd, GIOCondition condition, void *opaque)
{
	struct web *w = opaque;
	char line[256];
	ssize_t n;

	/* In the background what is typed is another's, and reading it would stop us. */
	if (tcgetpgrp(fd) != getpgrp()) {
		g_clear_pointer(&w->keys, g_source_unref);
		g_timeout_add_seconds(KEY_AGAIN_S, keys_watch, w);
		return G_SOURCE_REMOVE;
	}
	n = read(fd, line, sizeof(line));
	if (n > 0) {
		link_print(w);
		return G_SOURCE_CONTINUE;
	}
	g_clear_pointer(&w->keys, g_source_unref);
	return G_SOURCE_REMOVE;
}

static gboolean on_interrupt(int fd, GIOCondition condition, void *opaque)
{
	g_main_loop_quit(((struct web *)opaque)->loop);
	return G_SOURCE_REMOVE;
}

static void serve(struct web *w)
{
	guint interrupt;

	w->loop = g_main_loop_new(NULL, FALSE);
	interrupt = g_unix_fd_add(w->sh->interrupt_fd, G_IO_IN, on_interrupt, w);
	if (isatty(STDIN_FILENO))
		keys_watch(w);
	link_print(w);
	g_main_loop_run(w->loop);
	if (w->keys) {
		g_source_destroy(w->keys);
		g_source_unref(w->keys);
	}
	while (g_source_remove_by_user_data(w))
		;
	(void)interrupt;	/* it is gone by its own word */
	g_main_loop_unref(w->loop);
}

bool web_run(struct shell *sh, const struct web_opts *opts, GError **error)
{
	g_autoptr(GSocketAddress) address = address_parse(opts->listen, error);
	g_autoptr(web_server) server = NULL;
	struct web w = { .sh = sh };

	if (!address)
		return false;
	if (!is_loopback(address) && !opts->expose)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "other machines can reach %s, and what is typed would pass the "
				 "network in plain text; ssh -L 8000:127.0.0.1:8000 HOST is safe, "
				 "--expose says that it is meant", opts->listen);
	if (!is_loopback(address))
		fprintf(stderr, "warning: other machines can reach this page, and nothing of it "
				"is encrypted\n");
	/* The user hears now, not in the browser, that there is no daemon. */
	if (!shell_connect(sh, error))
		return false;
	server = web_server_new(sh, rc_uri(sh, sh->uri), address, opts->names, error);
	if (!server)
		return false;
	w.server = server;
	serve(&w);
	return true;
}
