/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Procedures of networks. */
#include "config.h"

#include "libvmm/util/cleanup.h"
#include "vmmd/api.h"
#include "vmmd/event.h"

/* Of CONNECT_LIST_ALL_NETWORKS; a pair of which none is set is no filter. */
enum network_list_flags {
	LIST_INACTIVE = 1, LIST_ACTIVE = 2, LIST_PERSISTENT = 4, LIST_TRANSIENT = 8,
	LIST_AUTOSTART = 16, LIST_NO_AUTOSTART = 32, LIST_KNOWN = 63,
};
enum { XML_INACTIVE = 1, LEASE_IPV4 = 0 };

struct network *api_network_of(struct call *call, const remote_network *ref)
{
	struct network *net = network_find_uuid(call->daemon, (const uint8_t *)ref->uuid);
	char uuid[UUID_TEXT_BYTES];

	if (net)
		return net;
	uuid_to_text((const uint8_t *)ref->uuid, uuid);
	call_fail_text(call, VMM_ERR_NO_NETWORK,
		       "Network not found: no network with matching uuid '%s' (%s)", uuid,
		       ref->name);
	return NULL;
}

static remote_network net_ref(const struct network *net)
{
	remote_network ref = { .name = network_now(net)->name };

	memcpy(ref.uuid, network_now(net)->uuid, UUID_BYTES);
	return ref;
}

static void answer_net(struct call *call, const struct network *net, const GError *error)
{
	remote_net_ret ret;

	if (!net) {
		call_fail(call, error);
		return;
	}
	ret.net = net_ref(net);
	call_reply(call, &ret);
}

static void answer(struct call *call, const GError *error)
{
	if (error)
		call_fail(call, error);
	else
		call_reply(call, NULL);
}

/* ---- listing ---- */

static bool chosen(unsigned flags, unsigned yes, unsigned no, bool is)
{
	return !(flags & (yes | no)) || flags & (is ? yes : no);
}

static GPtrArray *networks_chosen(struct daemon *daemon, unsigned flags)
{
	GPtrArray *list = g_ptr_array_new();

	for (unsigned i = 0; i < daemon->networks->len; i++) {
		struct network *net = daemon->networks->pdata[i];

		if (chosen(flags, LIST_ACTIVE, LIST_INACTIVE, net->live) &&
		    chosen(flags, LIST_PERSISTENT, LIST_TRANSIENT, net->saved) &&
		    chosen(flags, LIST_AUTOSTART, LIST_NO_AUTOSTART, net->autostart))
			g_ptr_array_add(list, net);
	}
	return list;
}

static void list_all(struct call *call, const void *argp)
{
	const remote_list_args *args = argp;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree remote_network *refs = NULL;
	remote_nets_ret ret = { 0 };

	if (!api_flags(call, args->flags, LIST_KNOWN))
		return;
	list = networks_chosen(call->daemon, args->flags);
	refs = g_new0(remote_network, list->len);
	for (unsigned i = 0; i < list->len; i++)
		refs[i] = net_ref(list->pdata[i]);
	ret.ret = list->len;
	if (args->need_results) {
		ret.nets.nets_len = list->len;
		ret.nets.nets_val = refs;
	}
	call_reply(call, &ret);
}

static void count(struct call *call, unsigned flags)
{
	g_autoptr(GPtrArray) list = networks_chosen(call->daemon, flags);

	call_reply(call, &(remote_int_ret){ (int)list->len });
}

static void names(struct call *call, const void *argp, unsigned flags)
{
	const remote_int_args *args = argp;
	g_autoptr(GPtrArray) list = networks_chosen(call->daemon, flags);
	unsigned n = MIN(list->len, (unsigned)MAX(args->num, 0));
	g_autofree remote_text *texts = g_new0(remote_text, n);
	remote_names_ret ret = { .names = { n, texts } };

	for (unsigned i = 0; i < n; i++)
		texts[i] = network_now(list->pdata[i])->name;
	call_reply(call, &ret);
}

static void num_active(struct call *call, const void *argp)
{
	count(call, LIST_ACTIVE);
}

