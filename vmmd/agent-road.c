/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ways to what answers in a guest. */
#include "config.h"
#include "vmmd/agent-road.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/link.h"
#include "vmmd/supervisor.h"

/* ---- a channel ---- */

struct dial_channel {
	agent_dialed *done;
	void *opaque;
};

static void on_channel(int fd, const void *place, const GError *error, void *opaque)
{
	g_autofree struct dial_channel *d = opaque;

	d->done(fd, error, d->opaque);
}

void agent_dial_channel(struct domain *dom, const char *name, const char *who, agent_dialed *done,
			void *opaque)
{
	struct dial_channel *d = g_new(struct dial_channel, 1);
	worker_console_args args = {
		.device = (char *)name, .mode = WORKER_CONSOLE_WRITE, .who = (char *)who,
	};

	*d = (struct dial_channel){ done, opaque };
	link_console(dom->link, &args, on_channel, d);
}

bool agent_has_channel(const domain_def *def, const char *name)
{
	for (unsigned i = 0; i < def->channels->len; i++) {
		const struct chardev_def *c = def->channels->pdata[i];

		if (!g_strcmp0(c->name, name))
			return true;
	}
	return false;
}

/* ---- vsock ---- */

/* A connection whose first line, "OK PORT", has not come. */
struct dial {
	agent_dialed *done;
	void *opaque;
	int fd;
	guint readable, late;
	char line[32];
	size_t n;
};

/* Takes what it is about; why NULL: it has come about. */
static void dial_end(struct dial *d, const char *why)
{
	g_autoptr(GError) error = why ? g_error_new_literal(VMM_ERROR, VMM_ERR_AGENT, why) : NULL;

	g_clear_handle_id(&d->readable, g_source_remove);
	g_clear_handle_id(&d->late, g_source_remove);
	d->done(error ? -1 : TAKE_FD(d->fd), error, d->opaque);
	fd_close(&d->fd);
	g_free(d);
}

static gboolean on_late(void *opaque)
{
	struct dial *d = opaque;

	d->late = 0;
	dial_end(d, "the guest does not answer at its vsock");
	return G_SOURCE_REMOVE;
}

/* Byte by byte: what follows the line is not ours. */
static gboolean on_answer(int fd, GIOCondition condition, void *opaque)
{
	struct dial *d = opaque;
	ssize_t n = read(fd, d->line + d->n, 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0 || d->n == sizeof(d->line) - 1) {
		d->readable = 0;
		dial_end(d, "nobody listens at the guest's vsock, or not yet");
		return G_SOURCE_REMOVE;
	}
	if (d->line[d->n++] != '\n')
		return G_SOURCE_CONTINUE;
	d->readable = 0;
	dial_end(d, g_str_has_prefix(d->line, "OK ") ? NULL :
						       "the vsock gives no answer that is one");
	return G_SOURCE_REMOVE;
}

static gboolean on_unreachable(void *opaque)
{
	struct dial *d = opaque;

	d->late = 0;
	dial_end(d, "nobody is at its vsock, or not yet");
	return G_SOURCE_REMOVE;
}

static bool dial(struct dial *d, const struct domain *dom, uint32_t port)
{
	g_autofree char *ask = g_strdup_printf("CONNECT %u\n", port);

	d->fd = supervisor_dial(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text, "vsock.sock", NULL);
	if (d->fd >= 0)
		g_unix_set_fd_nonblocking(d->fd, TRUE, NULL);
	return d->fd >= 0 && write(d->fd, ask, strlen(ask)) == (ssize_t)strlen(ask);
}

void agent_dial_vsock(struct domain *dom, uint32_t port, agent_dialed *done, void *opaque)
{
	struct dial *d = g_new0(struct dial, 1);

	*d = (struct dial){ .done = done, .opaque = opaque, .fd = -1 };
	if (!dial(d, dom, port)) {
		d->late = g_idle_add(on_unreachable, d);
		return;
	}
	d->readable = g_unix_fd_add(d->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_answer, d);
	d->late = g_timeout_add(AGENT_ANSWER_MS, on_late, d);
}
