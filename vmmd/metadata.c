/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <metadata> is other programs' data: only its top elements and their
 * namespaces mean anything here.
 */
#include "config.h"
#include "vmmd/metadata.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include "libvmm/util/error.h"

#define PARSE_OPTIONS \
	(XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS)

static xmlDoc *parse(const char *text)
{
	size_t len = strlen(text);

	return len > G_MAXINT ? NULL :
				xmlReadMemory(text, (int)len, "metadata.xml", NULL, PARSE_OPTIONS);
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

static char *to_text(xmlNode *node)
{
	xmlBuffer *buf = xmlBufferCreate();
	char *text;

	xmlNodeDump(buf, node->doc, node, 0, 1);
	text = g_strdup((const char *)xmlBufferContent(buf));
	xmlBufferFree(buf);
	return text;
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
	xmlDoc *doc = metadata ? parse(metadata) : NULL;
	xmlNode *node = doc ? find(xmlDocGetRootElement(doc), uri) : NULL;
	char *text = NULL;

	if (node) {
		namespace_change(node, uri, NULL);
		if (!attributes_use(node, uri))
			declaration_remove(node, uri);
		text = to_text(node);
	}
	xmlFreeDoc(doc);
	return text;
}

static xmlNode *element_new(xmlDoc *doc, const char *uri, const char *key, const char *element,
			    GError **error)
{
	xmlDoc *from = parse(element);
	xmlNode *node;
	xmlNs *ns;

	if (!from) {
		error_set(error, VMM_ERR_XML, "XML error: the metadata is not well-formed");
		return NULL;
	}
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
	return node;
}

static bool key_is_fit(const char *key)
{
	return key && *key && xmlValidateNCName((const xmlChar *)key, 0) == 0;
}

bool metadata_set(const char *metadata, const char *uri, const char *key, const char *element,
		  char **ret, GError **error)
{
	xmlDoc *doc = parse(metadata ?: "<metadata/>");
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlNode *old = find(root, uri), *node = NULL;
	bool ok = root != NULL;

	if (!ok)
		error_set(error, VMM_ERR_INTERNAL,
			  "internal error: the stored metadata is not well-formed");
	if (ok && element && !key_is_fit(key))
		ok = error_set(error, VMM_ERR_INVALID_ARG,
			       "invalid argument: a metadata key must be an XML name");
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
		*ret = xmlFirstElementChild(root) ? to_text(root) : NULL;
	xmlFreeDoc(doc);
	return ok;
}