static void num_inactive(struct call *call, const void *argp)
{
	count(call, LIST_INACTIVE);
}

static void names_active(struct call *call, const void *argp)
{
	names(call, argp, LIST_ACTIVE);
}

static void names_inactive(struct call *call, const void *argp)
{
	names(call, argp, LIST_INACTIVE);
}

/* ---- looking up ---- */

static void found(struct call *call, const struct network *net, const char *what, const char *key)
{
	g_autoptr(GError) error = NULL;

	if (!net)
		error_set(&error, VMM_ERR_NO_NETWORK,
			  "Network not found: no network with matching %s '%s'", what, key);
	answer_net(call, net, error);
}

static void by_name(struct call *call, const void *argp)
{
	const remote_name_args *args = argp;

	found(call, network_find_name(call->daemon, args->name), "name", args->name);
}

static void by_uuid(struct call *call, const void *argp)
{
	const remote_uuid_args *args = argp;
	char text[UUID_TEXT_BYTES];

	uuid_to_text((const uint8_t *)args->uuid, text);
	found(call, network_find_uuid(call->daemon, (const uint8_t *)args->uuid), "uuid", text);
}

/* ---- changing ---- */

typedef struct network *make_fn(struct daemon *daemon, network_def *def, GError **error);

static void make(struct call *call, const char *xml, unsigned flags, make_fn *fn)
{
	g_autoptr(GError) error = NULL;
	struct network *net;
	network_def *def;

	if (!api_flags(call, flags, NETWORK_PARSE_VALIDATE))
		return;
	def = network_def_parse(xml, flags, &error);
	net = def ? fn(call->daemon, def, &error) : NULL;
	answer_net(call, net, error);
}

static void define(struct call *call, const void *argp)
{
	make(call, ((const remote_xml_args *)argp)->xml, 0, network_define);
}

static void define_flags(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;

	make(call, args->xml, args->flags, network_define);
}

static void create_xml(struct call *call, const void *argp)
{
	make(call, ((const remote_xml_args *)argp)->xml, 0, network_create);
}

static void create_xml_flags(struct call *call, const void *argp)
{
	const remote_xml_flags_args *args = argp;

	make(call, args->xml, args->flags, network_create);
}

static void doing(struct call *call, const void *argp, bool (*fn)(struct network *, GError **))
{
	struct network *net = api_network_of(call, &((const remote_net_args *)argp)->net);
	g_autoptr(GError) error = NULL;

	if (!net)
		return;
	fn(net, &error);
	answer(call, error);
}

static void create(struct call *call, const void *argp)
{
	doing(call, argp, network_start);
}

static void destroy(struct call *call, const void *argp)
{
	doing(call, argp, network_stop);
}

static void undefine(struct call *call, const void *argp)
{
	doing(call, argp, network_undefine);
}

static void set_autostart(struct call *call, const void *argp)
{
	const remote_net_int_args *args = argp;
	struct network *net = api_network_of(call, &args->net);
	g_autoptr(GError) error = NULL;

	if (!net)
		return;
	network_set_autostart(net, args->num != 0, &error);
	answer(call, error);
}

/* ---- updating ---- */

static network_def *changed(const network_def *def, const remote_net_update_args *args,
			    GError **error)
{
	g_autoptr(network_def) copy = network_def_copy(def);

	return network_def_update(copy, args->command, args->section, args->xml, error)
		       ? g_steal_pointer(&copy) : NULL;
}

static bool update_may(const struct network *net, unsigned affect, GError **error)
{
	if (affect & API_LIVE && !network_need_active(net, error))
		return false;
	return !(affect & API_CONFIG) || net->saved ||
	       error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: cannot change persistent config of a "
			 "transient network");
}

