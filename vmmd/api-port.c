/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of the host that lead to guests, and who is on a network: procedures
 * of our own program.
 *
 * A change while the domain runs is the worker's or the switch's first; when
 * that has worked, it is a change of the live definition.
 */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"

/* Of PORT_LIST: of the saved definition. */
enum { PORTS_INACTIVE = API_CONFIG };

/* ---- listing ---- */

static void put_ports(GArray *list, const struct iface_def *iface)
{
	g_autoptr(GArray) ports = iface_ports(iface);

	for (unsigned i = 0; i < ports->len; i++) {
		const struct iface_port *p = &g_array_index(ports, struct iface_port, i);
		vmm_wire_port wire = {
			.iface = iface->alias, .udp = p->udp,
			.address = (char *)(p->address ?: ""), .host = p->host, .guest = p->guest,
		};

		g_array_append_val(list, wire);
	}
}

static void list(struct call *call, const void *argp)
{
	const remote_dom_flags_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(GArray) list = NULL;
	g_autoptr(GError) error = NULL;
	const domain_def *def;
	vmm_ports_ret ret;

	if (!dom || !api_flags(call, args->flags, PORTS_INACTIVE))
		return;
	def = args->flags & PORTS_INACTIVE || !dom->live ? domain_need_saved(dom, &error)
							 : dom->live;
	if (!def) {
		call_fail(call, error);
		return;
	}
	list = g_array_new(FALSE, FALSE, sizeof(vmm_wire_port));
	for (unsigned i = 0; i < def->ifaces->len; i++)
		put_ports(list, def->ifaces->pdata[i]);
	ret = (vmm_ports_ret){ { list->len, (vmm_wire_port *)(void *)list->data } };
	call_reply(call, &ret);
}

/* ---- changing ---- */

struct change {
	struct call *call;
	struct daemon *daemon;
	struct domain *dom;		/* found again after a switch has answered */
	uint8_t uuid[UUID_BYTES];
	int id;
	unsigned index;
	struct iface_port port;
	char *address;			/* the port's */
	bool remove;
	domain_def *live, *saved;	/* changed copies; NULL: not asked for */
};

static void change_free(struct change *c)
{
	domain_def_free(c->live);
	domain_def_free(c->saved);
	g_free(c->address);
	g_free(c);
}

/* The named interface, or the first that can have forwards. */
static struct iface_def *iface_find(const domain_def *def, const char *alias, unsigned *ret_index,
				    GError **error)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		struct iface_def *iface = def->ifaces->pdata[i];
		bool can = iface->type == IFACE_USER || iface->type == IFACE_NETWORK;

		*ret_index = i;
		if (alias[0] ? g_str_equal(iface->alias, alias) : can)
			return iface;
	}
	if (alias[0])
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: domain '%s' has no interface '%s'", def->name, alias);
	else
		error_set(error, VMM_ERR_OPERATION_INVALID,
			  "Requested operation is not valid: domain '%s' has no interface of "
			  "type='user' or type='network'", def->name);
	return NULL;
}

static domain_def *changed(const struct change *c, const domain_def *def, const char *alias,
			   unsigned *ret_index, GError **error)
{
	g_autoptr(domain_def) copy = domain_def_copy(def);
	struct iface_def *iface = iface_find(copy, alias, ret_index, error);

	if (!iface || !(c->remove ? iface_port_remove(iface, &c->port, error)
				  : iface_port_add(iface, &c->port, error)) ||
	    !domain_def_check(copy, error))
		return NULL;
	return g_steal_pointer(&copy);
}

static void saved_keep(struct change *c)
{
	g_autoptr(GError) error = NULL;

	if (c->saved)
		domain_save(c->dom, g_steal_pointer(&c->saved), &error);
	api_done(c->dom, error, c->call);
	change_free(c);
}

static void on_live_done(const void *ret, const GError *error, void *opaque)
{
	struct change *c = opaque;
	g_autoptr(GError) gone = NULL;

	c->dom = domain_find_uuid(c->daemon->domains, c->uuid);
	if (!error && !c->dom) {
		error_set(&gone, VMM_ERR_NO_DOMAIN,
			  "Domain not found: it went while its port was being changed");
		error = gone;
	}
	if (error) {
		call_fail(c->call, error);
		change_free(c);
		return;
	}
	/* it may have ended meanwhile */
	if (c->dom->live && c->dom->id == c->id && c->index < c->dom->live->ifaces->len) {
		struct iface_def *iface = c->dom->live->ifaces->pdata[c->index];

		if (c->remove)
			iface_port_remove(iface, &c->port, NULL);
		else
			iface_port_add(iface, &c->port, NULL);
		domain_refresh_live(c->dom);
	}
	saved_keep(c);
}

