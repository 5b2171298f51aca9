/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way from a client to the agent in a guest.
 *
 * Over vsock every client has a connection of its own; a guest that has no
 * driver for it, or no agent yet, refuses.  Then the virtio port is tried, if
 * there is one: that is a single line, which one client has alone.
 */
#include "config.h"
#include "vmmd/agent.h"

#include <errno.h>
#include <glib-unix.h>
#include <string.h>
#include <unistd.h>

#include "images/agent/proto.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"
#include "vmmd/api.h"
#include "vmmd/console.h"
#include "vmmd/link.h"
#include "vmmd/supervisor.h"

#define ANSWER_MS 5000		/* a guest without the driver never answers */

/* The client is answered before any data; it may have left meanwhile.  Takes fd. */
static void relay(struct call *call, int fd)
{
	struct session *session = call->session;
	struct frame_header hdr = call->hdr;

	call_reply(call, NULL);
	if (session)
		console_relay(session, &hdr, fd);
	else
		close(fd);
}

/* ---- the port ---- */

static void on_port(int fd, const void *place, const GError *error, void *opaque)
{
	struct call *call = opaque;
	g_autoptr(GError) why = error ? g_error_copy(error) : NULL;

	if (!why) {
		relay(call, fd);
		return;
	}
	g_prefix_error(&why, "the guest's agent has one line, for one client at a time: ");
	call_fail(call, why);
}

static void open_port(struct call *call, struct domain *dom)
{
	worker_console_args args = {
		.device = (char *)DOMAIN_AGENT_CHANNEL, .mode = WORKER_CONSOLE_WRITE,
		.who = (char *)session_who(call->session),
	};

	link_console(dom->link, &args, on_port, call);
}

/* ---- vsock ---- */

/* A connection whose first line, "OK PORT", has not come. */
struct dial {
	struct call *call;
	uint8_t uuid[UUID_BYTES];
	int fd;
	guint readable, late;
	char line[32];
	size_t n;
};

static void dial_free(struct dial *d)
{
	g_clear_handle_id(&d->readable, g_source_remove);
	g_clear_handle_id(&d->late, g_source_remove);
	fd_close(&d->fd);
	g_free(d);
}

/* The port is the other way, if the domain still runs and has one. */
static void dial_failed(struct dial *d, const char *why)
{
	struct domain *dom = domain_find_uuid(d->call->daemon->domains, d->uuid);

	if (dom && dom->link && dom->live && domain_agent_channel(dom->live) && d->call->session)
		open_port(d->call, dom);
	else
		call_fail_text(d->call, VMM_ERR_AGENT, "Guest agent is not responding: %s", why);
	dial_free(d);
}

static gboolean on_late(void *opaque)
{
	struct dial *d = opaque;

	d->late = 0;
	dial_failed(d, "the guest does not answer at its vsock");
	return G_SOURCE_REMOVE;
}

/* Byte by byte: what follows the line is the client's. */
static gboolean on_answer(int fd, GIOCondition condition, void *opaque)
{
	struct dial *d = opaque;
	ssize_t n = read(fd, d->line + d->n, 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return G_SOURCE_CONTINUE;
	if (n <= 0 || d->n == sizeof(d->line) - 1) {
		d->readable = 0;
		dial_failed(d, "nobody listens at the guest's vsock, or not yet");
		return G_SOURCE_REMOVE;
	}
	if (d->line[d->n++] != '\n')
		return G_SOURCE_CONTINUE;
	d->readable = 0;
	if (g_str_has_prefix(d->line, "OK ")) {
		relay(d->call, TAKE_FD(d->fd));
		dial_free(d);
	} else {
		dial_failed(d, "the vsock gives no answer that is one");
	}
	return G_SOURCE_REMOVE;
}

static bool dial(struct dial *d, const struct domain *dom)
{
	g_autofree char *ask = g_strdup_printf("CONNECT %u\n", AGENT_VSOCK_PORT);

	d->fd = supervisor_dial(dom->daemon, SUPERVISED_DOMAIN, dom->uuid_text, "vsock.sock", NULL);
	return d->fd >= 0 && write(d->fd, ask, strlen(ask)) == (ssize_t)strlen(ask);
}

static void open_vsock(struct call *call, struct domain *dom)
{
	struct dial *d = g_new0(struct dial, 1);

	d->call = call;
	d->fd = -1;
	memcpy(d->uuid, dom->uuid, sizeof(d->uuid));
	if (!dial(d, dom)) {
		dial_failed(d, "its vsock can't be reached");
		return;
	}
	d->readable = g_unix_fd_add(d->fd, G_IO_IN | G_IO_HUP | G_IO_ERR, on_answer, d);
	d->late = g_timeout_add(ANSWER_MS, on_late, d);
}

void agent_relay(struct call *call, struct domain *dom)
{
	if (dom->live->vsock)
		open_vsock(call, dom);
	else if (domain_agent_channel(dom->live))
		open_port(call, dom);
	else
		call_fail_text(call, VMM_ERR_AGENT,
			       "domain '%s' has no way to an agent: its definition needs "
			       "<vsock model='virtio'><cid auto='yes'/></vsock>",
			       dom->name);
}
