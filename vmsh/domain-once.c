/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A machine for once, of a domain's definition. */
#include "config.h"
#include "vmsh/domain-once.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "libvmm/util/error.h"

#define X(text) ((const xmlChar *)(text))

G_DEFINE_AUTOPTR_CLEANUP_FUNC(xmlDoc, xmlFreeDoc)

static bool is(const xmlNode *n, const char *name)
{
	return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, X(name));
}

static xmlNode *child(xmlNode *node, const char *name)
{
	xmlNode *n = node ? node->children : NULL;

	while (n && !is(n, name))
		n = n->next;
	return n;
}

static void drop(xmlNode *n)
{
	if (!n)
		return;
	xmlUnlinkNode(n);
	xmlFreeNode(n);
}

static void drop_child(xmlNode *node, const char *name)
{
	drop(child(node, name));
}

static void set_number(xmlNode *root, const char *name, uint64_t n)
{
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, n);
	xmlNode *node = child(root, name) ?: xmlNewChild(root, NULL, X(name), NULL);

	xmlNodeSetContent(node, X(text));
}

static void set_size(xmlNode *root, const struct domain_once *once)
{
	if (once->memory_bytes) {
		drop_child(root, "currentMemory");
		set_number(root, "memory", once->memory_bytes / 1024);
		xmlSetProp(child(root, "memory"), X("unit"), X("KiB"));
	}
	if (once->cpus) {
		set_number(root, "vcpu", once->cpus);
		drop_child(root, "cputune"); /* pins of vCPUs that are no more */
	}
}

static void forget_writes(xmlNode *disk)
{
	drop_child(disk, "shareable");
	if (!child(disk, "readonly") && !child(disk, "transient"))
		xmlNewChild(disk, NULL, X("transient"), NULL);
}

/* A file or a socket would be the domain's own. */
static void make_pty(xmlNode *chardev)
{
	drop_child(chardev, "source");
	drop_child(chardev, "log");
	xmlSetProp(chardev, X("type"), X("pty"));
}

static void change_device(xmlNode *n)
{
	if (is(n, "disk"))
		forget_writes(n);
	else if (is(n, "serial") || is(n, "console"))
		make_pty(n);
	else if (is(n, "interface") || is(n, "channel") || is(n, "vsock"))
		drop(n);
}

static void change_devices(xmlNode *devices, const struct domain_once *once)
{
	xmlNode *card, *more = NULL;

	for (xmlNode *n = devices->children, *next; n; n = next) {
		next = n->next;
		change_device(n);
	}
	xmlParseInNodeContext(devices, once->devices, (int)strlen(once->devices), 0, &more);
	if (more)
		xmlAddChildList(devices, more);
	if (!once->net)
		return;
	card = xmlNewChild(devices, NULL, X("interface"), NULL);
	xmlSetProp(card, X("type"), X("user"));
	xmlSetProp(xmlNewChild(card, NULL, X("model"), NULL), X("type"), X("virtio"));
}

char *domain_once(const char *xml, const struct domain_once *once, GError **error)
{
	g_autoptr(xmlDoc) doc = xmlReadMemory(xml, (int)strlen(xml), "domain.xml", NULL,
					      XML_PARSE_NONET | XML_PARSE_NOERROR |
					      XML_PARSE_NOWARNING);
	xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
	xmlNode *devices = root ? child(root, "devices") : NULL;
	xmlChar *text = NULL;
	char *copy;
	int n;

	if (!root || !child(root, "name")) {
		error_set(error, VMM_ERR_XML, "the daemon sent XML that is no domain's");
		return NULL;
	}
	xmlNodeSetContent(child(root, "name"), NULL);
	xmlNodeAddContent(child(root, "name"), X(once->name));
	drop_child(root, "uuid");
	set_size(root, once);
	change_devices(devices ?: xmlNewChild(root, NULL, X("devices"), NULL), once);
	xmlDocDumpMemory(doc, &text, &n);
	copy = g_strndup((const char *)text, (gsize)n);
	xmlFree(text);
	return copy;
}
