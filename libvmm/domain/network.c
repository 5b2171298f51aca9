/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <network>: parse, check. */
#include "config.h"
#include "libvmm/domain/network-priv.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "libvmm/util/cleanup.h"

#define SCHEMA_FILE "network.rng"
#define PREFIX_MIN 8
#define PREFIX_MAX 30

static const char *const forward_names[] = { "none", "nat", "bridge" };
static_assert(ARRAY_SIZE(forward_names) == N_NETWORK_FORWARDS, "a name for each");

/* ---- life ---- */

void network_host_free(void *opaque)
{
	struct network_host *h = opaque;

	g_free(h->name);
	g_free(h);
}
typedef struct network_host network_host;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(network_host, network_host_free)

void network_name_free(void *opaque)
{
	struct network_name *n = opaque;

	g_ptr_array_unref(n->names);
	g_free(n);
}
typedef struct network_name network_name;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(network_name, network_name_free)

network_def *network_def_new(const char *name)
{
	network_def *def = g_new0(network_def, 1);

	def->name = g_strdup(name);
	uuid_random(def->uuid);
	mac_random(def->mac);
	def->ranges = g_array_new(FALSE, FALSE, sizeof(struct network_range));
	def->hosts = g_ptr_array_new_with_free_func(network_host_free);
	def->names = g_ptr_array_new_with_free_func(network_name_free);
	def->records = g_ptr_array_new_with_free_func(network_record_free);
	return def;
}

void network_def_free(network_def *def)
{
	if (!def)
		return;
	g_free(def->name);
	g_free(def->title);
	g_free(def->description);
	g_free(def->metadata);
	g_free(def->bridge);
	g_free(def->domain);
	g_array_unref(def->ranges);
	g_ptr_array_unref(def->hosts);
	g_ptr_array_unref(def->names);
	g_ptr_array_unref(def->records);
	g_free(def);
}

/* ---- words ---- */

uint32_t network_mask(const network_def *def)
{
	return def->prefix ? ~(UINT32_MAX >> def->prefix) : 0;
}

bool network_ip_from_text(const char *text, uint32_t *ret)
{
	struct in_addr addr;

	if (inet_pton(AF_INET, text, &addr) != 1)
		return false;
	*ret = ntohl(addr.s_addr);
	return true;
}

static bool parse_ip(const xmlNode *node, const char *attr, uint32_t *ret, GError **error)
{
	g_autofree char *text = NULL;

	if (!xml_attr_need(node, attr, &text, error))
		return false;
	return network_ip_from_text(text, ret) ||
	       xml_error(node, VMM_ERR_XML, error, "%s='%s' is not an IPv4 address like "
			 "192.168.122.1", attr, text);
}

