/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* TCP sockets that listen for TLS clients. */
#include "config.h"
#include "vmmd/tls/listen.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libvmm/rpc/tls.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define TAKEN_TIMES 40		/* our predecessor is about to end, and has the port until then */
#define TAKEN_US 50000

/* Host and port of `where`, for the caller to free. */
static void place_parse(const char *where, char **ret_host, char **ret_port)
{
	const char *close = where[0] == '[' ? strchr(where, ']') : NULL;
	const char *colon = strrchr(close ?: where, ':');

	if (!close && colon && colon != strchr(where, ':'))
		colon = NULL;		/* a bare IPv6 address */
	if (close)
		*ret_host = g_strndup(where + 1, (gsize)(close - where - 1));
	else
		*ret_host = colon ? g_strndup(where, (gsize)(colon - where)) : g_strdup(where);
	*ret_port = colon ? g_strdup(colon + 1) : g_strdup_printf("%u", TLS_PORT);
}

static int bind_when_free(int fd, const struct addrinfo *at)
{
	for (unsigned i = 0; bind(fd, at->ai_addr, at->ai_addrlen) < 0; i++) {
		if (errno != EADDRINUSE || i == TAKEN_TIMES)
			return -1;
		g_usleep(TAKEN_US);
	}
	return 0;
}

static int listen_on(const struct addrinfo *at)
{
	auto_close int fd =
		socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind_when_free(fd, at) < 0 || listen(fd, SOMAXCONN) < 0)
		return -1;
	return TAKE_FD(fd);
}

int tls_listen_at(const char *where, GError **error)
{
	const struct addrinfo hints = {
		.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM,
	};
	g_autofree char *host = NULL, *port = NULL;
	struct addrinfo *list;
	int fd;

	place_parse(where, &host, &port);
	if (!*host || !*port || getaddrinfo(host, port, &hints, &list)) {
		error_set(error, VMM_ERR_INVALID_ARG, "--tls-listen: '%s' is not ADDRESS or "
			  "ADDRESS:PORT; [::]:16514 is all of them", where);
		return -1;
	}
	fd = listen_on(list);
	if (fd < 0)
		error_set(error, VMM_ERR_SYSTEM, "listen for TLS clients at '%s': %s", where,
			  g_strerror(errno));
	freeaddrinfo(list);
	return fd;
}

int tls_listen_everywhere(GError **error)
{
	/* [::] takes IPv4, too; not every host has IPv6 */
	auto_close int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return tls_listen_at(probe >= 0 ? "::" : "0.0.0.0", error);
}
