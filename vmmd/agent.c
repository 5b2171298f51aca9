/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way from a client to the agent in a guest, whose protocol passes unread:
 * vsock, and where that does not answer the virtio port, if there is one.
 */
#include "config.h"
#include "vmmd/agent.h"

#include <string.h>
#include <unistd.h>

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

struct vsock_call {
	struct call *call;
	uint8_t uuid[UUID_BYTES];
};

/* The port is the other way, if the domain still runs and has one. */
static void on_vsock(int fd, const GError *error, void *opaque)
{
	g_autofree struct vsock_call *v = opaque;
	struct domain *dom = domain_find_uuid(v->call->daemon->domains, v->uuid);

	if (!error)
		relay(v->call, fd);
	else if (dom && dom->link && dom->live && domain_agent_channel(dom->live) &&
		 v->call->session)
		open_port(v->call, dom);
	else
		call_fail_text(v->call, VMM_ERR_AGENT, "Guest agent is not responding: %s",
			       error->message);
}

void agent_relay(struct call *call, struct domain *dom)
{
	struct vsock_call *v;

	if (dom->live->vsock) {
		v = g_new(struct vsock_call, 1);
		v->call = call;
		memcpy(v->uuid, dom->uuid, sizeof(v->uuid));
		agent_dial_vsock(dom, on_vsock, v);
	} else if (domain_agent_channel(dom->live)) {
		open_port(call, dom);
	} else {
		call_fail_text(call, VMM_ERR_AGENT,
			       "domain '%s' has no way to an agent: its definition needs "
			       "<vsock model='virtio'><cid auto='yes'/></vsock>",
			       dom->name);
	}
}
