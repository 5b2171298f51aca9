/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The addresses that networks give, and those that a guest says it has. */
#include "config.h"
#include "vmmd/api.h"

#include "images/agent/object.h"
#include "vmmd/agent-call.h"
#include "vmmd/link.h"

/* ---- addresses ---- */

enum { SOURCE_LEASE = 0, SOURCE_AGENT = 1, ADDRESS_IPV4 = 0, ADDRESS_IPV6 = 1 };

/* The networks of a domain's interfaces are asked all at once; the last answer is the end. */
struct asking {
	struct call *call;
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	unsigned waiting;
	GPtrArray *networks;		/* of char *: each asked once */
	GArray *found;			/* of struct address */
};

struct address {
	char network[256];
	uint8_t mac[MAC_BYTES];
	uint32_t ip;
	unsigned prefix;
};

struct asking_one {
	struct asking *all;
	char *network;
	unsigned prefix;
};

struct address_texts {
	char mac[MAC_TEXT_BYTES];
	char *mac_ptr, *ip;
	remote_ip_addr addr;
};

static const struct address *address_of(const struct asking *a, const struct iface_def *iface)
{
	for (unsigned i = 0; i < a->found->len; i++) {
		const struct address *at = &g_array_index(a->found, struct address, i);

		if (g_str_equal(at->network, iface->network) &&
		    memcmp(at->mac, iface->mac, MAC_BYTES) == 0)
			return at;
	}
	return NULL;
}

static void asking_end(struct asking *a)
{
	struct domain *dom = domain_find_uuid(a->daemon->domains, a->uuid);
	unsigned n = dom && dom->live ? dom->live->ifaces->len : 0, have = 0;
	g_autofree remote_domain_interface *wire = g_new0(remote_domain_interface, n);
	g_autofree struct address_texts *texts = g_new0(struct address_texts, n);
	remote_interface_addresses_ret ret;

	for (unsigned i = 0; i < n; i++) {
		const struct iface_def *iface = dom->live->ifaces->pdata[i];
		const struct address *at =
			iface->type == IFACE_NETWORK ? address_of(a, iface) : NULL;
		struct address_texts *t = &texts[have];

		if (!at)
			continue;
		mac_to_text(at->mac, t->mac);
		t->mac_ptr = t->mac;
		t->ip = network_ip_text(at->ip);
		t->addr = (remote_ip_addr){ ADDRESS_IPV4, t->ip, at->prefix };
		wire[have++] = (remote_domain_interface){
			.name = iface->target ?: iface->alias, .hwaddr = &t->mac_ptr,
			.addrs = { 1, &t->addr },
		};
	}
	ret = (remote_interface_addresses_ret){ { have, wire } };
	call_reply(a->call, &ret);
	for (unsigned i = 0; i < have; i++)
		g_free(texts[i].ip);
	g_array_unref(a->found);
	g_ptr_array_unref(a->networks);
	g_free(a);
}

static void on_info(const void *result, const GError *error, void *opaque)
{
	g_autofree struct asking_one *one = opaque;
	struct asking *a = one->all;
	const worker_net_info_ret *info = result;

	for (u_int i = 0; !error && i < info->leases.leases_len; i++) {
		const worker_lease *l = &info->leases.leases_val[i];
		struct address at = { .ip = l->ip, .prefix = one->prefix };

		g_strlcpy(at.network, one->network, sizeof(at.network));
		memcpy(at.mac, l->mac, MAC_BYTES);
		g_array_append_val(a->found, at);
	}
	g_free(one->network);
	if (--a->waiting == 0)
		asking_end(a);
}

static void ask(struct asking *a, const char *name)
{
	struct network *net = network_find_name(a->daemon, name);
	struct asking_one *one;
	struct link *link;

	if (!net || !net->sw || g_ptr_array_find_with_equal_func(a->networks, name, g_str_equal,
								  NULL))
		return;
	g_ptr_array_add(a->networks, g_strdup(name));
	link = network_link(net, NULL);
	if (!link)
		return;
	one = g_new(struct asking_one, 1);
	*one = (struct asking_one){ a, g_strdup(name), net->live->prefix };
	a->waiting++;
	link_net_info(link, on_info, one);
}

/* ---- by the guest's word ---- */

#define IFACES_MAX 256
#define ADDRESSES_MAX 64

static u_int guest_addresses(struct json_object *list, remote_ip_addr *ret)
{
	u_int n = 0;

	for (size_t i = 0; i < guest_list(list, ADDRESSES_MAX); i++) {
		struct json_object *o = guest_item(list, i);
		const char *addr = o ? object_text(o, "ip-address") : NULL;
		const char *type = o ? object_text(o, "ip-address-type") : NULL;

		if (addr && type)
			ret[n++] = (remote_ip_addr){
				g_str_equal(type, "ipv6") ? ADDRESS_IPV6 : ADDRESS_IPV4,
				(char *)addr, (u_int)MIN(guest_number(o, "prefix"), 128),
			};
	}
	return n;
}

static void reply_guest(struct call *call, struct domain *dom, struct json_object *ret)
{
	size_t n = guest_list(ret, IFACES_MAX);
	g_autofree remote_domain_interface *wire = g_new0(remote_domain_interface, n);
	g_autofree remote_ip_addr *addrs = g_new0(remote_ip_addr, n * ADDRESSES_MAX);
	g_autofree char **macs = g_new0(char *, n);
	remote_interface_addresses_ret reply = { { 0, wire } };

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = guest_item(ret, i);
		const char *name = o ? object_text(o, "name") : NULL;
		remote_ip_addr *own = addrs + i * ADDRESSES_MAX;

		if (!name)
			continue;
		macs[i] = (char *)object_text(o, "hardware-address");
		wire[reply.ifaces.ifaces_len++] = (remote_domain_interface){
			.name = (char *)name, .hwaddr = macs[i] ? &macs[i] : NULL,
			.addrs = { guest_addresses(json_object_object_get(o, "ip-addresses"), own),
				   own },
		};
	}
	call_reply(call, &reply);
}

static void get_addresses(struct call *call, const void *argp)
{
	const remote_dom_uint_flags_args *args = argp;
	struct domain *dom = api_active_of(call, &args->dom);
	struct asking *a;

	if (!dom || !api_flags(call, args->flags, 0))
		return;
	if (args->num == SOURCE_AGENT) {
		if (agent_allowed(call, dom))
			agent_call(call, dom, "guest-network-get-interfaces", NULL, 0, reply_guest);
		return;
	}
	if (args->num != SOURCE_LEASE) {
		call_fail_text(call, VMM_ERR_ARG_UNSUPPORTED, "argument unsupported: addresses are "
			       "known of the leases of networks and of the guest's agent: "
			       "'--source lease', '--source agent'");
		return;
	}
	a = g_new0(struct asking, 1);
	a->call = call;
	a->daemon = call->daemon;
	memcpy(a->uuid, dom->uuid, UUID_BYTES);
	a->networks = g_ptr_array_new_with_free_func(g_free);
	a->found = g_array_new(FALSE, FALSE, sizeof(struct address));
	a->waiting = 1;			/* ourselves: an answer may come at once */
	for (unsigned i = 0; dom->live && i < dom->live->ifaces->len; i++) {
		const struct iface_def *iface = dom->live->ifaces->pdata[i];

		if (iface->type == IFACE_NETWORK)
			ask(a, iface->network);
	}
	if (--a->waiting == 0)
		asking_end(a);
}

const struct api_entry api_iface[] = {
	{ REMOTE_PROC_DOMAIN_INTERFACE_ADDRESSES, get_addresses },
	{ 0 }
};
