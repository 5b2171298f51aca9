/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The definitions are compared as their XML: the writer fills in what was left
 * open and has one order, so equal machines have equal documents, and an
 * element that somebody adds to the dialect is compared without a word here.
 * Each document becomes a list of path and value; devices are named by what
 * tells them apart, not by their place.
 */
#include "config.h"
#include "libvmm/domain/diff.h"

#include <string.h>

#include "libvmm/domain/now.h"
#include "libvmm/domain/xml-out.h"
#include "libvmm/domain/xml.h"
#include "libvmm/util/cleanup.h"

/* ---- a document as fields ---- */

struct field {
	char *path, *value;
	const struct field *device;	/* that it is a part of; NULL */
	bool whole;			/* a device */
};

struct fields {
	GPtrArray *list;		/* of struct field, in the document's order */
	GHashTable *by_path;		/* borrowed */
};

static void field_free(void *p)
{
	struct field *f = p;

	g_free(f->path);
	g_free(f->value);
	g_free(f);
}

static struct field *fields_add(struct fields *fs, const char *path, char *value,
				      const struct field *device)
{
	struct field *f = g_new(struct field, 1);

	*f = (struct field){ g_strdup(path), value, device, false };
	g_ptr_array_add(fs->list, f);
	g_hash_table_replace(fs->by_path, f->path, f);
	return f;
}

/* What tells an element from its like: CHILD/ATTRIBUTE, or an attribute of its own. */
static const struct {
	const char *name, *child, *attr;
} keys[] = {
	{ "disk", "target", "dev" },
	{ "interface", "mac", "address" },
	{ "channel", "target", "name" },
	{ "filesystem", "target", "dir" },
	{ "controller", NULL, "type" },
	{ "timer", NULL, "name" },
	{ "feature", NULL, "name" },
	{ "proxy", NULL, "allow" },
};

static char *key_of(const xmlNode *node)
{
	for (unsigned i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp((const char *)node->name, keys[i].name))
			return xml_attr(keys[i].child ? xml_child(node, keys[i].child) : node,
					keys[i].attr);
	return NULL;
}

static char *step_of(const xmlNode *node)
{
	g_autofree char *key = key_of(node);
	unsigned before = 0, after = 0;

	if (key)
		return g_strdup_printf("%s[%s]", (const char *)node->name, key);
	for (const xmlNode *n = node->prev; n; n = n->prev)
		before += xmlStrEqual(n->name, node->name);
	for (const xmlNode *n = node->next; n; n = n->next)
		after += xmlStrEqual(n->name, node->name);
	return before + after ? g_strdup_printf("%s[%u]", (const char *)node->name, before) :
				g_strdup((const char *)node->name);
}

/* A device in a word: where it leads, else what it is. */
static char *summary_of(const xmlNode *device)
{
	static const char *const sources[] = { "file", "dev", "bridge", "path", "dir", "network" };
	const xmlNode *source = xml_child(device, "source");
	char *text = NULL;

	for (unsigned i = 0; !text && i < ARRAY_SIZE(sources); i++)
		text = xml_attr(source, sources[i]);
	if (!text)
		text = xml_attr(device, "type");
	if (!text)
		text = xml_attr(device, "model");
	return text ? text : g_strdup("yes");
}

static bool has_elements(const xmlNode *node)
{
	return xmlFirstElementChild((xmlNode *)node) != NULL;
}

static void flatten(struct fields *fs, const xmlNode *node, const char *path,
		    const struct field *device);

static void flatten_attrs(struct fields *fs, const xmlNode *node, const char *path,
			  const struct field *device)
{
	for (const xmlAttr *a = node->properties; a; a = a->next) {
		g_autofree char *at = g_strdup_printf("%s@%s", path, (const char *)a->name);

		fields_add(fs, at, xml_attr(node, (const char *)a->name), device);
	}
}

/* "262144 KiB": a number and its unit are one. */
static void flatten_leaf(struct fields *fs, const xmlNode *node, const char *path,
			 const struct field *device)
{
	g_autofree char *text = xml_text(node), *unit = xml_attr(node, "unit");

	if (text && unit) {
		fields_add(fs, path, g_strdup_printf("%s %s", text, unit), device);
		return;
	}
	flatten_attrs(fs, node, path, device);
	if (text || !node->properties)
		fields_add(fs, path, text ? g_steal_pointer(&text) : g_strdup("yes"), device);
}

static void flatten_children(struct fields *fs, const xmlNode *node, const char *path,
			     const struct field *device)
{
	bool devices = !strcmp(path, "devices");

	for (const xmlNode *c = node->children; c; c = c->next) {
		g_autofree char *step = NULL, *at = NULL;

		if (c->type != XML_ELEMENT_NODE)
			continue;
		step = step_of(c);
		at = *path ? g_strdup_printf("%s/%s", path, step) : g_strdup(step);
		if (devices) {
			struct field *whole = fields_add(fs, at, summary_of(c), NULL);

			whole->whole = true;
			flatten(fs, c, at, whole);
		} else {
			flatten(fs, c, at, device);
		}
	}
}

