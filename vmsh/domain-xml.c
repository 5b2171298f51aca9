/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Disks and interfaces in a domain's XML; snapshots. */
#include "config.h"
#include "vmsh/domain-xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvmm/vmm.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

static xmlDoc *parse(const char *xml, GError **error)
{
	xmlDoc *doc = xmlReadMemory(xml, strlen(xml), "domain.xml", NULL,
				    XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

	if (!doc)
		g_set_error(error, VMM_ERROR, VMM_ERR_XML,
			    "the daemon sent XML that cannot be read");
	return doc;
}

static xmlNode *child(xmlNode *node, const char *name)
{
	for (xmlNode *n = node ? node->children : NULL; n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE && g_str_equal((const char *)n->name, name))
			return n;
	}
	return NULL;
}

static char *attribute(xmlNode *node, const char *name)
{
	xmlChar *value = node ? xmlGetProp(node, (const xmlChar *)name) : NULL;
	char *copy = g_strdup((const char *)value);

	xmlFree(value);
	return copy;
}

/* The source's address, whichever attribute this type has it in. */
static char *source_of(xmlNode *source)
{
	static const char *const names[] = { "file", "dev", "bridge", "network", "name", "path" };
	char *value = NULL;

	for (unsigned i = 0; !value && i < G_N_ELEMENTS(names); i++)
		value = attribute(source, names[i]);
	return value;
}

static void *disk_new(xmlNode *node)
{
	struct xml_disk *d = g_new0(struct xml_disk, 1);

	d->type = attribute(node, "type");
	d->device = attribute(node, "device");
	if (!d->device)
		d->device = g_strdup("disk");
	d->target = attribute(child(node, "target"), "dev");
	d->source = source_of(child(node, "source"));
	return d;
}

static void disk_free(void *p)
{
	struct xml_disk *d = p;

	g_free(d->type);
	g_free(d->device);
	g_free(d->target);
	g_free(d->source);
	g_free(d);
}

static void *iface_new(xmlNode *node)
{
	struct xml_iface *i = g_new0(struct xml_iface, 1);

	i->name = attribute(child(node, "target"), "dev");
	i->type = attribute(node, "type");
	i->source = source_of(child(node, "source"));
	i->model = attribute(child(node, "model"), "type");
	i->mac = attribute(child(node, "mac"), "address");
	return i;
}

static void iface_free(void *p)
{
	struct xml_iface *i = p;

	g_free(i->name);
	g_free(i->type);
	g_free(i->source);
	g_free(i->model);
	g_free(i->mac);
	g_free(i);
}

static GPtrArray *devices(const char *xml, const char *name, void *(*make)(xmlNode *),
			  GDestroyNotify destroy, GError **error)
{
	g_autoptr(xmlDoc) doc = parse(xml, error);
	GPtrArray *list;
	xmlNode *parent;

	if (!doc)
		return NULL;
	list = g_ptr_array_new_with_free_func(destroy);
	parent = child(xmlDocGetRootElement(doc), "devices");
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next) {
		if (n->type == XML_ELEMENT_NODE && g_str_equal((const char *)n->name, name))
			g_ptr_array_add(list, make(n));
	}
	return list;
}

GPtrArray *xml_disks(const char *xml, GError **error)
{
	return devices(xml, "disk", disk_new, disk_free, error);
}

GPtrArray *xml_ifaces(const char *xml, GError **error)
{
	return devices(xml, "interface", iface_new, iface_free, error);
}

static char *text_of(xmlNode *node)
{
	xmlChar *text = node ? xmlNodeGetContent(node) : NULL;
	char *copy = g_strdup((const char *)text);

	xmlFree(text);
	return copy;
}

char *xml_pool_folder(const char *xml, GError **error)
{
	g_autoptr(xmlDoc) doc = parse(xml, error);
	char *folder;

	if (!doc)
		return NULL;
	folder = text_of(child(child(xmlDocGetRootElement(doc), "target"), "path"));
	if (!folder)
		g_set_error(error, VMM_ERROR, VMM_ERR_XML, "the pool has no folder");
	return folder;
}

/* ---- snapshots ---- */

static void snapshot_disk_free(void *p)
{
	struct xml_snapshot_disk *d = p;

	g_free(d->target);
	g_free(d->place);
	g_free(d->file);
	g_free(d);
}

static void snapshot_disks(xmlNode *parent, GPtrArray *disks)
{
	for (xmlNode *n = parent ? parent->children : NULL; n; n = n->next) {
		struct xml_snapshot_disk *d;

		if (n->type != XML_ELEMENT_NODE)
			continue;
		d = g_new0(struct xml_snapshot_disk, 1);
		d->target = attribute(n, "name");
		d->place = attribute(n, "snapshot");
		d->file = attribute(child(n, "source"), "file");
		g_ptr_array_add(disks, d);
	}
}

struct xml_snapshot *xml_snapshot_new(const char *xml, GError **error)
{
	g_autoptr(xmlDoc) doc = parse(xml, error);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	g_autofree char *created = NULL;
	struct xml_snapshot *s;

	if (!root)
		return NULL;
	s = g_new0(struct xml_snapshot, 1);
	s->name = text_of(child(root, "name"));
	s->description = text_of(child(root, "description"));
	s->parent = text_of(child(child(root, "parent"), "name"));
	s->state = text_of(child(root, "state"));
	created = text_of(child(root, "creationTime"));
	s->created_s = created ? g_ascii_strtoll(created, NULL, 10) : 0;
	s->memory = attribute(child(root, "memory"), "snapshot");
	s->disks = g_ptr_array_new_with_free_func(snapshot_disk_free);
	snapshot_disks(child(root, "disks"), s->disks);
	return s;
}

void xml_snapshot_free(struct xml_snapshot *s)
{
	if (!s)
		return;
	g_free(s->name);
	g_free(s->description);
	g_free(s->parent);
	g_free(s->state);
	g_free(s->memory);
	g_ptr_array_unref(s->disks);
	g_free(s);
}
