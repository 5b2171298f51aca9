/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <network>: format, and changes of its lists of hosts. */
#include "config.h"
#include "libvmm/domain/network-priv.h"

#include <arpa/inet.h>
#include <string.h>

#include "libvmm/util/cleanup.h"

char *network_ip_text(uint32_t ip)
{
	return g_strdup_printf("%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

static void put_ip(struct xml_out *out, const char *attr, uint32_t ip)
{
	g_autofree char *text = network_ip_text(ip);

	xml_put(out, attr, text);
}

static void format_names(struct xml_out *out, const network_def *def)
{
	if (!def->dns_off && !def->names->len && !def->records->len)
		return;
	xml_begin(out, "dns");
	xml_put(out, "enable", def->dns_off ? "no" : NULL);
	network_records_format(out, def);
	for (unsigned i = 0; i < def->names->len; i++) {
		const struct network_name *n = def->names->pdata[i];

		xml_begin(out, "host");
		put_ip(out, "ip", n->ip);
		for (unsigned k = 0; k < n->names->len; k++)
			xml_leaf(out, "hostname", n->names->pdata[k]);
		xml_end(out);
	}
	xml_end(out);
}

static void format_lease(struct xml_out *out, uint32_t lease_s)
{
	if (!lease_s)
		return;
	xml_begin(out, "lease");
	xml_putf(out, "expiry", "%u", lease_s);
	xml_put(out, "unit", "seconds");
	xml_end(out);
}

static void format_host(struct xml_out *out, const struct network_host *h)
{
	char mac[MAC_TEXT_BYTES];

	mac_to_text(h->mac, mac);
	xml_begin(out, "host");
	xml_put(out, "mac", h->has_mac ? mac : NULL);
	xml_put(out, "name", h->name);
	put_ip(out, "ip", h->ip);
	format_lease(out, h->lease_s);
	xml_end(out);
}

static void format_address(struct xml_out *out, const network_def *def)
{
	if (!def->address)
		return;
	xml_begin(out, "ip");
	put_ip(out, "address", def->address);
	put_ip(out, "netmask", network_mask(def));
	if (def->dhcp) {
		xml_begin(out, "dhcp");
		for (unsigned i = 0; i < def->ranges->len; i++) {
			const struct network_range *r =
				&g_array_index(def->ranges, struct network_range, i);

			xml_begin(out, "range");
			put_ip(out, "start", r->start);
			put_ip(out, "end", r->end);
			format_lease(out, r->lease_s);
			xml_end(out);
		}
		for (unsigned i = 0; i < def->hosts->len; i++)
			format_host(out, def->hosts->pdata[i]);
		xml_end(out);
	}
	xml_end(out);
}

char *network_def_format(const network_def *def, int connections)
{
	static const char *const modes[] = { NULL, "nat", "bridge" };
	char uuid[UUID_TEXT_BYTES];
	struct xml_out out;

	uuid_to_text(def->uuid, uuid);
	xml_out_init(&out);
	xml_begin(&out, "network");
	if (connections > 0)
		xml_putf(&out, "connections", "%d", connections);
	xml_leaf(&out, "name", def->name);
	xml_leaf(&out, "uuid", uuid);
	xml_leaf(&out, "title", def->title);
	xml_leaf(&out, "description", def->description);
	if (def->metadata)
		xml_raw(&out, def->metadata);
	xml_leaf_attr(&out, "forward", "mode", modes[def->forward]);
	xml_leaf_attr(&out, "bridge", "name", def->bridge);
	mac_format(&out, def->mac);
	if (def->domain) {
		xml_begin(&out, "domain");
		xml_put(&out, "name", def->domain);
		xml_put(&out, "localOnly", def->local_only ? "yes" : NULL);
		xml_end(&out);
	}
	format_names(&out, def);
	format_address(&out, def);
	xml_end(&out);
	return xml_out_done(&out);
}

network_def *network_def_copy(const network_def *def)
{
	g_autofree char *xml = network_def_format(def, -1);
	network_def *copy = network_def_parse(xml, 0, NULL);

	g_assert(copy);
	return copy;
}

/* ---- changes ---- */

struct list {			/* of what an update changes */
	GPtrArray *items;
	void *(*parse)(const xmlNode *node, GError **error);
	void (*free)(void *item);
	/* Is this the item that the client means? */
	bool (*same)(const void *item, const void *wanted);
};

static void *parse_host(const xmlNode *node, GError **error)
{
	return network_host_parse(node, error);
}

static void *parse_name(const xmlNode *node, GError **error)
{
	return network_name_parse(node, error);
}

static bool host_is(const void *item, const void *wanted)
{
	const struct network_host *a = item, *b = wanted;

	if (a->has_mac && b->has_mac)
		return memcmp(a->mac, b->mac, MAC_BYTES) == 0;
	return a->name && b->name ? g_ascii_strcasecmp(a->name, b->name) == 0 : a->ip == b->ip;
}

static bool name_is(const void *item, const void *wanted)
{
	return ((const struct network_name *)item)->ip == ((const struct network_name *)wanted)->ip;
}

static int list_find(const struct list *l, const void *wanted)
{
	for (unsigned i = 0; i < l->items->len; i++)
		if (l->same(l->items->pdata[i], wanted))
			return (int)i;
	return -1;
}

static bool no_such(unsigned command, GError **error)
{
	if (command == NETWORK_UPDATE_DELETE || command == NETWORK_UPDATE_MODIFY)
		return error_set(error, VMM_ERR_OPERATION_INVALID,
				 "Requested operation is not valid: the network has no such "
				 "<host>");
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "Requested operation is not valid: the network has that <host> already; "
			 "change it by 'modify'");
}

/* Takes item. */
static bool list_change(const struct list *l, unsigned command, void *item, GError **error)
{
	int at = list_find(l, item);
	bool add = command == NETWORK_UPDATE_ADD_LAST || command == NETWORK_UPDATE_ADD_FIRST;

	if (add != (at < 0)) {
		l->free(item);
		return no_such(command, error);
	}
	if (!add)
		g_ptr_array_remove_index(l->items, (unsigned)at);
	if (command == NETWORK_UPDATE_DELETE)
		l->free(item);
	else
		g_ptr_array_insert(l->items,
				   !add ? at : command == NETWORK_UPDATE_ADD_FIRST ? 0 : -1, item);
	return true;
}

bool network_def_update(network_def *def, unsigned command, unsigned section, const char *xml,
			GError **error)
{
	const struct list lists[] = {
		[NETWORK_SECTION_DHCP_HOST] = { def->hosts, parse_host, network_host_free,
						host_is },
		[NETWORK_SECTION_DNS_HOST] = { def->names, parse_name, network_name_free,
					       name_is },
	};
	g_autoptr(xmlDoc) doc = NULL;
	const xmlNode *root;
	void *item;

	if (section >= ARRAY_SIZE(lists) || !lists[section].items)
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "Operation not supported: of a network only dhcp and dns <host>s "
				 "change by an update; use 'net-edit'");
	if (command < NETWORK_UPDATE_MODIFY || command > NETWORK_UPDATE_ADD_FIRST)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "invalid argument: unknown update command %u", command);
	if (section == NETWORK_SECTION_DHCP_HOST && !def->dhcp)
		return error_set(error, VMM_ERR_OPERATION_INVALID, "Requested operation is not "
				 "valid: network '%s' gives no addresses (<dhcp>)", def->name);
	doc = xml_read(xml, NETWORK_XML_MAX_BYTES, "host", error);
	root = doc ? xmlDocGetRootElement(doc) : NULL;
	if (!root || !xml_root_is(root, "host", error) ||
	    !(item = lists[section].parse(root, error)))
		return false;
	return list_change(&lists[section], command, item, error) && network_def_check(def, error);
}
