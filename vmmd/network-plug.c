/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests and networks: which interface is where, and cables between machines
 * and switches.  A cable is a pair of sockets; the switch takes its end first,
 * so that what it says (an address or a port is taken) can still fail a start.
 */
#include "config.h"
#include "vmmd/network.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "libvmm/net/tap.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

/* ---- who is there ---- */

static bool is_on(const struct iface_def *iface, const struct network *net)
{
	return iface->type == IFACE_NETWORK &&
	       g_str_equal(iface->network, network_now(net)->name);
}

void network_users(const struct network *net, network_user_fn *fn, void *opaque)
{
	g_autoptr(GPtrArray) all = domain_table_peek(net->daemon->domains);

	for (unsigned i = 0; i < all->len; i++) {
		struct domain *dom = all->pdata[i];

		for (unsigned k = 0; dom->live && k < dom->live->ifaces->len; k++)
			if (is_on(dom->live->ifaces->pdata[k], net))
				fn(dom, k, opaque);
	}
}

static void count(struct domain *dom, unsigned index, void *opaque)
{
	++*(unsigned *)opaque;
}

unsigned network_n_users(const struct network *net)
{
	unsigned n = 0;

	network_users(net, count, &n);
	return n;
}

static struct network *network_of(struct daemon *daemon, const struct iface_def *iface,
				  GError **error)
{
	struct network *net = network_find_name(daemon, iface->network);

	if (!net)
		error_set(error, VMM_ERR_NO_NETWORK,
			  "Network not found: no network with matching name '%s'", iface->network);
	return net && network_need_active(net, error) ? net : NULL;
}

static bool check_forwards(const struct network *net, const struct iface_def *iface, GError **error)
{
	return iface->forwards->len == 0 || net->live->forward == NETWORK_NAT ||
	       error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
			 "unsupported configuration: interface '%s' forwards ports, which needs a "
			 "network with <forward mode='nat'/>; '%s' is none", iface->alias,
			 iface->network);
}

bool networks_check_start(struct daemon *daemon, const domain_def *def, GError **error)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		const struct iface_def *iface = def->ifaces->pdata[i];
		const struct network *net;

		if (iface->type != IFACE_NETWORK)
			continue;
		net = network_of(daemon, iface, error);
		if (!net || !check_forwards(net, iface, error))
			return false;
	}
	return true;
}

/* ---- cables ---- */

struct plug {
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];	/* of the domain, and which life of it */
	int id;
	unsigned index;
	struct frame_header call;	/* of a start's question */
	bool starts;
	int fd;				/* the machine's end */
};

char *network_port_key(const struct domain *dom, const struct iface_def *iface)
{
	return g_strdup_printf("%s/%s", dom->uuid_text, iface->alias);
}

static void on_plugged(const void *ret, const GError *error, void *opaque)
{
	if (error)
		g_warning("a new cable to a network: %s", error->message);
}

/* The switch has its end, or does not want it. */
static void on_port(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct plug *p = opaque;
	struct domain *dom = domain_find_uuid(p->daemon->domains, p->uuid);
	auto_close int fd = p->fd;

	if (!dom || !dom->link || dom->id != p->id)
		return;
	if (p->starts)
		link_reply_tap(dom->link, &p->call, error ? -1 : TAKE_FD(fd), error);
	else if (error)
		on_plugged(NULL, error, NULL);
	else
		link_plug(dom->link, p->index, fd, on_plugged, NULL);
}

static worker_forward *forwards_of(const GArray *ports)
{
	worker_forward *wire = g_new0(worker_forward, ports->len);

	for (unsigned i = 0; i < ports->len; i++) {
		const struct iface_port *p = &g_array_index(ports, struct iface_port, i);

		wire[i] = (worker_forward){
			.udp = p->udp, .address = (char *)(p->address ?: ""),
			.host_port = p->host, .guest_port = p->guest,
		};
	}
	return wire;
}

