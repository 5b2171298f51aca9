/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Networks, known by name and uuid; ports of the host that lead to guests. */
#include "config.h"

#include <string.h>

#include "libvmm/client/client-priv.h"
#include "libvmm/util/uuid.h"

struct vmm_network {
	vmm_connect *conn;
	char *name;
	uint8_t uuid[UUID_BYTES];
	char uuid_text[UUID_TEXT_BYTES];
};

vmm_network *network_from_wire(vmm_connect *conn, const remote_network *wire)
{
	vmm_network *net = g_new0(struct vmm_network, 1);

	net->conn = connect_ref(conn);
	net->name = g_strdup(wire->name);
	memcpy(net->uuid, wire->uuid, UUID_BYTES);
	uuid_to_text(net->uuid, net->uuid_text);
	return net;
}

remote_network network_to_wire(const vmm_network *net)
{
	remote_network wire = { .name = net->name };

	memcpy(wire.uuid, net->uuid, UUID_BYTES);
	return wire;
}

void vmm_network_free(vmm_network *net)
{
	if (!net)
		return;
	connect_unref(net->conn);
	g_free(net->name);
	g_free(net);
}

const char *vmm_network_name(const vmm_network *net)
{
	return net->name;
}

const char *vmm_network_uuid(const vmm_network *net)
{
	return net->uuid_text;
}