/* RFC 1123, 2.1: letters, digits, hyphens; labels of up to 63 bytes. */
static bool name_is_dns(const char *name)
{
	g_auto(GStrv) labels = g_strsplit(name, ".", -1);

	if (strlen(name) > NETWORK_DNS_NAME_MAX)
		return false;
	for (char **l = labels; *l; l++) {
		size_t n = strlen(*l);

		if (n < 1 || n > 63 || (*l)[0] == '-' || (*l)[n - 1] == '-')
			return false;
		if (strspn(*l, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
		    != n)
			return false;
	}
	return *name;
}

bool network_dns_name_check(const xmlNode *node, const char *name, GError **error)
{
	return name_is_dns(name) ||
	       xml_error(node, VMM_ERR_XML, error, "'%s' is not a host's name: letters, digits, "
			 "hyphens, and dots between", name);
}

/* ---- hosts ---- */

struct network_host *network_host_parse(const xmlNode *node, GError **error)
{
	g_autoptr(network_host) h = g_new0(struct network_host, 1);
	g_autofree char *mac = xml_attr(node, "mac");

	if (!xml_expect(node, "mac name ip", "lease", error) ||
	    !parse_ip(node, "ip", &h->ip, error) || !network_lease_parse(node, &h->lease_s, error))
		return NULL;
	h->name = xml_attr(node, "name");
	h->has_mac = mac && mac_from_text(mac, h->mac);
	if (mac && (!h->has_mac || h->mac[0] & 1)) {
		xml_error(node, VMM_ERR_XML, error, "'%s' is not one card's address", mac);
		return NULL;
	}
	if (!mac && !h->name) {
		xml_error(node, VMM_ERR_XML, error, "a <host> needs mac= or name=");
		return NULL;
	}
	if (h->name && !network_dns_name_check(node, h->name, error))
		return NULL;
	return g_steal_pointer(&h);
}

struct network_name *network_name_parse(const xmlNode *node, GError **error)
{
	g_autoptr(network_name) n = g_new0(struct network_name, 1);

	n->names = g_ptr_array_new_with_free_func(g_free);
	if (!xml_expect(node, "ip", "hostname*", error) || !parse_ip(node, "ip", &n->ip, error))
		return NULL;
	for (const xmlNode *c = xml_child(node, "hostname"); c; c = xml_next(c)) {
		char *text = xml_text(c);

		if (text)
			g_ptr_array_add(n->names, text);
		if (!xml_expect(c, "", NULL, error) ||
		    !network_dns_name_check(c, text ?: "", error))
			return NULL;
	}
	if (n->names->len < 1 || n->names->len > NETWORK_ALIASES_MAX) {
		xml_error(node, VMM_ERR_XML, error, "a host has 1 to %u <hostname>s",
			  NETWORK_ALIASES_MAX);
		return NULL;
	}
	return g_steal_pointer(&n);
}

/* ---- parts ---- */

static bool parse_range(const xmlNode *node, network_def *def, GError **error)
{
	struct network_range r;

	if (!xml_expect(node, "start end", "lease", error) ||
	    !network_lease_parse(node, &r.lease_s, error) ||
	    !parse_ip(node, "start", &r.start, error) || !parse_ip(node, "end", &r.end, error))
		return false;
	if (r.start > r.end)
		return xml_error(node, VMM_ERR_XML, error, "the range ends before it begins");
	if (r.end - r.start >= NETWORK_ADDRESSES_MAX)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "a range has at most %u addresses", NETWORK_ADDRESSES_MAX);
	g_array_append_val(def->ranges, r);
	return true;
}

static bool parse_dhcp(const xmlNode *node, network_def *def, GError **error)
{
	if (!node)
		return true;
	def->dhcp = true;
	if (!xml_expect(node, "", "range* host*", error))
		return false;
	for (const xmlNode *n = xml_child(node, "range"); n; n = xml_next(n)) {
		if (def->ranges->len == NETWORK_RANGES_MAX)
			return xml_error(n, VMM_ERR_XML, error, "more than %u",
					 NETWORK_RANGES_MAX);
		if (!parse_range(n, def, error))
			return false;
	}
	for (const xmlNode *n = xml_child(node, "host"); n; n = xml_next(n)) {
		struct network_host *h = network_host_parse(n, error);

		if (!h)
			return false;
		g_ptr_array_add(def->hosts, h);
	}
	return true;
}

static bool parse_prefix(const xmlNode *node, network_def *def, GError **error)
{
	g_autofree char *text = xml_attr(node, "netmask");
	unsigned prefix = 0;
	uint32_t mask;

	if (!xml_attr_uint(node, "prefix", PREFIX_MIN, PREFIX_MAX, &prefix, error))
		return false;
	if (!text == !prefix)
		return xml_error(node, VMM_ERR_XML, error,
				 "say either netmask='255.255.255.0' or prefix='24'");
	if (text) {
		if (!network_ip_from_text(text, &mask) || (~mask & (~mask + 1)))
			return xml_error(node, VMM_ERR_XML, error, "netmask='%s' is none", text);
		prefix = (unsigned)__builtin_popcount(mask);
	}
	if (prefix < PREFIX_MIN || prefix > PREFIX_MAX)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "a prefix of %u; it can be %d to %d", prefix, PREFIX_MIN,
				 PREFIX_MAX);
	def->prefix = prefix;
	return true;
}

