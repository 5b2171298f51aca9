/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two definitions as fields with values, side by side. */
#include "config.h"
#include "vmsh/snapshot-diff.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvmm/vmm.h"

#define DEPTH_MAX 64

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

/* Which of its name it is: "[2]"; nothing if it is the only one. */
static char *place_of(const xmlNode *node)
{
	unsigned here = 0, all = 0;

	for (const xmlNode *n = node->parent->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE || strcmp((char *)n->name, (char *)node->name) != 0)
			continue;
		all++;
		if (n == node)
			here = all;
	}
	return all > 1 ? g_strdup_printf("[%u]", here) : g_strdup("");
}

static void flatten(const xmlNode *node, const char *path, GTree *fields, unsigned depth);

static void flatten_attributes(const xmlNode *node, const char *path, GTree *fields)
{
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		xmlChar *value = xmlGetProp((xmlNode *)node, a->name);

		g_tree_insert(fields, g_strdup_printf("%s@%s", path, a->name),
			      g_strdup((char *)value));
		xmlFree(value);
	}
}

static void flatten_child(const xmlNode *n, const char *path, GTree *fields, unsigned depth)
{
	g_autofree char *place = place_of(n);
	g_autofree char *below =
		g_strdup_printf("%s%s%s%s", path, *path ? "/" : "", (char *)n->name, place);

	flatten_attributes(n, below, fields);
	flatten(n, below, fields, depth + 1);
}

static void flatten(const xmlNode *node, const char *path, GTree *fields, unsigned depth)
{
	bool leaf = true;

	for (const xmlNode *n = node->children; n && depth < DEPTH_MAX; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		leaf = false;
		flatten_child(n, path, fields, depth);
	}
	if (leaf) {
		xmlChar *text = xmlNodeGetContent((xmlNode *)node);

		g_tree_insert(fields, g_strdup(path), g_strstrip(g_strdup((char *)text)));
		xmlFree(text);
	}
}

static gint field_order(gconstpointer a, gconstpointer b, gpointer opaque)
{
	return strcmp(a, b);
}

static GTree *fields_of(const char *xml, GError **error)
{
	g_autoptr(xmlDoc) doc = xmlReadMemory(xml, strlen(xml), "snapshot.xml", NULL,
					      XML_PARSE_NONET | XML_PARSE_NOERROR |
						      XML_PARSE_NOWARNING);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	GTree *fields;

	for (root = root ? root->children : NULL; root; root = root->next)
		if (root->type == XML_ELEMENT_NODE && !strcmp((char *)root->name, "domain"))
			break;
	if (!root) {
		g_set_error(error, VMM_ERROR, VMM_ERR_XML,
			    "the daemon sent a snapshot without a definition");
		return NULL;
	}
	fields = g_tree_new_full(field_order, NULL, g_free, g_free);
	flatten(root, "", fields, 0);
	return fields;
}

static void difference_free(void *p)
{
	struct xml_difference *d = p;

	g_free(d->field);
	g_free(d->before);
	g_free(d->after);
	g_free(d);
}

static void compare(GPtrArray *list, const char *field, const char *before, const char *after)
{
	struct xml_difference *d;

	if (g_strcmp0(before, after) == 0)
		return;
	d = g_new(struct xml_difference, 1);
	*d = (struct xml_difference){ g_strdup(field), g_strdup(before), g_strdup(after) };
	g_ptr_array_add(list, d);
}

static gint difference_order(gconstpointer a, gconstpointer b)
{
	const struct xml_difference *const *x = a, *const *y = b;

	return strcmp((*x)->field, (*y)->field);
}

GPtrArray *xml_snapshot_differences(const char *xml_a, const char *xml_b, GError **error)
{
	g_autoptr(GTree) a = fields_of(xml_a, error);
	g_autoptr(GTree) b = a ? fields_of(xml_b, error) : NULL;
	GPtrArray *list;

	if (!b)
		return NULL;
	list = g_ptr_array_new_with_free_func(difference_free);
	for (GTreeNode *n = g_tree_node_first(a); n; n = g_tree_node_next(n))
		compare(list, g_tree_node_key(n), g_tree_node_value(n),
			g_tree_lookup(b, g_tree_node_key(n)));
	for (GTreeNode *n = g_tree_node_first(b); n; n = g_tree_node_next(n))
		if (!g_tree_lookup(a, g_tree_node_key(n)))
			compare(list, g_tree_node_key(n), NULL, g_tree_node_value(n));
	g_ptr_array_sort(list, difference_order);
	return list;
}