static void live_begin(struct change *c)
{
	const struct iface_def *iface = c->dom->live->ifaces->pdata[c->index];
	g_autofree char *key = network_port_key(c->dom, iface), *xml = NULL;
	g_autoptr(GError) error = NULL;
	worker_forward_args args = {
		.key = key, .index = c->index, .remove = c->remove,
		.forward = { c->port.udp, (char *)(c->address ?: ""), c->port.host, c->port.guest },
	};
	struct network *net;
	struct link *link;

	c->live->id = c->dom->id;
	args.xml = xml = domain_def_format(c->live, DOMAIN_FORMAT_LIVE);
	if (iface->type == IFACE_USER) {
		link_forward(c->dom->link, &args, on_live_done, c);
		return;
	}
	net = network_find_name(c->dom->daemon, iface->network);
	link = net ? network_link(net, &error) : NULL;
	if (link) {
		args.xml = (char *)"";
		link_net_forward(link, &args, on_live_done, c);
		return;
	}
	call_fail(c->call, error);
	change_free(c);
}

static bool change_read(struct change *c, const vmm_port_args *args, GError **error)
{
	uint32_t ip;

	if (args->port.host < 1 || args->port.host > 65535 ||
	    (!args->remove && (args->port.guest < 1 || args->port.guest > 65535)))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: ports are 1 to 65535");
	if (args->port.address[0] && !network_ip_from_text(args->port.address, &ip))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: '%s' is not an IPv4 address of this host",
				 args->port.address);
	c->address = args->port.address[0] ? g_strdup(args->port.address) : NULL;
	c->port = (struct iface_port){
		.udp = args->port.udp, .address = c->address,
		.host = (uint16_t)args->port.host, .guest = (uint16_t)args->port.guest,
	};
	return true;
}

static void change(struct call *call, const void *argp)
{
	const vmm_port_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(GError) error = NULL;
	unsigned affect, ignored;
	struct change *c;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	c = g_new0(struct change, 1);
	*c = (struct change){ .call = call, .daemon = dom->daemon, .dom = dom, .id = dom->id,
			      .remove = args->remove };
	memcpy(c->uuid, dom->uuid, sizeof(c->uuid));
	if (!change_read(c, args, &error) ||
	    (affect & API_LIVE &&
	     !(c->live = changed(c, dom->live, args->port.iface, &c->index, &error))) ||
	    (affect & API_CONFIG &&
	     !(c->saved = changed(c, dom->saved, args->port.iface, &ignored, &error)))) {
		call_fail(call, error);
		change_free(c);
	} else if (c->live) {
		live_begin(c);
	} else {
		saved_keep(c);
	}
}

/* ---- who is on a network ---- */

static void put_user(struct domain *dom, unsigned index, void *opaque)
{
	const struct iface_def *iface = dom->live->ifaces->pdata[index];
	char mac[MAC_TEXT_BYTES];
	vmm_wire_user user = { .domain = dom->name, .iface = iface->alias };

	mac_to_text(iface->mac, mac);
	user.mac = g_strdup(mac);
	g_array_append_val((GArray *)opaque, user);
}

static void user_clear(void *opaque)
{
	g_free(((vmm_wire_user *)opaque)->mac);
}

static void users(struct call *call, const void *argp)
{
	struct network *net = api_network_of(call, &((const remote_net_args *)argp)->net);
	g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(vmm_wire_user));
	vmm_users_ret ret;

	g_array_set_clear_func(list, user_clear);
	if (!net)
		return;
	network_users(net, put_user, list);
	ret = (vmm_users_ret){ { list->len, (vmm_wire_user *)(void *)list->data } };
	call_reply(call, &ret);
}

const struct api_entry api_port[] = {
	{ VMM_PROC_PORT_LIST, list },
	{ VMM_PROC_PORT_CHANGE, change },
	{ VMM_PROC_NETWORK_USERS, users },
	{ 0 }
};
