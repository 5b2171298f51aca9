/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <interface>: a virtio-net card on user networking, a tap device, a bridge or a network. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/mac.h"

#define QUEUES_MAX 8
#define MTU_MIN 68		/* virtio 1.2, 5.1.4.1 */
#define MTU_MAX 65535
#define LISTENERS_MAX 1024	/* port ranges of one domain */
#define PORTS_MAX 4096u		/* of one interface: each is a socket */
#define AUTO_TARGET "vnet"	/* names of taps that were made at start */

static const char *const type_names[] = { "user", "ethernet", "bridge", "network" };
static const char *const model_names[] = { "virtio" };
static const char *const backend_names[] = { "default" };
static const char *const proto_names[] = { "tcp", "udp" };

static_assert(ARRAY_SIZE(type_names) == N_IFACE_TYPES, "a name for each");

typedef struct forward_def forward_def;
static void forward_free(void *opaque);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(forward_def, forward_free)

static void forward_free(void *opaque)
{
	struct forward_def *f = opaque;

	g_free(f->address);
	g_array_unref(f->ranges);
	g_free(f);
}

struct iface_def *iface_def_new(enum iface_type type)
{
	struct iface_def *i = g_new0(struct iface_def, 1);

	i->type = type;
	i->forwards = g_ptr_array_new_with_free_func(forward_free);
	return i;
}

void iface_def_free(void *opaque)
{
	struct iface_def *i = opaque;

	if (!i)
		return;
	g_free(i->bridge);
	g_free(i->network);
	g_free(i->target);
	g_ptr_array_unref(i->forwards);
	g_free(i->alias);
	g_free(i);
}

/* ---- parse ---- */

bool mac_parse(const xmlNode *node, uint8_t mac[6], GError **error)
{
	g_autofree char *text = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "address", "", error) ||
	    !xml_attr_need(node, "address", &text, error))
		return false;
	if (!mac_from_text(text, mac))
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a MAC address like "
				 "52:54:00:12:34:56", text);
	if (mac[0] & 1 || !memcmp(mac, "\0\0\0\0\0", 6))
		return xml_error(node, VMM_ERR_XML, error,
				 "'%s' is not one card's address: it is %s", text,
				 mac[0] & 1 ? "multicast" : "all zeroes");
	return true;
}

bool ifname_parse(const xmlNode *node, const char *attr, char **ret, GError **error)
{
	g_autofree char *name = NULL;

	if (!xml_attr_need(node, attr, &name, error))
		return false;
	if (strlen(name) >= IFNAMSIZ || strpbrk(name, "/ \t\n%:") || !strcmp(name, ".") ||
	    !strcmp(name, ".."))
		return xml_error(
			node, VMM_ERR_XML, error,
			"'%s' cannot be a network device: at most %d bytes, no blank, '/', ':' "
			"or '%%'",
			name, IFNAMSIZ - 1);
	*ret = g_steal_pointer(&name);
	return true;
}

/* portid= and bridge= are what other daemons tell of one that runs. */
static bool parse_network(const xmlNode *iface, const xmlNode *node, struct iface_def *i,
			  GError **error)
{
	if (!node)
		return xml_error(iface, VMM_ERR_XML, error, "<source network='...'/> is missing");
	return xml_expect(node, "network portid bridge", "", error) &&
	       xml_attr_need(node, "network", &i->network, error);
}

static bool parse_source(const xmlNode *iface, struct iface_def *i, GError **error)
{
	const xmlNode *node = xml_child(iface, "source");

	if (i->type == IFACE_NETWORK)
		return parse_network(iface, node, i, error);
	if (i->type != IFACE_BRIDGE)
		return !node || xml_error(node, VMM_ERR_XML, error, "type='%s' has no <source>",
					  type_names[i->type]);
	if (!node)
		return xml_error(iface, VMM_ERR_XML, error, "<source bridge='...'/> is missing");
	return xml_expect(node, "bridge", "", error) &&
	       ifname_parse(node, "bridge", &i->bridge, error);
}

static bool parse_target(const xmlNode *node, struct iface_def *i, unsigned flags, GError **error)
{
	bool managed = true;

	if (!node)
		return true;
	if (!xml_expect(node, "dev managed", "", error) ||
	    !xml_attr_bool(node, "managed", "yes", "no", &managed, error) ||
	    !ifname_parse(node, "dev", &i->target, error))
		return false;
	if (i->type == IFACE_USER)
		return xml_error(node, VMM_ERR_XML, error, "type='user' has no device on the host");
	if (!managed && i->type != IFACE_ETHERNET)
		return xml_error(node, VMM_ERR_XML, error, "managed='no' needs type='ethernet'");
	i->target_unmanaged = !managed;
	if (!(flags & DOMAIN_PARSE_LIVE) && managed && g_str_has_prefix(i->target, AUTO_TARGET))
		g_clear_pointer(&i->target, g_free);
	return true;
}

