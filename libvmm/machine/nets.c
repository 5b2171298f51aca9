/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network cards of a machine that runs: what they are plugged into changes.
 *
 * A guest that was restored may be on another network, or its connections may
 * be gone.  A link that is seen to go down and up makes it ask for its address
 * again.  It is down before the guest's first instruction; the guest looks
 * when it gets round to it, so it stays down for a while of the guest's running.
 */
#include "config.h"
#include "libvmm/machine/machine.h"

#include "libvmm/device/net.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/net/port.h"
#include "libvmm/net/slirp.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define BOUNCE_MS 1000

static struct net_backend *backend_of(struct machine *m, unsigned net, GError **error)
{
	if (net < m->nets->len)
		return ((struct machine_net *)g_ptr_array_index(m->nets, net))->backend;
	error_set(error, VMM_ERR_INVALID_ARG, "there is no interface %u", net);
	return NULL;
}

bool machine_plug(struct machine *m, unsigned net, int fd, GError **error)
{
	struct net_backend *b = backend_of(m, net, error);
	auto_close int cable = fd;

	if (!b)
		return false;
	if (!port_net_is(b))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "interface %u is not plugged into a switch", net);
	port_net_plug(b, TAKE_FD(cable));
	return true;
}

bool machine_forward(struct machine *m, unsigned net, const struct slirp_forward *f, bool remove,
		     GError **error)
{
	struct net_backend *b = backend_of(m, net, error);

	if (!b)
		return false;
	if (!slirp_net_is(b))
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "interface %u has no user networking", net);
	return remove ? slirp_forward_remove(b, f, error) : slirp_forward_add(b, f, error);
}

unsigned machine_n_nets(const struct machine *m)
{
	return m->nets->len;
}

bool machine_set_link(struct machine *m, unsigned net, bool up, GError **error)
{
	struct machine_net *n;

	if (net >= m->nets->len)
		return error_set(error, VMM_ERR_INVALID_ARG, "there is no interface %u", net);
	n = g_ptr_array_index(m->nets, net);
	n->bounced = false;
	net_set_link(n->dev, up);
	return true;
}

void machine_net_stats(const struct machine *m, unsigned i, struct machine_net_stats *ret)
{
	const struct machine_net *n = g_ptr_array_index(m->nets, i);
	struct net_stats s;

	net_stats(n->dev, &s);
	*ret = (struct machine_net_stats){
		.target = n->target,
		.rx_bytes = s.rx_bytes,
		.rx_packets = s.rx_packets,
		.rx_errs = s.rx_errs,
		.rx_drop = s.rx_drop,
		.tx_bytes = s.tx_bytes,
		.tx_packets = s.tx_packets,
		.tx_errs = s.tx_errs,
		.tx_drop = s.tx_drop,
	};
}

/* ---- links that bounce ---- */

static gboolean on_links_up(void *opaque)
{
	struct machine *m = opaque;

	for (unsigned i = 0; i < m->nets->len; i++) {
		struct machine_net *n = g_ptr_array_index(m->nets, i);

		if (n->bounced)
			net_set_link(n->dev, true);
		n->bounced = false;
	}
	machine_links_settle(m);
	return G_SOURCE_REMOVE;
}

void machine_links_bounce(struct machine *m)
{
	for (unsigned i = 0; i < m->nets->len; i++) {
		struct machine_net *n = g_ptr_array_index(m->nets, i);

		if (!n->bounces)
			continue;
		n->bounced = true;
		net_set_link(n->dev, false);
		if (!m->links_up)
			m->links_up = g_timeout_source_new(BOUNCE_MS);
	}
}

void machine_links_raise(struct machine *m)
{
	if (!m->links_up || g_source_get_context(m->links_up))
		return;
	g_source_set_callback(m->links_up, on_links_up, m, NULL);
	g_source_attach(m->links_up, m->ctx);
}

void machine_links_settle(struct machine *m)
{
	if (m->links_up)
		g_source_destroy(m->links_up);
	g_clear_pointer(&m->links_up, g_source_unref);
}
