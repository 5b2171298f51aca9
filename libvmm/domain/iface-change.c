/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One interface by itself, as clients write it to have its link changed. */
#include "config.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"

static char *format_alone(const struct iface_def *i)
{
	struct xml_out out;

	xml_out_init(&out);
	iface_def_format(&out, i, DOMAIN_FORMAT_LIVE);
	return xml_out_done(&out);
}

/* What the client left out is as it was. */
static bool same_but_link(const struct iface_def *was, struct iface_def *is)
{
	bool down = is->link_down;
	g_autofree char *a = NULL, *b = NULL;

	g_free(is->alias);
	is->alias = g_strdup(was->alias);
	if (!is->target)
		is->target = g_strdup(was->target);
	is->link_down = was->link_down;
	a = format_alone(was);
	b = format_alone(is);
	is->link_down = down;
	return g_str_equal(a, b);
}

static iface_def *read_alone(const char *xml, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "device", error);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!root)
		return NULL;
	if (strcmp((const char *)root->name, "interface") == 0)
		return iface_def_parse(root, DOMAIN_PARSE_LIVE, error);
	error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
		  "Operation not supported: of devices only an <interface> can be changed, "
		  "not a <%s>: use 'edit'", root->name);
	return NULL;
}

bool domain_def_change_link(domain_def *def, const char *xml, unsigned *ret_index, GError **error)
{
	g_autoptr(iface_def) is = read_alone(xml, error);

	for (unsigned i = 0; is && i < def->ifaces->len; i++) {
		struct iface_def *was = g_ptr_array_index(def->ifaces, i);

		if (memcmp(was->mac, is->mac, sizeof(was->mac)) != 0)
			continue;
		if (!same_but_link(was, is))
			return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
					 "Operation not supported: of interface '%s' only the "
					 "<link state=> can be changed: use 'edit'", was->alias);
		was->link_down = is->link_down;
		*ret_index = i;
		return true;
	}
	if (is)
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: domain '%s' has no interface with this <mac>",
			  def->name);
	return false;
}