static bool parse_range(const xmlNode *node, GArray *ranges, GError **error)
{
	unsigned start = 0, end = 0, to = 0;
	struct port_range r = { 0 };

	if (!xml_expect(node, "start end to exclude", "", error) ||
	    !xml_attr_uint(node, "start", 1, 65535, &start, error) ||
	    !xml_attr_bool(node, "exclude", "yes", "no", &r.exclude, error))
		return false;
	if (!start)
		return xml_error(node, VMM_ERR_XML, error, "attribute 'start' is missing");
	end = to = start;
	if (!xml_attr_uint(node, "end", start, 65535, &end, error) ||
	    !xml_attr_uint(node, "to", 1, 65535, &to, error))
		return false;
	if (r.exclude && to != start)
		return xml_error(node, VMM_ERR_XML, error,
				 "an excluded range goes nowhere: leave out to=");
	if (end - start > 65535 - to)
		return xml_error(node, VMM_ERR_XML, error,
				 "ports %u to %u do not fit above guest port %u", start, end, to);
	r.start = start;
	r.end = end;
	r.to = to;
	g_array_append_val(ranges, r);
	return true;
}

static bool parse_forward_address(const xmlNode *node, struct forward_def *f, GError **error)
{
	struct in_addr addr;

	f->address = xml_attr(node, "address");
	if (f->address && inet_pton(AF_INET, f->address, &addr) != 1)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "'%s' is not an IPv4 address of this host", f->address);
	return true;
}

static struct forward_def *parse_forward(const xmlNode *node, GError **error)
{
	g_autoptr(forward_def) f = g_new0(struct forward_def, 1);
	unsigned proto = 0, included = 0;

	f->ranges = g_array_new(FALSE, FALSE, sizeof(struct port_range));
	if (!xml_expect(node, "proto address", "range*", error) ||
	    !xml_attr_enum(node, "proto", proto_names, 2, &proto, error) ||
	    !parse_forward_address(node, f, error))
		return NULL;
	f->udp = proto;
	for (const xmlNode *n = xml_child(node, "range"); n; n = xml_next(n)) {
		if (!parse_range(n, f->ranges, error))
			return NULL;
		included +=
			!g_array_index(f->ranges, struct port_range, f->ranges->len - 1).exclude;
	}
	if (!included) {
		xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
			  "which ports? Add <range start='HOST' to='GUEST'/>");
		return NULL;
	}
	return g_steal_pointer(&f);
}

static bool check_ports(const xmlNode *iface, const struct iface_def *i, GError **error)
{
	unsigned ports = 0;

	for (unsigned n = 0; n < i->forwards->len; n++) {
		const struct forward_def *f = i->forwards->pdata[n];

		for (unsigned k = 0; k < f->ranges->len && ports <= PORTS_MAX; k++) {
			const struct port_range *r =
				&g_array_index(f->ranges, struct port_range, k);

			ports += r->exclude ? 0 : r->end - r->start + 1u;
		}
	}
	return ports <= PORTS_MAX || xml_error(iface, VMM_ERR_CONFIG_UNSUPPORTED, error,
					       "more than %u ports are forwarded", PORTS_MAX);
}

static bool parse_forwards(const xmlNode *iface, struct iface_def *i, GError **error)
{
	for (const xmlNode *n = xml_child(iface, "portForward"); n; n = xml_next(n)) {
		struct forward_def *f;

		if (i->type != IFACE_USER && i->type != IFACE_NETWORK)
			return xml_error(n, VMM_ERR_XML, error,
					 "only type='user' and type='network' forward ports");
		if (i->forwards->len == DOMAIN_DEVICES_MAX)
			return xml_error(n, VMM_ERR_XML, error, "more than %u", DOMAIN_DEVICES_MAX);
		f = parse_forward(n, error);
		if (!f)
			return false;
		g_ptr_array_add(i->forwards, f);
	}
	return check_ports(iface, i, error);
}

static bool parse_driver(const xmlNode *node, struct iface_def *i, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "queues", "", error) ||
	    !xml_attr_uint(node, "queues", 1, QUEUES_MAX, &i->queues, error))
		return false;
	if (i->queues > 1 && (i->type == IFACE_USER || i->type == IFACE_NETWORK))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "type='%s' has one queue: leave queues= out", type_names[i->type]);
	return true;
}

