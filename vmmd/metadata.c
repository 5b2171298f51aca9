/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <metadata> is other programs' data: only its top elements and their
 * namespaces mean anything here.
 */
#include "config.h"
#include "vmmd/metadata.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/uri.h>

#include "libvmm/domain/domain.h"
#include "libvmm/domain/xml-out.h"
#include "libvmm/domain/xml.h"
#include "libvmm/util/error.h"

static bool has_words(const xmlNode *node)
{
	for (const xmlNode *n = node->children; n; n = n->next)
		if (n->type == XML_TEXT_NODE && !xmlIsBlankNode(n))
			return true;
	return false;
}

/* Somebody's indentation, of which libxml2 would keep a part. */
static void indentation_remove(xmlNode *node)
{
	bool keep = has_words(node);

	for (xmlNode *n = node->children, *next; n; n = next) {
		next = n->next;
		if (n->type == XML_ELEMENT_NODE) {
			indentation_remove(n);
		} else if (!keep && xmlIsBlankNode(n)) {
			xmlUnlinkNode(n);
			xmlFreeNode(n);
		}
	}
}

static xmlDoc *parse(const char *text, GError **error)
{
	xmlDoc *doc = xml_read(text, DOMAIN_XML_MAX_BYTES, "metadata", error);

	if (doc)
		indentation_remove(xmlDocGetRootElement(doc));
	return doc;
}

static xmlNode *find(xmlNode *root, const char *uri)
{
	for (xmlNode *n = root ? root->children : NULL; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && n->ns &&
		    g_strcmp0((const char *)n->ns->href, uri) == 0)
			return n;
	return NULL;
}

/* Depth is bounded by libxml2's own limit of 256. */
static void namespace_change(xmlNode *node, const char *from, xmlNs *to)
{
	const char *href = node->ns ? (const char *)node->ns->href : NULL;

	if (g_strcmp0(href, from) == 0)
		node->ns = to;
	for (xmlNode *n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			namespace_change(n, from, to);
}

/* A declaration that nothing uses any more. */
static void declaration_remove(xmlNode *node, const char *uri)
{
	for (xmlNs **at = &node->nsDef; *at; at = &(*at)->next) {
		xmlNs *ns = *at;

		if (g_strcmp0((const char *)ns->href, uri) != 0)
			continue;
		*at = ns->next;
		xmlFreeNs(ns);
		return;
	}
}

static bool attributes_use(xmlNode *node, const char *uri)
{
	for (xmlAttr *a = node->properties; a; a = a->next)
		if (a->ns && g_strcmp0((const char *)a->ns->href, uri) == 0)
			return true;
	for (xmlNode *n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE && attributes_use(n, uri))
			return true;
	return false;
}

char *metadata_get(const char *metadata, const char *uri)
{
	xmlDoc *doc = metadata ? parse(metadata, NULL) : NULL;
	xmlNode *node = doc ? find(xmlDocGetRootElement(doc), uri) : NULL;
	char *text = NULL;

	if (node) {
		namespace_change(node, uri, NULL);
		if (!attributes_use(node, uri))
			declaration_remove(node, uri);
		text = xml_dump(node, true);
	}
	xmlFreeDoc(doc);
	return text;
}

static xmlNode *element_new(xmlDoc *doc, const char *uri, const char *key, const char *element,
			    GError **error)
{
	xmlDoc *from = parse(element, error);
	xmlNode *node;
	xmlNs *ns;

	if (!from)
		return NULL;
	node = xmlDocCopyNode(xmlDocGetRootElement(from), doc, 1);
	xmlFreeDoc(from);
	ns = xmlNewNs(node, (const xmlChar *)uri, (const xmlChar *)key);
	if (!ns) {
		xmlFreeNode(node);
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: '%s' can't be the prefix of '%s'", key, uri);
		return NULL;
	}
	namespace_change(node, NULL, ns);
	if (g_strcmp0((const char *)node->ns->href, uri) != 0) {	/* nobody would find it */
		error_set(error, VMM_ERR_INVALID_ARG,
			  "invalid argument: the element is in namespace '%s', not '%s'",
			  node->ns->href, uri);
		xmlFreeNode(node);
		return NULL;
	}
	return node;
}

/* What XML has no characters for libxml2 would tell the standard error about. */
static bool is_printable(const char *text)
{
	if (!g_utf8_validate(text, -1, NULL))
		return false;
	for (const char *at = text; *at; at = g_utf8_next_char(at))
		if (!g_unichar_isprint(g_utf8_get_char(at)))
			return false;
	return true;
}

static bool key_is_fit(const char *key)
{
	return key && *key && is_printable(key) && xmlValidateNCName((const xmlChar *)key, 0) == 0;
}

static bool uri_is_fit(const char *uri)
{
	xmlURI *parsed = *uri && is_printable(uri) ? xmlParseURI(uri) : NULL;

	xmlFreeURI(parsed);
	return parsed != NULL;
}

bool metadata_set(const char *metadata, const char *uri, const char *key, const char *element,
		  char **ret, GError **error)
{
	xmlDoc *doc = parse(metadata ?: "<metadata/>", NULL);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlNode *old = find(root, uri), *node = NULL;
	bool ok = root != NULL;

	if (!ok)
		error_set(error, VMM_ERR_INTERNAL,
			  "internal error: the stored metadata is not well-formed");
	if (ok && element && !key_is_fit(key))
		ok = error_set(error, VMM_ERR_INVALID_ARG,
			       "invalid argument: a metadata key must be an XML name");
	if (ok && element && !uri_is_fit(uri))
		ok = error_set(error, VMM_ERR_INVALID_ARG,
			       "invalid argument: a metadata namespace must be a URI");
	if (ok && element) {
		node = element_new(doc, uri, key, element, error);
		ok = node != NULL;
	}
	if (ok && old) {
		xmlUnlinkNode(old);
		xmlFreeNode(old);
	}
	if (ok && node)
		xmlAddChild(root, node);
	if (ok)
		*ret = xmlFirstElementChild(root) ? xml_dump(root, true) : NULL;
	xmlFreeDoc(doc);
	return ok;
}
