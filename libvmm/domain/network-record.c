/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <network>: <txt> and <srv> of its names, <lease> of its addresses. */
#include "config.h"
#include "libvmm/domain/network-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

/* ---- leases ---- */

bool network_lease_parse(const xmlNode *node, uint32_t *ret, GError **error)
{
	static const char *const units[] = { "minutes", "seconds", "hours" };
	static const unsigned seconds[] = { 60, 1, 3600 };
	const xmlNode *lease = xml_child(node, "lease");
	unsigned unit = 0, n = 0;

	*ret = 0;
	if (!lease)
		return true;
	if (!xml_expect(lease, "expiry unit", "", error) ||
	    !XML_ATTR_ENUM(lease, "unit", units, &unit, error) ||
	    !xml_attr_uint(lease, "expiry", 0, NETWORK_LEASE_MAX_S, &n, error))
		return false;
	*ret = n > NETWORK_LEASE_MAX_S / seconds[unit] ? 0 : n * seconds[unit];
	return (*ret >= NETWORK_LEASE_MIN_S && *ret <= NETWORK_LEASE_MAX_S) ||
	       xml_error(lease, VMM_ERR_CONFIG_UNSUPPORTED, error,
			 "expiry='%u': a lease lasts 2 minutes to 30 days", n);
}

/* ---- records ---- */

void network_record_free(void *opaque)
{
	struct network_record *r = opaque;

	if (!r)
		return;
	g_free(r->name);
	g_free(r->value);
	g_free(r->domain);
	g_free(r->target);
	g_free(r);
}

static struct network_record *txt_parse(const xmlNode *node, GError **error)
{
	g_autoptr(network_record) r = g_new0(struct network_record, 1);

	if (!xml_expect(node, "name value", "", error) ||
	    !xml_attr_need(node, "name", &r->name, error) ||
	    !network_dns_name_check(node, r->name, error) ||
	    !xml_attr_need(node, "value", &r->value, error))
		return NULL;
	if (strlen(r->value) <= NETWORK_TXT_MAX)
		return g_steal_pointer(&r);
	xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error, "a value has at most %u bytes",
		  NETWORK_TXT_MAX);
	return NULL;
}

static bool srv_numbers(const xmlNode *node, struct network_record *r, GError **error)
{
	return xml_attr_uint(node, "port", 1, 65535, &r->port, error) &&
	       xml_attr_uint(node, "priority", 0, 65535, &r->priority, error) &&
	       xml_attr_uint(node, "weight", 0, 65535, &r->weight, error);
}

static struct network_record *srv_parse(const xmlNode *node, GError **error)
{
	static const char *const protocols[] = { "tcp", "udp" };
	g_autoptr(network_record) r = g_new0(struct network_record, 1);
	unsigned udp = 0;

	if (!xml_expect(node, "service protocol domain target port priority weight", "", error) ||
	    !xml_attr_need(node, "service", &r->name, error) ||
	    !network_dns_name_check(node, r->name, error) ||
	    !XML_ATTR_ENUM(node, "protocol", protocols, &udp, error) ||
	    !srv_numbers(node, r, error))
		return NULL;
	r->udp = udp;
	r->domain = xml_attr(node, "domain");
	r->target = xml_attr(node, "target");
	if (g_strcmp0(r->target, ".") == 0)
		g_clear_pointer(&r->target, g_free);
	if ((r->domain && !network_dns_name_check(node, r->domain, error)) ||
	    (r->target && !network_dns_name_check(node, r->target, error)))
		return NULL;
	if (r->target && !r->port) {
		xml_error(node, VMM_ERR_XML, error, "a target= needs its port=");
		return NULL;
	}
	if (strchr(r->name, '.') || strlen(r->name) > 62) {
		xml_error(node, VMM_ERR_XML, error, "'%s' is not a service's name", r->name);
		return NULL;
	}
	return g_steal_pointer(&r);
}

static bool records_add(const xmlNode *node, network_def *def,
			struct network_record *(*parse)(const xmlNode *, GError **), GError **error)
{
	for (; node; node = xml_next(node)) {
		struct network_record *r;

		if (def->records->len == NETWORK_RECORDS_MAX)
			return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
					 "more than %u <txt> and <srv>", NETWORK_RECORDS_MAX);
		r = parse(node, error);
		if (!r)
			return false;
		g_ptr_array_add(def->records, r);
	}
	return true;
}

bool network_records_parse(const xmlNode *dns, network_def *def, GError **error)
{
	return records_add(xml_child(dns, "txt"), def, txt_parse, error) &&
	       records_add(xml_child(dns, "srv"), def, srv_parse, error);
}

static void srv_format(struct xml_out *out, const struct network_record *r)
{
	xml_begin(out, "srv");
	xml_put(out, "service", r->name);
	xml_put(out, "protocol", r->udp ? "udp" : "tcp");
	xml_put(out, "domain", r->domain);
	xml_put(out, "target", r->target ?: ".");
	if (r->port)
		xml_putf(out, "port", "%u", r->port);
	if (r->priority)
		xml_putf(out, "priority", "%u", r->priority);
	if (r->weight)
		xml_putf(out, "weight", "%u", r->weight);
	xml_end(out);
}

void network_records_format(struct xml_out *out, const network_def *def)
{
	for (unsigned i = 0; i < def->records->len; i++) {
		const struct network_record *r = def->records->pdata[i];

		if (!r->value) {
			srv_format(out, r);
			continue;
		}
		xml_begin(out, "txt");
		xml_put(out, "name", r->name);
		xml_put(out, "value", r->value);
		xml_end(out);
	}
}