/* One attribute of one element; the element may be missing. */
static bool parse_one(const xmlNode *iface, const char *name, const char *attr,
		      const xmlNode **ret, GError **error)
{
	*ret = xml_child(iface, name);
	return !*ret || xml_expect(*ret, attr, "", error);
}

static bool parse_small(const xmlNode *iface, struct iface_def *i, GError **error)
{
	const xmlNode *model, *mtu, *link, *backend, *user, *restored;
	unsigned ignored = 0;

	if (!parse_one(iface, "model", "type", &model, error) ||
	    !parse_one(iface, "mtu", "size", &mtu, error) ||
	    !parse_one(iface, "link", "state", &link, error) ||
	    !parse_one(iface, "backend", "type", &backend, error) ||
	    !parse_one(iface, "vmm:user", "restricted", &user, error) ||
	    !parse_one(iface, "vmm:restored", "link", &restored, error))
		return false;
	if (user && i->type != IFACE_USER)
		return xml_error(user, VMM_ERR_XML, error, "only for type='user'");
	return XML_ATTR_ENUM(model, "type", model_names, &ignored, error) &&
	       XML_ATTR_ENUM(backend, "type", backend_names, &ignored, error) &&
	       xml_attr_uint(mtu, "size", MTU_MIN, MTU_MAX, &i->mtu, error) &&
	       xml_attr_bool(link, "state", "down", "up", &i->link_down, error) &&
	       xml_attr_bool(user, "restricted", "yes", "no", &i->restricted, error) &&
	       xml_attr_bool(restored, "link", "bounce", "keep", &i->link_bounces, error);
}

static bool parse_type(const xmlNode *node, enum iface_type *ret, GError **error)
{
	g_autofree char *type = NULL;

	return xml_attr_need(node, "type", &type, error) &&
	       XML_ATTR_ENUM(node, "type", type_names, ret, error);
}

struct iface_def *iface_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(iface_def) i = iface_def_new(IFACE_USER);

	i->line = xmlGetLineNo(node);
	i->mac_given = xml_child(node, "mac");
	if (!xml_expect(node, "type",
			"mac source target model mtu link driver backend portForward* boot "
			"vmm:user vmm:restored"
			DEVICE_CHILDREN, error) ||
	    !parse_type(node, &i->type, error) ||
	    !xml_go_on(node, mac_parse(xml_child(node, "mac"), i->mac, error), error) ||
	    !xml_go_on(node, parse_source(node, i, error), error) ||
	    !xml_go_on(node, parse_target(xml_child(node, "target"), i, flags, error), error) ||
	    !xml_go_on(node, parse_small(node, i, error), error) ||
	    !parse_driver(xml_child(node, "driver"), i, error) ||
	    !parse_forwards(node, i, error) ||
	    !device_parse_common(node, flags, &i->alias, &i->boot_order, error))
		return NULL;
	return g_steal_pointer(&i);
}

/* ---- format ---- */

static void format_forward(struct xml_out *out, const struct forward_def *f)
{
	xml_begin(out, "portForward");
	xml_put(out, "proto", proto_names[f->udp]);
	xml_put(out, "address", f->address);
	for (unsigned i = 0; i < f->ranges->len; i++) {
		const struct port_range *r = &g_array_index(f->ranges, struct port_range, i);

		xml_begin(out, "range");
		xml_putf(out, "start", "%u", r->start);
		if (r->end != r->start)
			xml_putf(out, "end", "%u", r->end);
		if (r->to != r->start)
			xml_putf(out, "to", "%u", r->to);
		xml_put(out, "exclude", r->exclude ? "yes" : NULL);
		xml_end(out);
	}
	xml_end(out);
}

void mac_format(struct xml_out *out, const uint8_t mac[6])
{
	char text[MAC_TEXT_BYTES];

	mac_to_text(mac, text);
	xml_leaf_attr(out, "mac", "address", text);
}

static void format_target(struct xml_out *out, const struct iface_def *i, unsigned flags)
{
	bool automatic = i->target && !i->target_unmanaged &&
			 g_str_has_prefix(i->target, AUTO_TARGET);

	if (!i->target || (automatic && !(flags & DOMAIN_FORMAT_LIVE)))
		return;
	xml_begin(out, "target");
	xml_put(out, "dev", i->target);
	xml_put(out, "managed", i->target_unmanaged ? "no" : NULL);
	xml_end(out);
}

