/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A listening socket, and whoever comes in. */
#include "config.h"
#include "vmmd/door.h"

#include <errno.h>
#include <glib-unix.h>
#include <stdbool.h>
#include <sys/socket.h>

#define REST_MS 100

struct door {
	GMainContext *ctx;
	GSource *source;		/* of the socket, or of the end of a rest */
	int listening;
	unsigned turn;
	door_fn *fn;
	void *opaque;
};

static void door_watch(struct door *door, GSource *source, GSourceFunc fn)
{
	if (door->source) {
		g_source_destroy(door->source);
		g_source_unref(door->source);
	}
	door->source = source;
	g_source_set_callback(source, fn, door, NULL);
	g_source_attach(source, door->ctx);
}

static void door_listen(struct door *door);

static gboolean on_rested(void *opaque)
{
	door_listen(opaque);
	return G_SOURCE_REMOVE;
}

/* It is not who comes that fails, but we: the next one would, too. */
static bool is_lack(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static gboolean on_ready(int listening, GIOCondition condition, void *opaque)
{
	struct door *door = opaque;

	for (unsigned i = 0; i < door->turn; i++) {
		int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			door->fn(fd, door->opaque);
			continue;
		}
		if (!is_lack(errno))
			break;
		door_watch(door, g_timeout_source_new(REST_MS), on_rested);
		return G_SOURCE_REMOVE;
	}
	return G_SOURCE_CONTINUE;
}

static void door_listen(struct door *door)
{
	door_watch(door, g_unix_fd_source_new(door->listening, G_IO_IN), G_SOURCE_FUNC(on_ready));
}

struct door *door_new(GMainContext *ctx, int listening, unsigned turn, door_fn *fn, void *opaque)
{
	struct door *door = g_new0(struct door, 1);

	*door = (struct door){
		.ctx = ctx, .listening = listening, .turn = turn, .fn = fn, .opaque = opaque,
	};
	door_listen(door);
	return door;
}

void door_free(struct door *door)
{
	if (!door)
		return;
	g_source_destroy(door->source);
	g_source_unref(door->source);
	g_free(door);
}