static bool parse_address(const xmlNode *node, network_def *def, GError **error)
{
	static const char *const families[] = { "ipv4" };
	unsigned family = 0;

	if (!node)
		return true;
	if (!xml_expect(node, "family address netmask prefix", "dhcp", error) ||
	    !XML_ATTR_ENUM(node, "family", families, &family, error) ||
	    !parse_ip(node, "address", &def->address, error) || !parse_prefix(node, def, error))
		return false;
	if (xml_next(node))
		return xml_error(xml_next(node), VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "a network has one <ip>, of IPv4");
	return parse_dhcp(xml_child(node, "dhcp"), def, error);
}

static bool parse_dns(const xmlNode *node, network_def *def, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "enable", "txt* srv* host*", error) ||
	    !xml_attr_bool(node, "enable", "no", "yes", &def->dns_off, error))
		return false;
	for (const xmlNode *n = xml_child(node, "host"); n; n = xml_next(n)) {
		struct network_name *name = network_name_parse(n, error);

		if (!name)
			return false;
		g_ptr_array_add(def->names, name);
	}
	return network_records_parse(node, def, error);
}

static bool parse_domain(const xmlNode *node, network_def *def, GError **error)
{
	if (!node)
		return true;
	return xml_expect(node, "name localOnly", "", error) &&
	       xml_attr_need(node, "name", &def->domain, error) &&
	       network_dns_name_check(node, def->domain, error) &&
	       xml_attr_bool(node, "localOnly", "yes", "no", &def->local_only, error);
}

/* stp= and delay= are of a device that is not made: taken as libvirt writes them. */
static bool parse_bridge(const xmlNode *node, network_def *def, GError **error)
{
	if (!node)
		return true;
	return xml_expect(node, "name stp delay", "", error) &&
	       (!xmlHasProp(node, BAD_CAST "name") ||
		ifname_parse(node, "name", &def->bridge, error));
}

static bool parse_forward(const xmlNode *node, network_def *def, GError **error)
{
	if (!node)
		return true;
	def->forward = NETWORK_NAT;
	return xml_expect(node, "mode", "", error) &&
	       XML_ATTR_ENUM(node, "mode", forward_names, &def->forward, error);
}

static bool parse_identity(const xmlNode *root, network_def *def, GError **error)
{
	const xmlNode *name = xml_child(root, "name"), *uuid = xml_child(root, "uuid");
	g_autofree char *text = uuid ? xml_text(uuid) : NULL;

	if (!name)
		return xml_error(root, VMM_ERR_XML, error, "<name> is missing");
	if (!xml_expect(name, "", NULL, error) || (uuid && !xml_expect(uuid, "", NULL, error)))
		return false;
	def->name = xml_text(name);
	if (!def->name || strlen(def->name) > NETWORK_NAME_MAX_BYTES || strpbrk(def->name, "/\n") ||
	    !g_utf8_validate(def->name, -1, NULL))
		return xml_error(name, VMM_ERR_XML, error,
				 "a network's name has 1 to %u bytes, no '/' and one line",
				 NETWORK_NAME_MAX_BYTES);
	if (uuid && (!text || !uuid_from_text(text, def->uuid)))
		return xml_error(uuid, VMM_ERR_XML, error,
				 "'%s' is not a UUID; leave the element out and one is made",
				 text ?: "");
	return true;
}

static bool parse_words(const xmlNode *root, network_def *def, GError **error)
{
	const xmlNode *title = xml_child(root, "title"), *text = xml_child(root, "description");
	const xmlNode *metadata = xml_child(root, "metadata");

	if ((title && !xml_expect(title, "", NULL, error)) ||
	    (text && !xml_expect(text, "", NULL, error)))
		return false;
	def->title = title ? xml_text(title) : NULL;
	def->description = text ? xml_text(text) : NULL;
	return !metadata || metadata_keep(metadata, &def->metadata, error);
}

/* ---- check ---- */

