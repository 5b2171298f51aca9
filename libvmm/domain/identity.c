/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <name>, <uuid>, <title>, <description>, <metadata>: who a domain is. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#define TITLE_MAX_BYTES 4096

static bool parse_name(const xmlNode *domain, struct domain_def *def, GError **error)
{
	const xmlNode *node = xml_child(domain, "name");
	g_autoptr(GError) why = NULL;
	g_autofree char *name = NULL;

	if (!node)
		return xml_error(domain, VMM_ERR_XML, error, "<name> is missing");
	if (!xml_expect(node, "", NULL, error))
		return false;
	name = xml_text(node);
	if (!domain_name_check(name, &why))
		return xml_error(node, VMM_ERR_XML, error, "%s", why->message);
	g_free(def->name);
	def->name = g_steal_pointer(&name);
	return true;
}

static bool parse_uuid(const xmlNode *node, struct domain_def *def, GError **error)
{
	static const uint8_t zero[UUID_BYTES];
	g_autofree char *text = NULL;

	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	text = xml_text(node);
	def->uuid_given = true;
	if (!text || !uuid_from_text(text, def->uuid) || !memcmp(def->uuid, zero, UUID_BYTES))
		return xml_error(node, VMM_ERR_XML, error,
				 "'%s' is not a UUID; leave the element out and one is made",
				 text ? text : "");
	return true;
}

static bool parse_text(const xmlNode *domain, const char *name, char **ret, GError **error)
{
	const xmlNode *node = xml_child(domain, name);

	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	*ret = xml_text(node);
	return true;
}

static bool parse_title(const xmlNode *domain, struct domain_def *def, GError **error)
{
	const xmlNode *node = xml_child(domain, "title");

	if (!parse_text(domain, "title", &def->title, error) ||
	    !parse_text(domain, "description", &def->description, error))
		return false;
	if (def->title && (strchr(def->title, '\n') || strlen(def->title) > TITLE_MAX_BYTES))
		return xml_error(node, VMM_ERR_XML, error,
				 "a title is one line of at most %d bytes", TITLE_MAX_BYTES);
	return true;
}

/*
 * Somebody else's elements, kept as they are.  The copy takes along the
 * namespaces that are declared further up, so that it stands alone.
 */
bool metadata_keep(const xmlNode *node, char **ret, GError **error)
{
	if (!node || !node->children)
		return true;
	g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
	xmlNode *copy = xmlDocCopyNode((xmlNode *)node, doc, 1);

	if (copy) {
		xmlDocSetRootElement(doc, copy);
		*ret = xml_dump(copy, false);
	}
	return *ret || xml_error(node, VMM_ERR_XML, error, "it cannot be kept");
}

bool identity_parse(const xmlNode *domain, struct domain_def *def, GError **error)
{
	return xml_go_on(domain, parse_name(domain, def, error), error) &&
	       xml_go_on(domain, parse_uuid(xml_child(domain, "uuid"), def, error), error) &&
	       xml_go_on(domain, parse_title(domain, def, error), error) &&
	       metadata_keep(xml_child(domain, "metadata"), &def->metadata, error);
}

void identity_format(struct xml_out *out, const struct domain_def *def)
{
	char uuid[UUID_TEXT_BYTES];

	uuid_to_text(def->uuid, uuid);
	xml_leaf(out, "name", def->name);
	xml_leaf(out, "uuid", uuid);
	xml_leaf(out, "title", def->title);
	xml_leaf(out, "description", def->description);
	if (def->metadata)
		xml_raw(out, def->metadata);
}