GPtrArray *vmm_network_list(vmm_connect *conn, unsigned flags, GError **error)
{
	remote_list_args args = { .need_results = 1, .flags = flags };
	remote_nets_ret ret;
	GPtrArray *list;

	if (!CALL(conn, CONNECT_LIST_ALL_NETWORKS, list_args, &args, nets_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func((GDestroyNotify)vmm_network_free);
	for (u_int i = 0; i < ret.nets.nets_len; i++)
		g_ptr_array_add(list, network_from_wire(conn, &ret.nets.nets_val[i]));
	FREE(nets_ret, &ret);
	return list;
}

static vmm_network *network_take(vmm_connect *conn, remote_net_ret *ret)
{
	vmm_network *net = network_from_wire(conn, &ret->net);

	FREE(net_ret, ret);
	return net;
}

vmm_network *vmm_network_lookup(vmm_connect *conn, const char *text, GError **error)
{
	remote_name_args by_name = { .name = (char *)text };
	remote_uuid_args by_uuid;
	remote_net_ret ret;

	if (uuid_from_text(text, (uint8_t *)by_uuid.uuid) &&
	    CALL(conn, NETWORK_LOOKUP_BY_UUID, uuid_args, &by_uuid, net_ret, &ret, NULL))
		return network_take(conn, &ret);
	if (!CALL(conn, NETWORK_LOOKUP_BY_NAME, name_args, &by_name, net_ret, &ret, error))
		return NULL;
	return network_take(conn, &ret);
}

vmm_network *vmm_network_define_xml(vmm_connect *conn, const char *xml, unsigned flags,
				    GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };
	remote_net_ret ret;

	if (!CALL(conn, NETWORK_DEFINE_XML_FLAGS, xml_flags_args, &args, net_ret, &ret, error))
		return NULL;
	return network_take(conn, &ret);
}

vmm_network *vmm_network_create_xml(vmm_connect *conn, const char *xml, unsigned flags,
				    GError **error)
{
	remote_xml_flags_args args = { .xml = (char *)xml, .flags = flags };
	remote_net_ret ret;

	if (!CALL(conn, NETWORK_CREATE_XML_FLAGS, xml_flags_args, &args, net_ret, &ret, error))
		return NULL;
	return network_take(conn, &ret);
}

bool vmm_network_do(vmm_network *net, enum vmm_network_op op, GError **error)
{
	static const int procedures[] = {
		[VMM_NETWORK_START] = REMOTE_PROC_NETWORK_CREATE,
		[VMM_NETWORK_STOP] = REMOTE_PROC_NETWORK_DESTROY,
		[VMM_NETWORK_UNDEFINE] = REMOTE_PROC_NETWORK_UNDEFINE,
	};
	remote_net_args args = { .net = network_to_wire(net) };
	remote_none none;

	return connect_call(net->conn, procedures[op], (xdrproc_t)xdr_remote_net_args, &args,
			    (xdrproc_t)xdr_remote_none, &none, sizeof(none), error);
}

bool vmm_network_set_autostart(vmm_network *net, bool on, GError **error)
{
	remote_net_int_args args = { .net = network_to_wire(net), .num = on };
	remote_none none;

	return CALL(net->conn, NETWORK_SET_AUTOSTART, net_int_args, &args, none, &none, error);
}

static bool network_number(vmm_network *net, int procedure, bool *ret_on, GError **error)
{
	remote_net_args args = { .net = network_to_wire(net) };
	remote_int_ret ret;

	if (!connect_call(net->conn, procedure, (xdrproc_t)xdr_remote_net_args, &args,
			  (xdrproc_t)xdr_remote_int_ret, &ret, sizeof(ret), error))
		return false;
	*ret_on = ret.num;
	return true;
}

bool vmm_network_info(vmm_network *net, struct vmm_network_info *ret, GError **error)
{
	return network_number(net, REMOTE_PROC_NETWORK_IS_ACTIVE, &ret->active, error) &&
	       network_number(net, REMOTE_PROC_NETWORK_IS_PERSISTENT, &ret->persistent, error) &&
	       network_number(net, REMOTE_PROC_NETWORK_GET_AUTOSTART, &ret->autostart, error);
}

char *vmm_network_xml(vmm_network *net, unsigned flags, GError **error)
{
	remote_net_flags_args args = { .net = network_to_wire(net), .flags = flags };
	remote_text_ret ret;
	char *xml;

	if (!CALL(net->conn, NETWORK_GET_XML_DESC, net_flags_args, &args, text_ret, &ret, error))
		return NULL;
	xml = g_strdup(ret.text);
	FREE(text_ret, &ret);
	return xml;
}

bool vmm_network_update(vmm_network *net, unsigned command, unsigned section, const char *xml,
			unsigned flags, GError **error)
{
	remote_net_update_args args = {
		.net = network_to_wire(net), .command = command, .section = section,
		.parentIndex = -1, .xml = (char *)xml, .flags = flags,
	};
	remote_none none;

	return CALL(net->conn, NETWORK_UPDATE, net_update_args, &args, none, &none, error);
}

/* ---- leases, users ---- */

static void lease_free(void *opaque)
{
	struct vmm_lease *l = opaque;

	g_free(l->mac);
	g_free(l->ip);
	g_free(l->hostname);
	g_free(l->client_id);
	g_free(l);
}

static char *opt_dup(char *const *text)
{
	return text ? g_strdup(*text) : NULL;
}

GPtrArray *vmm_network_leases(vmm_network *net, GError **error)
{
	remote_dhcp_leases_args args = { .net = network_to_wire(net), .need_results = 1 };
	remote_dhcp_leases_ret ret;
	GPtrArray *list;

	if (!CALL(net->conn, NETWORK_GET_DHCP_LEASES, dhcp_leases_args, &args, dhcp_leases_ret,
		  &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(lease_free);
	for (u_int i = 0; i < ret.leases.leases_len; i++) {
		const remote_dhcp_lease *wire = &ret.leases.leases_val[i];
		struct vmm_lease *l = g_new0(struct vmm_lease, 1);

		*l = (struct vmm_lease){
			.expires_s = wire->expirytime, .prefix = wire->prefix,
			.mac = opt_dup(wire->mac), .ip = g_strdup(wire->ipaddr),
			.hostname = opt_dup(wire->hostname), .client_id = opt_dup(wire->clientid),
		};
		g_ptr_array_add(list, l);
	}
	FREE(dhcp_leases_ret, &ret);
	return list;
}

char **vmm_network_users(vmm_network *net, GError **error)
{
	remote_net_args args = { .net = network_to_wire(net) };
	g_autoptr(GStrvBuilder) names = NULL;
	vmm_users_ret ret;

	if (!VMM_CALL(net->conn, NETWORK_USERS, remote_net_args, &args, vmm_users_ret, &ret,
		      error))
		return NULL;
	names = g_strv_builder_new();
	for (u_int i = 0; i < ret.users.users_len; i++)
		g_strv_builder_add(names, ret.users.users_val[i].domain);
	VMM_FREE(vmm_users_ret, &ret);
	return g_strv_builder_end(names);
}

/* ---- ports ---- */

static void port_free(void *opaque)
{
	struct vmm_port *p = opaque;

	g_free((char *)p->interface);
	g_free((char *)p->address);
	g_free(p);
}

GPtrArray *vmm_domain_ports(vmm_domain *dom, unsigned flags, GError **error)
{
	remote_dom_flags_args args = { .dom = domain_to_wire(dom), .flags = flags };
	vmm_ports_ret ret;
	GPtrArray *list;

	if (!VMM_CALL(dom->conn, PORT_LIST, remote_dom_flags_args, &args, vmm_ports_ret, &ret,
		      error))
		return NULL;
	list = g_ptr_array_new_with_free_func(port_free);
	for (u_int i = 0; i < ret.ports.ports_len; i++) {
		const vmm_wire_port *wire = &ret.ports.ports_val[i];
		struct vmm_port *p = g_new0(struct vmm_port, 1);

		*p = (struct vmm_port){
			.interface = g_strdup(wire->iface), .udp = wire->udp,
			.address = wire->address[0] ? g_strdup(wire->address) : NULL,
			.host = wire->host, .guest = wire->guest,
		};
		g_ptr_array_add(list, p);
	}
	VMM_FREE(vmm_ports_ret, &ret);
	return list;
}

static bool port_change(vmm_domain *dom, const struct vmm_port *port, bool remove, unsigned flags,
			GError **error)
{
	vmm_port_args args = {
		.dom = domain_to_wire(dom), .remove = remove, .flags = flags,
		.port = { .iface = (char *)(port->interface ?: ""), .udp = port->udp,
			  .address = (char *)(port->address ?: ""), .host = port->host,
			  .guest = port->guest },
	};
	remote_none none;

	return VMM_CALL(dom->conn, PORT_CHANGE, vmm_port_args, &args, remote_none, &none, error);
}

bool vmm_domain_port_add(vmm_domain *dom, const struct vmm_port *port, unsigned flags,
			 GError **error)
{
	return port_change(dom, port, false, flags, error);
}

bool vmm_domain_port_remove(vmm_domain *dom, const struct vmm_port *port, unsigned flags,
			    GError **error)
{
	return port_change(dom, port, true, flags, error);
}

/* ---- addresses ---- */

static void address_free(void *opaque)
{
	struct vmm_address *a = opaque;

	g_free(a->interface);
	g_free(a->mac);
	g_free(a->address);
	g_free(a);
}

GPtrArray *vmm_domain_addresses(vmm_domain *dom, enum vmm_address_source source, GError **error)
{
	remote_dom_uint_flags_args args = { .dom = domain_to_wire(dom), .num = source };
	remote_interface_addresses_ret ret;
	GPtrArray *list;

	if (!CALL(dom->conn, DOMAIN_INTERFACE_ADDRESSES, dom_uint_flags_args, &args,
		  interface_addresses_ret, &ret, error))
		return NULL;
	list = g_ptr_array_new_with_free_func(address_free);
	for (u_int i = 0; i < ret.ifaces.ifaces_len; i++) {
		const remote_domain_interface *iface = &ret.ifaces.ifaces_val[i];

		for (u_int k = 0; k < iface->addrs.addrs_len; k++) {
			struct vmm_address *a = g_new0(struct vmm_address, 1);

			a->interface = g_strdup(iface->name);
			a->mac = opt_dup(iface->hwaddr);
			a->address = g_strdup(iface->addrs.addrs_val[k].addr);
			a->prefix = iface->addrs.addrs_val[k].prefix;
			g_ptr_array_add(list, a);
		}
	}
	FREE(interface_addresses_ret, &ret);
	return list;
}