/* p is taken; it hears of the end. */
static bool cable_lay(struct network *net, struct domain *dom, const struct iface_def *iface,
		      struct plug *p, GError **error)
{
	struct link *link = network_link(net, error);
	g_autoptr(GArray) ports = iface_ports(iface);
	g_autofree worker_forward *forwards = forwards_of(ports);
	g_autofree char *key = network_port_key(dom, iface);
	g_autofree struct plug *plug = p;
	worker_port_args args = {
		.key = key, .domain = dom->name, .forwards = { ports->len, forwards },
	};
	int ends[2];

	if (!link)
		return false;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return error_errno(error, errno, "make a cable to network '%s'", iface->network);
	memcpy(args.mac, iface->mac, sizeof(args.mac));
	plug->daemon = dom->daemon;
	memcpy(plug->uuid, dom->uuid, UUID_BYTES);
	plug->id = dom->id;
	plug->fd = ends[0];
	link_net_port(link, &args, ends[1], on_port, g_steal_pointer(&plug));
	fd_close(&ends[1]);
	return true;
}

static enum link_tap tap_on_bridge(const struct network *net, const struct iface_def *iface,
				   int *fds, char **ret_ifname, GError **error)
{
	const struct tap_opts opts = {
		.ifname = iface->target, .queues = 1, .mtu = iface->mtu,
		.bridge = net->live->bridge,
	};
	char ifname[IFNAMSIZ];

	if (!tap_open(&opts, fds, ifname, error))
		return LINK_TAP_FAILED;
	*ret_ifname = g_strdup(ifname);
	return LINK_TAP_DONE;
}

enum link_tap network_open_tap(struct domain *dom, const struct iface_def *iface, int *fds,
			       char **ret_ifname, const struct frame_header *call, GError **error)
{
	struct network *net = network_of(dom->daemon, iface, error);
	struct plug *p;

	if (!net)
		return LINK_TAP_FAILED;
	if (net->live->forward == NETWORK_BRIDGE)
		return tap_on_bridge(net, iface, fds, ret_ifname, error);
	p = g_new0(struct plug, 1);
	p->starts = true;
	p->call = *call;
	return cable_lay(net, dom, iface, p, error) ? LINK_TAP_LATER : LINK_TAP_FAILED;
}

/* ---- new cables ---- */

struct replug {
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
};

struct missing {
	struct network *net;
	const worker_net_info_ret *info;
};

static void replug_user(struct domain *dom, unsigned index, void *opaque)
{
	const struct missing *m = opaque;
	const struct iface_def *iface = dom->live->ifaces->pdata[index];
	g_autofree char *key = network_port_key(dom, iface);
	g_autoptr(GError) error = NULL;
	struct plug *p;

	/* one that starts asks by itself */
	if (!dom->link || dom->state == DOMAIN_STARTING || dom->state == DOMAIN_STOPPING)
		return;
	for (u_int i = 0; i < m->info->ports.ports_len; i++)
		if (g_str_equal(m->info->ports.ports_val[i], key))
			return;
	p = g_new0(struct plug, 1);
	p->index = index;
	if (!cable_lay(m->net, dom, iface, p, &error))
		g_warning("domain '%s': %s", dom->name, error->message);
}

static void on_info(const void *ret, const GError *error, void *opaque)
{
	g_autofree struct replug *r = opaque;
	struct missing m = { .info = ret };

	/* with an error the table may be gone as well */
	if (error)
		return;
	m.net = network_find_uuid(r->daemon, r->uuid);
	if (m.net && m.net->live)
		network_users(m.net, replug_user, &m);
}

void network_replug(struct network *net)
{
	g_autoptr(GError) error = NULL;
	struct replug *r;
	struct link *link;

	if (!network_n_users(net) || net->live->forward == NETWORK_BRIDGE)
		return;
	link = network_link(net, &error);
	if (!link) {
		g_warning("network '%s': %s", net->live->name, error->message);
		return;
	}
	r = g_new0(struct replug, 1);
	r->daemon = net->daemon;
	memcpy(r->uuid, net->live->uuid, UUID_BYTES);
	link_net_info(link, on_info, r);
}
