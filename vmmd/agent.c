/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way from a client to the agent in a guest, whose protocol passes unread:
 * vsock, and where that does not answer the virtio port, if there is one.
 */
#include "config.h"
#include "vmmd/agent.h"

#include <string.h>
#include <unistd.h>

#include "images/agent/proto.h"
#include "libvmm/util/error.h"
#include "vmmd/agent-road.h"
#include "vmmd/api.h"
#include "vmmd/console.h"

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

static void on_port(int fd, const GError *error, void *opaque)
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
	agent_dial_channel(dom, DOMAIN_AGENT_CHANNEL, session_who(call->session), on_port, call);
}

/* With a guest that boots: who waits for it need not ask all the time. */
#define PATIENCE_MS 2000
#define RETRY_MS 20 /* as the agent looks for its vsock */

struct vsock_call {
	struct call *call;
	uint8_t uuid[UUID_BYTES];
	uint32_t port;
	gint64 until_us;
};

static void on_vsock(int fd, const GError *error, void *opaque);

static gboolean on_again(void *opaque)
{
	struct vsock_call *v = opaque;
	struct domain *dom = domain_find_uuid(v->call->daemon->domains, v->uuid);

	if (dom && dom->link && dom->live && v->call->session) {
		agent_dial_vsock(dom, v->port, on_vsock, v);
	} else {
		call_fail_text(v->call, VMM_ERR_AGENT,
			       "Guest agent is not responding: the guest has ended");
		g_free(v);
	}
	return G_SOURCE_REMOVE;
}

static void vsock_failed(struct vsock_call *v, const char *why)
{
	if (v->port == AGENT_VSOCK_PORT)
		call_fail_text(v->call, VMM_ERR_AGENT, "Guest agent is not responding: %s", why);
	else
		call_fail_text(v->call, VMM_ERR_OPERATION_FAILED,
			       "operation failed: port %u of the guest's vsock: %s", v->port, why);
}

/* The channel is the other way, if the domain still runs and has one. */
static void on_vsock(int fd, const GError *error, void *opaque)
{
	g_autofree struct vsock_call *v = opaque;
	struct domain *dom = domain_find_uuid(v->call->daemon->domains, v->uuid);
	bool here = dom && dom->link && dom->live && v->call->session;

	if (!error)
		relay(v->call, fd);
	else if (here && v->port == AGENT_VSOCK_PORT && domain_agent_channel(dom->live))
		open_port(v->call, dom);
	else if (here && g_get_monotonic_time() < v->until_us)
		g_timeout_add(RETRY_MS, on_again, g_steal_pointer(&v));
	else
		vsock_failed(v, error->message);
}

static void relay_vsock(struct call *call, struct domain *dom, uint32_t port, unsigned patience_ms)
{
	struct vsock_call *v = g_new(struct vsock_call, 1);

	*v = (struct vsock_call){ .call = call, .port = port,
				  .until_us = g_get_monotonic_time() + patience_ms * 1000 };
	memcpy(v->uuid, dom->uuid, sizeof(v->uuid));
	agent_dial_vsock(dom, port, on_vsock, v);
}

void agent_relay(struct call *call, struct domain *dom)
{
	if (dom->live->vsock) {
		relay_vsock(call, dom, AGENT_VSOCK_PORT, PATIENCE_MS);
	} else if (domain_agent_channel(dom->live)) {
		open_port(call, dom);
	} else {
		call_fail_text(call, VMM_ERR_AGENT,
			       "domain '%s' has no way to an agent: its definition needs "
			       "<vsock model='virtio'><cid auto='yes'/></vsock>",
			       dom->name);
	}
}

void agent_relay_port(struct call *call, struct domain *dom, uint32_t port)
{
	if (dom->live->vsock)
		relay_vsock(call, dom, port, 0);
	else
		call_fail_text(call, VMM_ERR_OPERATION_INVALID,
			       "Requested operation is not valid: domain '%s' has no vsock: its "
			       "definition needs <vsock model='virtio'><cid auto='yes'/></vsock>",
			       dom->name);
}
