/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ways to become a console's reader: stream socket, descriptor, listening socket. */
#include "config.h"
#include "libvmm/device/hub-priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* Far more than a fleet manager opens; each costs two descriptors. */
#define READERS_MAX 64

static bool hub_has_place(struct hub *hub, GError **error)
{
	if (hub->readers->len < READERS_MAX)
		return true;
	return error_set(error, VMM_ERR_OPERATION_FAILED, "console '%s' has %u readers already",
			 hub->name, hub->readers->len);
}

static bool hub_attach_mode(struct hub *hub, enum hub_mode mode, const char *who, GError **error)
{
	return hub_has_place(hub, error) &&
	       (mode != HUB_WRITE || hub_writer_set(hub, NULL, false, error));
}

int hub_attach(struct hub *hub, enum hub_mode mode, const char *who, uint64_t replay_bytes,
	       uint64_t *ret_pos, GError **error)
{
	struct hub_reader *r;
	int fds[2];

	if (!hub_attach_mode(hub, mode, who, error))
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
		error_errno(error, errno, "console '%s'", hub->name);
		return -1;
	}
	r = hub_reader_add(hub, who, fds[0], fds[0], replay_bytes);
	if (ret_pos)
		*ret_pos = r->pos;
	if (mode != HUB_READ)
		hub_writer_set(hub, r, true, NULL);
	return fds[1];
}

bool hub_attach_fd(struct hub *hub, enum hub_mode mode, const char *who, int in_fd, int out_fd,
		   GError **error)
{
	struct hub_reader *r;

	if (!hub_attach_mode(hub, mode, who, error)) {
		if (out_fd != in_fd)
			fd_close(&out_fd);
		fd_close(&in_fd);
		return false;
	}
	r = hub_reader_add(hub, who, in_fd, out_fd, UINT64_MAX);
	r->escapes = true;
	if (mode != HUB_READ)
		hub_writer_set(hub, r, true, NULL);
	return true;
}

/* --- listening sockets --- */

static bool listener_is_open(const struct hub_listener *l)
{
	return !l->client;
}

static void listener_accept(struct hub *hub, struct hub_listener *l)
{
	int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	l->client = hub_reader_add(hub, "a client of its socket", fd, fd,
				   l->replay_bytes);
	l->client->listener = l;
	l->client->writes = true;
	g_source_modify_unix_fd(hub->source, l->tag, 0);
}

void hub_listeners_run(struct hub *hub)
{
	for (guint i = 0; i < hub->listeners->len; i++) {
		struct hub_listener *l = hub->listeners->pdata[i];

		if (listener_is_open(l) && g_source_query_unix_fd(hub->source, l->tag) & G_IO_IN)
			listener_accept(hub, l);
		g_source_modify_unix_fd(hub->source, l->tag, listener_is_open(l) ? G_IO_IN : 0);
	}
}

void hub_listener_client_left(struct hub_listener *l)
{
	/*
	 * The next round polls for another: there is one, for this
	 * one's end is being dealt with.
	 */
	hub_wake(l->client->hub);
	l->client = NULL;
}

void hub_listener_free(void *arg)
{
	struct hub_listener *l = arg;

	fd_close(&l->fd);
	g_free(l);
}

bool hub_listen_fd(struct hub *hub, int fd, uint64_t replay_bytes, GError **error)
{
	struct hub_listener *l;
	int listening = 0;
	socklen_t len = sizeof(listening);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) < 0 || !listening) {
		fd_close(&fd);
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "console '%s': the descriptor is not a listening socket",
				 hub->name);
	}
	/* A client that gives up between poll and accept must not block the main loop. */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	l = g_new0(struct hub_listener, 1);
	l->fd = fd;
	l->replay_bytes = replay_bytes;
	l->tag = g_source_add_unix_fd(hub->source, fd, G_IO_IN);
	g_ptr_array_add(hub->listeners, l);
	return true;
}