void iface_def_format(struct xml_out *out, const struct iface_def *i, unsigned flags)
{
	xml_begin(out, "interface");
	xml_put(out, "type", type_names[i->type]);
	mac_format(out, i->mac);
	xml_leaf_attr(out, "source", "bridge", i->bridge);
	xml_leaf_attr(out, "source", "network", i->network);
	for (unsigned n = 0; n < i->forwards->len; n++)
		format_forward(out, i->forwards->pdata[n]);
	format_target(out, i, flags);
	xml_leaf_attr(out, "model", "type", "virtio");
	if (i->queues) {
		xml_begin(out, "driver");
		xml_putf(out, "queues", "%u", i->queues);
		xml_end(out);
	}
	xml_leaf_attr(out, "link", "state", i->link_down ? "down" : NULL);
	if (i->mtu) {
		xml_begin(out, "mtu");
		xml_putf(out, "size", "%u", i->mtu);
		xml_end(out);
	}
	boot_order_format(out, i->boot_order);
	alias_format(out, i->alias, flags);
	xml_leaf_attr(out, "vmm:user", "restricted", i->restricted ? "yes" : NULL);
	xml_leaf_attr(out, "vmm:restored", "link", i->link_bounces ? "bounce" : NULL);
	xml_end(out);
}

/* ---- check ---- */

struct listener {			/* one host port range that is listened on */
	const struct iface_def *iface;
	const struct forward_def *forward;
	const struct port_range *range;
};

static bool same_host_port(const struct listener *a, const struct listener *b)
{
	if (a->forward->udp != b->forward->udp)
		return false;
	if (a->forward->address && b->forward->address &&
	    strcmp(a->forward->address, b->forward->address) &&
	    strcmp(a->forward->address, "0.0.0.0") && strcmp(b->forward->address, "0.0.0.0"))
		return false;
	return a->range->start <= b->range->end && b->range->start <= a->range->end;
}

static void listeners_add(const struct iface_def *i, GArray *list)
{
	for (unsigned n = 0; n < i->forwards->len; n++) {
		const struct forward_def *f = i->forwards->pdata[n];

		for (unsigned k = 0; k < f->ranges->len; k++) {
			struct listener l = { i, f,
					      &g_array_index(f->ranges, struct port_range, k) };

			if (!l.range->exclude)
				g_array_append_val(list, l);
		}
	}
}

static bool check_listeners(const GArray *list, GError **error)
{
	if (list->len > LISTENERS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "%u port ranges are forwarded; at most %d are", list->len,
				 LISTENERS_MAX);
	for (unsigned a = 0; a < list->len; a++) {
		for (unsigned b = 0; b < a; b++) {
			const struct listener *x = &g_array_index(list, struct listener, b);
			const struct listener *y = &g_array_index(list, struct listener, a);

			if (same_host_port(x, y))
				return error_set(
					error, VMM_ERR_CONFIG_UNSUPPORTED,
					"line %u: interface '%s' forwards %s ports %u to %u, "
					"which meet ports %u to %u of '%s' on line %u",
					y->iface->line, y->iface->alias,
					proto_names[y->forward->udp], y->range->start,
					y->range->end, x->range->start, x->range->end,
					x->iface->alias, x->iface->line);
		}
	}
	return true;
}

static bool check_pair(const struct iface_def *a, const struct iface_def *b, GError **error)
{
	if (!memcmp(a->mac, b->mac, sizeof(a->mac)))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: interface '%s' has the MAC address "
				 "%02x:%02x:%02x:%02x:%02x:%02x, as has '%s' on line %u", b->line,
				 b->alias, b->mac[0], b->mac[1], b->mac[2], b->mac[3], b->mac[4],
				 b->mac[5], a->alias, a->line);
	if (a->target && b->target && !strcmp(a->target, b->target))
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"line %u: interface '%s' has the target '%s', as has '%s' on line %u",
			b->line, b->alias, b->target, a->alias, a->line);
	return true;
}

bool ifaces_check(const GPtrArray *ifaces, GError **error)
{
	g_autoptr(GArray) list = g_array_new(FALSE, FALSE, sizeof(struct listener));

	for (unsigned a = 0; a < ifaces->len; a++) {
		for (unsigned b = 0; b < a; b++)
			if (!check_pair(ifaces->pdata[b], ifaces->pdata[a], error))
				return false;
		listeners_add(ifaces->pdata[a], list);
	}
	return check_listeners(list, error);
}
