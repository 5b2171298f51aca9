/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network cards of a machine that runs: what they are plugged into changes. */
#include "config.h"
#include "libvmm/machine/machine.h"

#include "libvmm/machine/machine-priv.h"
#include "libvmm/net/port.h"
#include "libvmm/net/slirp.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

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