static void update(struct call *call, const void *argp)
{
	const remote_net_update_args *args = argp;
	struct network *net = api_network_of(call, &args->net);
	g_autoptr(network_def) saved = NULL, live = NULL;
	g_autoptr(GError) error = NULL;
	unsigned affect = args->flags;
	struct link *link;

	if (!net || !api_flags(call, args->flags, API_LIVE | API_CONFIG))
		return;
	affect = affect ?: net->live ? API_LIVE : API_CONFIG;
	if (!update_may(net, affect, &error) ||
	    (affect & API_CONFIG && !(saved = changed(net->saved, args, &error))) ||
	    (affect & API_LIVE && !(live = changed(net->live, args, &error))) ||
	    !network_change(net, g_steal_pointer(&saved), g_steal_pointer(&live), &error)) {
		call_fail(call, error);
	} else if (affect & API_LIVE && net->sw && (link = network_link(net, NULL))) {
		g_autofree char *xml = network_def_format(net->live, -1);

		link_net_update(link, xml, api_link_done, call);
	} else {
		call_reply(call, NULL);
	}
}

/* ---- asking ---- */

static void get_xml(struct call *call, const void *argp)
{
	const remote_net_flags_args *args = argp;
	struct network *net = api_network_of(call, &args->net);
	g_autofree char *xml = NULL;
	bool saved;

	if (!net || !api_flags(call, args->flags, XML_INACTIVE))
		return;
	saved = args->flags & XML_INACTIVE && net->saved;
	xml = network_def_format(saved ? net->saved : network_now(net),
				 saved || !net->live ? -1 : (int)network_n_users(net));
	call_reply(call, &(remote_text_ret){ .text = xml });
}

static void get_bridge(struct call *call, const void *argp)
{
	struct network *net = api_network_of(call, &((const remote_net_args *)argp)->net);

	if (net && network_now(net)->bridge)
		call_reply(call, &(remote_text_ret){ .text = network_now(net)->bridge });
	else if (net)
		call_fail_text(call, VMM_ERR_INTERNAL,
			       "internal error: network '%s' does not have a bridge name.",
			       network_now(net)->name);
}

static void number(struct call *call, const void *argp, bool (*get)(const struct network *net))
{
	struct network *net = api_network_of(call, &((const remote_net_args *)argp)->net);

	if (net)
		call_reply(call, &(remote_int_ret){ get(net) });
}

static bool is_active(const struct network *net)
{
	return net->live;
}

static bool is_persistent(const struct network *net)
{
	return net->saved;
}

static bool is_autostart(const struct network *net)
{
	return net->autostart;
}

static void get_active(struct call *call, const void *argp)
{
	number(call, argp, is_active);
}

static void get_persistent(struct call *call, const void *argp)
{
	number(call, argp, is_persistent);
}

static void get_autostart(struct call *call, const void *argp)
{
	number(call, argp, is_autostart);
}

/* Interfaces are shown with their domains. */
static void list_ports(struct call *call, const void *argp)
{
	const remote_net_list_args *args = argp;

	if (api_network_of(call, &args->net) && api_flags(call, args->flags, 0))
		call_reply(call, &(remote_net_ports_ret){ 0 });
}

/* ---- leases ---- */

struct asking {
	struct call *call;
	bool all, need_results;
	uint8_t mac[MAC_BYTES];
	unsigned prefix;
	char *iface;			/* the gateway's name; NULL: it has none */
};

static void asking_free(struct asking *a)
{
	g_free(a->iface);
	g_free(a);
}

struct lease_texts {
	char mac[MAC_TEXT_BYTES];
	char *mac_ptr, *ip;
};

static void lease_put(const struct asking *a, worker_lease *l, struct lease_texts *t,
		      remote_dhcp_lease *ret)
{
	mac_to_text((const uint8_t *)l->mac, t->mac);
	t->mac_ptr = t->mac;
	t->ip = network_ip_text(l->ip);
	*ret = (remote_dhcp_lease){
		.iface = a->iface ?: (char *)"-", .expirytime = l->expires_s, .type = LEASE_IPV4,
		.mac = &t->mac_ptr, .ipaddr = t->ip, .prefix = a->prefix,
		.hostname = l->name[0] ? &l->name : NULL,
		.clientid = l->client_id[0] ? &l->client_id : NULL,
	};
}

