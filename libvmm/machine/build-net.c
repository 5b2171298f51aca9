/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From an <interface> to what it is plugged into, and the card. */
#include "config.h"
#include "libvmm/machine/build-priv.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libvmm/device/net.h"
#include "libvmm/domain/domain.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/net/port.h"
#include "libvmm/net/slirp.h"
#include "libvmm/net/tap.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define FORWARDS_MAX 4096 /* ports of one interface, ranges expanded */

static struct net_backend *slirp_build(struct machine *m, const struct iface_def *def,
				       GError **error)
{
	g_autoptr(GArray) ports = iface_ports(def);
	g_autofree struct slirp_forward *forwards = g_new0(struct slirp_forward, ports->len);
	struct slirp_opts opts = {
		.owner = m->ctx,
		.hostname = m->name,
		.restricted = def->restricted,
		.mtu = def->mtu,
		.forwards = forwards,
		.n_forwards = ports->len,
	};

	if (ports->len > FORWARDS_MAX) {
		error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "%u forwarded ports: at most %u",
			  ports->len, FORWARDS_MAX);
		return NULL;
	}
	for (unsigned i = 0; i < ports->len; i++) {
		const struct iface_port *p = &g_array_index(ports, struct iface_port, i);

		forwards[i] = (struct slirp_forward){
			.udp = p->udp, .host_addr = p->address, .host_port = p->host,
			.guest_port = p->guest,
		};
	}
	return slirp_net_new(&opts, error);
}

static bool fd_is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* A tap, or a cable to a network's switch: whichever vmmd has for it. */
static struct net_backend *plug_build(struct machine *m, const struct iface_def *def,
				     const struct machine_host *host, GError **error)
{
	unsigned queues = CLAMP(def->queues, 1u, (unsigned)NET_QUEUES_MAX);
	g_autofree char *ifname = NULL;
	int fds[NET_QUEUES_MAX];
	struct net_backend *backend;

	if (!host->open_tap(host->opaque, def->alias, queues, fds, &ifname, error))
		return NULL;
	backend = def->type == IFACE_NETWORK && fd_is_socket(fds[0])
			  ? port_net_new(fds[0], m->ctx, error)
			  : tap_net_new(fds, queues, m->ctx, error);
	for (unsigned i = 0; !backend && i < queues; i++)
		close(fds[i]);
	return backend;
}

void machine_net_free(void *p)
{
	struct machine_net *n = p;

	g_free(n->target);
	g_free(n);
}

bool build_net(struct machine *m, const struct iface_def *def,
	       const struct machine_host *host, GError **error)
{
	struct net_backend *backend = def->type == IFACE_USER ? slirp_build(m, def, error)
							      : plug_build(m, def, host, error);
	struct net_opts opts = { .name = def->alias, .mtu = def->mtu, .link_down = def->link_down };
	struct machine_net *n;

	if (!backend)
		return false;
	memcpy(opts.mac, def->mac, sizeof(opts.mac));
	n = g_new0(struct machine_net, 1);
	n->target = g_strdup(def->target ?: def->alias);
	n->backend = backend;
	n->bounces = def->link_bounces && !def->link_down;
	g_ptr_array_add(m->nets, n);
	n->dev = net_new(backend, &opts, m->mem, m->ctx, error);
	return machine_virtio_add(m, n->dev, error);
}
