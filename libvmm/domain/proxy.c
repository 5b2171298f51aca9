/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <vmm:proxy> in <vsock>: where programs of the guest may be connected to. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#define ELEMENT "vmm:proxy"

static bool parse_one(const xmlNode *node, struct allow_rule *ret, GError **error)
{
	g_autofree char *text = NULL;
	g_autoptr(GError) why = NULL;

	return xml_expect(node, "allow", "", error) &&
	       xml_attr_need(node, "allow", &text, error) &&
	       (allow_rule_parse(text, ret, &why) ||
		xml_error(node, VMM_ERR_XML, error, "allow=%s", why->message));
}

bool domain_has_outbound(const domain_def *def)
{
	return def->vsock && def->vsock->proxies->len > 0;
}

bool proxies_parse(const xmlNode *vsock, GArray *ret, GError **error)
{
	for (const xmlNode *n = xml_child(vsock, ELEMENT); n; n = xml_next(n)) {
		struct allow_rule rule;

		if (ret->len == ALLOW_RULES_MAX)
			return xml_error(n, VMM_ERR_CONFIG_UNSUPPORTED, error,
					 "more than %u of these: a '*.NAME' or a prefix of "
					 "addresses may stand for several", ALLOW_RULES_MAX);
		if (!xml_go_on(n, parse_one(n, &rule, error) && g_array_append_val(ret, rule),
			       error))
			return false;
	}
	return true;
}

void proxies_format(struct xml_out *out, const GArray *rules)
{
	for (unsigned i = 0; i < rules->len; i++) {
		g_autofree char *text =
			allow_rule_text(&g_array_index(rules, struct allow_rule, i));

		xml_leaf_attr(out, ELEMENT, "allow", text);
	}
}
