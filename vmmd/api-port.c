/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Ports of the host that lead to guests, and who is on a network: procedures
 * of our own program.
 */
#include "config.h"

#include "vmmd/api.h"
#include "vmmd/live.h"
#include "vmmd/owner.h"

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

/* The named interface, or the first that can have forwards. */
static struct iface_def *iface_find(const domain_def *def, const char *alias, GError **error)
{
	for (unsigned i = 0; i < def->ifaces->len; i++) {
		struct iface_def *iface = def->ifaces->pdata[i];
		bool can = iface->type == IFACE_USER || iface->type == IFACE_NETWORK;

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

static domain_def *changed(const domain_def *def, const vmm_port_args *args, GError **error)
{
	g_autoptr(domain_def) copy = domain_def_copy(def);
	struct iface_def *iface = iface_find(copy, args->port.iface, error);
	const struct iface_port port = {
		.udp = args->port.udp,
		.address = args->port.address[0] ? args->port.address : NULL,
		.host = (uint16_t)args->port.host, .guest = (uint16_t)args->port.guest,
	};

	if (!iface || !(args->remove ? iface_port_remove(iface, &port, error)
				     : iface_port_add(iface, &port, error)) ||
	    !domain_def_check(copy, error))
		return NULL;
	return g_steal_pointer(&copy);
}

static bool port_check(const vmm_port_args *args, GError **error)
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
	return true;
}

static void change(struct call *call, const void *argp)
{
	const vmm_port_args *args = argp;
	struct domain *dom = api_domain_of(call, &args->dom);
	g_autoptr(domain_def) live = NULL, saved = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect;

	if (!dom || !api_flags(call, args->flags, API_LIVE | API_CONFIG) ||
	    !api_affect(call, dom, args->flags, &affect))
		return;
	if (!port_check(args, &error) ||
	    (affect & API_LIVE && !(live = changed(dom->live, args, &error))) ||
	    (affect & API_CONFIG && !(saved = changed(dom->saved, args, &error))))
		call_fail(call, error);
	else
		live_change_call(dom, g_steal_pointer(&live), g_steal_pointer(&saved), call);
}

/* ---- who is on a network ---- */

struct users {
	const struct session *session;
	GArray *list;
};

static void put_user(struct domain *dom, unsigned index, void *opaque)
{
	const struct users *u = opaque;
	const struct iface_def *iface = dom->live->ifaces->pdata[index];
	char mac[MAC_TEXT_BYTES];
	vmm_wire_user user = { .domain = dom->name, .iface = iface->alias };

	if (!owner_sees(u->session, dom))
		return;
	mac_to_text(iface->mac, mac);
	user.mac = g_strdup(mac);
	g_array_append_val(u->list, user);
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
	network_users(net, put_user, &(struct users){ call->session, list });
	ret = (vmm_users_ret){ { list->len, (vmm_wire_user *)(void *)list->data } };
	call_reply(call, &ret);
}

const struct api_entry api_port[] = {
	{ VMM_PROC_PORT_LIST, list },
	{ VMM_PROC_PORT_CHANGE, change },
	{ VMM_PROC_NETWORK_USERS, users },
	{ 0 }
};