static void flatten(struct fields *fs, const xmlNode *node, const char *path,
		    const struct field *device)
{
	if (!strcmp(path, "metadata")) {
		g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
		xmlNode *copy = xmlDocCopyNode((xmlNode *)node, doc, 1);

		xmlDocSetRootElement(doc, copy);
		fields_add(fs, path, xml_dump(copy, false), NULL);
	} else if (has_elements(node)) {
		flatten_attrs(fs, node, path, device);
		flatten_children(fs, node, path, device);
	} else {
		flatten_leaf(fs, node, path, device);
	}
}

static void fields_init(struct fields *fs, const domain_def *def)
{
	g_autofree char *xml = def ? domain_def_format(def, 0) : NULL;
	g_autoptr(xmlDoc) doc = xml ? xml_read(xml, DOMAIN_XML_MAX_BYTES, "domain", NULL) : NULL;

	fs->list = g_ptr_array_new_with_free_func(field_free);
	fs->by_path = g_hash_table_new(g_str_hash, g_str_equal);
	if (doc)
		flatten_children(fs, xmlDocGetRootElement(doc), "", NULL);
}

static void fields_done(struct fields *fs)
{
	g_hash_table_unref(fs->by_path);
	g_ptr_array_unref(fs->list);
}

static const char *value_at(const struct fields *fs, const char *path)
{
	const struct field *f = g_hash_table_lookup(fs->by_path, path);

	return f ? f->value : NULL;
}

/* ---- comparing ---- */

static void diff_field_free(void *p)
{
	struct diff_field *f = p;

	g_free(f->path);
	g_free(f->live);
	g_free(f->saved);
	g_free(f->next);
	g_free(f);
}

struct comparison {
	struct fields live, saved, next;
	struct fields now;	/* what runs, when it has taken of next what it can */
	bool has_live, has_saved;
	GHashTable *seen;	/* paths that were compared */
	GPtrArray *ret;
};

/* A device's own field is about coming and going; its parts tell the rest. */
static bool is_kept_device(const struct comparison *c, const struct field *f)
{
	return f->whole && value_at(&c->next, f->path) &&
	       (!c->has_live || value_at(&c->live, f->path)) &&
	       (!c->has_saved || value_at(&c->saved, f->path));
}

/* Of a device that is not in all of them its own field says enough. */
static bool is_told_by_device(const struct comparison *c, const struct field *f)
{
	const char *device = f->device ? f->device->path : NULL;

	return device && ((c->has_live && !value_at(&c->live, device)) ||
			  (c->has_saved && !value_at(&c->saved, device)) ||
			  !value_at(&c->next, device));
}

static enum diff_when when_of(const struct comparison *c, const char *path, const char *next)
{
	if (!strcmp(path, "name") || !strcmp(path, "uuid"))
		return DIFF_NEVER;
	return g_strcmp0(value_at(&c->now, path), next) ? DIFF_NEXT_START : DIFF_NOW;
}

static void compare(struct comparison *c, const struct fields *fs)
{
	for (unsigned i = 0; i < fs->list->len; i++) {
		const struct field *f = fs->list->pdata[i];
		const char *live = value_at(&c->live, f->path);
		const char *saved = value_at(&c->saved, f->path);
		const char *next = value_at(&c->next, f->path);
		struct diff_field *found;

		if (!g_hash_table_add(c->seen, f->path) || is_told_by_device(c, f) ||
		    is_kept_device(c, f) ||
		    ((!c->has_live || !g_strcmp0(live, next)) &&
		     (!c->has_saved || !g_strcmp0(saved, next))))
			continue;
		found = g_new(struct diff_field, 1);
		*found = (struct diff_field){ g_strdup(f->path), g_strdup(live), g_strdup(saved),
					      g_strdup(next), when_of(c, f->path, next) };
		g_ptr_array_add(c->ret, found);
	}
}

GPtrArray *domain_def_diff(const domain_def *live, const domain_def *saved, const domain_def *next)
{
	struct comparison c = { .has_live = live, .has_saved = saved };
	g_autoptr(domain_def) now = live || saved ? domain_def_copy(live ?: saved) : NULL;

	if (now)
		domain_def_take_now(now, next);
	fields_init(&c.now, now);
	fields_init(&c.live, live);
	fields_init(&c.saved, saved);
	fields_init(&c.next, next);
	c.seen = g_hash_table_new(g_str_hash, g_str_equal);
	c.ret = g_ptr_array_new_with_free_func(diff_field_free);
	compare(&c, &c.next);
	compare(&c, &c.saved);
	compare(&c, &c.live);
	g_hash_table_unref(c.seen);
	fields_done(&c.live);
	fields_done(&c.saved);
	fields_done(&c.next);
	fields_done(&c.now);
	return c.ret;
}