static void on_leases(const void *result, const GError *error, void *opaque)
{
	struct asking *a = opaque;
	const worker_net_info_ret *info = result;
	u_int n = error ? 0 : info->leases.leases_len;
	g_autofree remote_dhcp_lease *leases = g_new0(remote_dhcp_lease, n);
	g_autofree struct lease_texts *texts = g_new0(struct lease_texts, n);
	remote_dhcp_leases_ret ret = { 0 };

	for (u_int i = 0; i < n; i++) {
		worker_lease *l = &info->leases.leases_val[i];

		if (a->all || memcmp(l->mac, a->mac, MAC_BYTES) == 0)
			lease_put(a, l, &texts[ret.ret], &leases[ret.ret]), ret.ret++;
	}
	if (a->need_results)
		ret.leases.leases_len = ret.ret, ret.leases.leases_val = leases;
	if (error)
		call_fail(a->call, error);
	else
		call_reply(a->call, &ret);
	for (u_int i = 0; i < ret.ret; i++)
		g_free(texts[i].ip);
	asking_free(a);
}

static void get_leases(struct call *call, const void *argp)
{
	const remote_dhcp_leases_args *args = argp;
	struct network *net = api_network_of(call, &args->net);
	g_autoptr(GError) error = NULL;
	struct asking *a;
	struct link *link;

	if (!net || !api_flags(call, args->flags, 0))
		return;
	a = g_new0(struct asking, 1);
	a->call = call;
	a->all = !args->mac;
	a->need_results = args->need_results;
	if (args->mac && !mac_from_text(*args->mac, a->mac))
		error_set(&error, VMM_ERR_INVALID_ARG,
			  "invalid argument: '%s' is no MAC address", *args->mac);
	link = error ? NULL : network_link(net, &error);
	if (!link) {
		call_fail(call, error);
		asking_free(a);
		return;
	}
	a->prefix = net->live->prefix;
	a->iface = g_strdup(net->live->bridge);
	link_net_info(link, on_leases, a);
}

const struct api_entry api_network[] = {
	{ REMOTE_PROC_CONNECT_LIST_ALL_NETWORKS, list_all },
	{ REMOTE_PROC_CONNECT_NUM_OF_NETWORKS, num_active },
	{ REMOTE_PROC_CONNECT_LIST_NETWORKS, names_active },
	{ REMOTE_PROC_CONNECT_NUM_OF_DEFINED_NETWORKS, num_inactive },
	{ REMOTE_PROC_CONNECT_LIST_DEFINED_NETWORKS, names_inactive },
	{ REMOTE_PROC_NETWORK_LOOKUP_BY_NAME, by_name },
	{ REMOTE_PROC_NETWORK_LOOKUP_BY_UUID, by_uuid },
	{ REMOTE_PROC_NETWORK_DEFINE_XML, define },
	{ REMOTE_PROC_NETWORK_DEFINE_XML_FLAGS, define_flags },
	{ REMOTE_PROC_NETWORK_CREATE_XML, create_xml },
	{ REMOTE_PROC_NETWORK_CREATE_XML_FLAGS, create_xml_flags },
	{ REMOTE_PROC_NETWORK_CREATE, create },
	{ REMOTE_PROC_NETWORK_DESTROY, destroy },
	{ REMOTE_PROC_NETWORK_UNDEFINE, undefine },
	{ REMOTE_PROC_NETWORK_UPDATE, update },
	{ REMOTE_PROC_NETWORK_GET_XML_DESC, get_xml },
	{ REMOTE_PROC_NETWORK_GET_BRIDGE_NAME, get_bridge },
	{ REMOTE_PROC_NETWORK_GET_AUTOSTART, get_autostart },
	{ REMOTE_PROC_NETWORK_SET_AUTOSTART, set_autostart },
	{ REMOTE_PROC_NETWORK_IS_ACTIVE, get_active },
	{ REMOTE_PROC_NETWORK_IS_PERSISTENT, get_persistent },
	{ REMOTE_PROC_NETWORK_GET_DHCP_LEASES, get_leases },
	{ REMOTE_PROC_NETWORK_LIST_ALL_PORTS, list_ports },
	{ 0 }
};