static bool in_network(const network_def *def, uint32_t ip)
{
	uint32_t mask = network_mask(def);

	return (ip & mask) == (def->address & mask) && (ip & ~mask) != 0 && (ip & ~mask) != ~mask;
}

static bool bad_ip(uint32_t ip, GError **error, const char *why)
{
	g_autofree char *text = network_ip_text(ip);

	return error_set(error, VMM_ERR_XML, "XML error: address %s %s", text, why);
}

static bool same_host(const struct network_host *a, const struct network_host *b)
{
	return a->ip == b->ip || (a->has_mac && b->has_mac && !memcmp(a->mac, b->mac, MAC_BYTES)) ||
	       (a->name && b->name && !g_ascii_strcasecmp(a->name, b->name));
}

static bool check_hosts(const network_def *def, GError **error)
{
	if (def->hosts->len > NETWORK_HOSTS_MAX || def->names->len > NETWORK_HOSTS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED, "more than %u <host>s",
				 NETWORK_HOSTS_MAX);
	for (unsigned i = 0; i < def->hosts->len; i++) {
		const struct network_host *h = def->hosts->pdata[i];

		if (!in_network(def, h->ip) || h->ip == def->address)
			return bad_ip(h->ip, error, "can't be a guest's in this network");
		for (unsigned k = 0; k < i; k++)
			if (same_host(h, def->hosts->pdata[k]))
				return bad_ip(h->ip, error, "has an address, card or name that "
					      "another <host> has");
	}
	return true;
}

static bool check_ranges(const network_def *def, GError **error)
{
	for (unsigned i = 0; i < def->ranges->len; i++) {
		const struct network_range *r =
			&g_array_index(def->ranges, struct network_range, i);

		if (!in_network(def, r->start))
			return bad_ip(r->start, error, "of a <range> is not a guest's");
		if (!in_network(def, r->end))
			return bad_ip(r->end, error, "of a <range> is not a guest's");
	}
	return true;
}

bool network_def_check(const network_def *def, GError **error)
{
	bool bridge = def->forward == NETWORK_BRIDGE;

	if (bridge && !def->bridge)
		return error_set(error, VMM_ERR_XML,
				 "XML error: <forward mode='bridge'/> needs <bridge name='br0'/>");
	if (bridge && (def->address || def->domain || def->names->len || def->records->len ||
		       def->dns_off))
		return error_set(error, VMM_ERR_XML,
				 "XML error: a network on the bridge '%s' of the host has its "
				 "addresses and names from there: leave out <ip>, <domain>, <dns>",
				 def->bridge);
	if (def->forward == NETWORK_NAT && !def->address)
		return error_set(error, VMM_ERR_XML, "XML error: nat forwarding requested, but no "
				 "IP address provided for network '%s'", def->name);
	if (def->address && !in_network(def, def->address))
		return bad_ip(def->address, error, "is not a host's in its own network");
	return check_ranges(def, error) && check_hosts(def, error);
}

network_def *network_def_parse(const char *xml, unsigned flags, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, NETWORK_XML_MAX_BYTES, "network", error);
	g_autoptr(network_def) def = NULL;
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!root)
		return NULL;
	def = network_def_new(NULL);
	if (!xml_root_is(root, "network", error) ||
	    !xml_expect(root, "connections",
			"name uuid title description metadata forward bridge mac domain dns ip*",
			error) ||
	    !parse_identity(root, def, error) || !parse_words(root, def, error) ||
	    !parse_forward(xml_child(root, "forward"), def, error) ||
	    !parse_bridge(xml_child(root, "bridge"), def, error) ||
	    !mac_parse(xml_child(root, "mac"), def->mac, error) ||
	    !parse_domain(xml_child(root, "domain"), def, error) ||
	    !parse_dns(xml_child(root, "dns"), def, error) ||
	    !parse_address(xml_child(root, "ip"), def, error) || !network_def_check(def, error) ||
	    (flags & NETWORK_PARSE_VALIDATE && !xml_validate_by(doc, SCHEMA_FILE, error)))
		return NULL;
	return g_steal_pointer(&def);
}
