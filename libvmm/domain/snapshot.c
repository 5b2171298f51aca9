/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <domainsnapshot>: parse, format. */
#include "config.h"
#include "libvmm/domain/snapshot.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"

static const char *const state_names[] = { "shutoff", "running", "paused", "disk-snapshot" };
static const char *const place_names[] = { NULL, "no", "internal", "external" };
static const char *const type_names[] = { "file" };
static const char *const format_names[] = { "qcow2" };

static_assert(ARRAY_SIZE(state_names) == N_SNAPSHOT_STATES, "a name for each");
static_assert(ARRAY_SIZE(place_names) == N_SNAPSHOT_PLACES, "a name for each");

const char *snapshot_state_name(enum snapshot_state state)
{
	return state_names[state];
}

static void disk_free(void *opaque)
{
	struct snapshot_disk *d = opaque;

	g_free(d->name);
	g_free(d->path);
	g_free(d);
}

snapshot_def *snapshot_def_new(void)
{
	snapshot_def *def = g_new0(snapshot_def, 1);

	def->disks = g_ptr_array_new_with_free_func(disk_free);
	return def;
}

void snapshot_def_free(snapshot_def *def)
{
	if (!def)
		return;
	g_free(def->name);
	g_free(def->description);
	g_free(def->parent);
	g_free(def->memory_path);
	g_ptr_array_unref(def->disks);
	domain_def_free(def->domain);
	domain_def_free(def->inactive);
	g_free(def);
}

struct snapshot_disk *snapshot_def_add_disk(snapshot_def *def, const char *name,
					    enum snapshot_place place, const char *path)
{
	struct snapshot_disk *d = g_new0(struct snapshot_disk, 1);

	d->name = g_strdup(name);
	d->place = place;
	d->path = g_strdup(path);
	g_ptr_array_add(def->disks, d);
	return d;
}

bool snapshot_name_check(const char *name, GError **error)
{
	if (!*name || strlen(name) > SNAPSHOT_NAME_MAX_BYTES)
		return error_set(error, VMM_ERR_XML, "a snapshot's name has 1 to %u bytes",
				 SNAPSHOT_NAME_MAX_BYTES);
	if (name[0] == '.' || strchr(name, '/'))
		return error_set(error, VMM_ERR_XML,
				 "invalid snapshot name '%s': it can't begin with '.' or contain "
				 "'/'", name);
	for (const char *c = name; *c; c++)
		if (g_ascii_iscntrl(*c))
			return error_set(error, VMM_ERR_XML,
					 "a snapshot's name has a control character");
	return true;
}

/* ---- parse ---- */

static bool parse_memory(const xmlNode *node, snapshot_def *def, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "snapshot file", "", error) ||
	    !XML_ATTR_ENUM(node, "snapshot", place_names, &def->memory, error) ||
	    !xml_attr_path(node, "file", &def->memory_path, error))
		return false;
	if (def->memory_path && def->memory == SNAPSHOT_DEFAULT)
		def->memory = SNAPSHOT_EXTERNAL;
	if (def->memory_path && def->memory != SNAPSHOT_EXTERNAL)
		return xml_error(node, VMM_ERR_XML, error,
				 "a file is given, but the memory is not snapshot='external'");
	return true;
}

static bool parse_disk_source(const xmlNode *disk, struct snapshot_disk *d, GError **error)
{
	const xmlNode *source = xml_child(disk, "source"), *driver = xml_child(disk, "driver");
	unsigned type = 0, format = 0;

	if (!XML_ATTR_ENUM(disk, "type", type_names, &type, error))
		return false;
	if (driver && (!xml_expect(driver, "type", "", error) ||
		       !XML_ATTR_ENUM(driver, "type", format_names, &format, error)))
		return false;
	if (source && (!xml_expect(source, "file", "", error) ||
		       !xml_attr_path(source, "file", &d->path, error)))
		return false;
	if (d->path && d->place == SNAPSHOT_DEFAULT)
		d->place = SNAPSHOT_EXTERNAL;
	if (d->path && d->place != SNAPSHOT_EXTERNAL)
		return xml_error(disk, VMM_ERR_XML, error,
				 "a <source> is given, but the disk is not snapshot='external'");
	return true;
}

static bool parse_disk(const xmlNode *node, snapshot_def *def, GError **error)
{
	struct snapshot_disk *d = snapshot_def_add_disk(def, NULL, SNAPSHOT_DEFAULT, NULL);

	return xml_expect(node, "name snapshot type", "driver source", error) &&
	       xml_attr_need(node, "name", &d->name, error) &&
	       XML_ATTR_ENUM(node, "snapshot", place_names, &d->place, error) &&
	       parse_disk_source(node, d, error);
}

static bool parse_disks(const xmlNode *node, snapshot_def *def, GError **error)
{
	if (node && !xml_expect(node, "", "disk*", error))
		return false;
	for (xmlNode *n = node ? xml_child(node, "disk") : NULL; n; n = xml_next(n)) {
		if (def->disks->len == DOMAIN_DEVICES_MAX)
			return xml_error(n, VMM_ERR_XML, error, "more than %u disks",
					 DOMAIN_DEVICES_MAX);
		if (!parse_disk(n, def, error))
			return false;
	}
	return true;
}

static bool parse_name(const xmlNode *root, snapshot_def *def, GError **error)
{
	const xmlNode *name = xml_child(root, "name"), *text = xml_child(root, "description");

	if ((name && !xml_expect(name, "", NULL, error)) ||
	    (text && !xml_expect(text, "", NULL, error)))
		return false;
	def->name = name ? xml_text(name) : NULL;
	def->description = text ? xml_text(text) : NULL;
	return !def->name || snapshot_name_check(def->name, error);
}

/* ---- what was shown, read again ---- */

static bool parse_domain(const xmlNode *node, domain_def **ret, GError **error)
{
	g_autoptr(xmlDoc) doc = NULL;
	xmlChar *text = NULL;
	int bytes;

	if (!node)
		return true;
	doc = xmlNewDoc(BAD_CAST "1.0");
	xmlDocSetRootElement(doc, xmlDocCopyNode((xmlNode *)node, doc, 1));
	xmlNodeSetName(xmlDocGetRootElement(doc), BAD_CAST "domain");
	xmlDocDumpMemory(doc, &text, &bytes);
	*ret = domain_def_parse((const char *)text, 0, error);
	xmlFree(text);
	if (!*ret)
		g_prefix_error(error, "in the snapshot: ");
	return *ret;
}

static bool parse_time(const xmlNode *node, int64_t *ret, GError **error)
{
	g_autofree char *text = node ? xml_text(node) : NULL;
	gint64 value;

	if (!text)
		return true;
	if (!g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &value, NULL))
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a time in seconds", text);
	*ret = value;
	return true;
}

static bool parse_state(const xmlNode *root, snapshot_def *def, GError **error)
{
	const xmlNode *node = xml_child(root, "state");
	g_autofree char *text = node ? xml_text(node) : NULL;

	if (!text)
		return xml_error(root, VMM_ERR_XML, error, "<state> is missing");
	for (unsigned i = 0; i < N_SNAPSHOT_STATES; i++) {
		if (strcmp(text, state_names[i]) == 0) {
			def->state = i;
			return true;
		}
	}
	return xml_error(node, VMM_ERR_XML, error, "'%s' is no state of a snapshot", text);
}

static bool parse_parent(const xmlNode *node, snapshot_def *def, GError **error)
{
	const xmlNode *name;

	if (!node)
		return true;
	name = xml_child(node, "name");
	if (!xml_expect(node, "", "name", error))
		return false;
	def->parent = name ? xml_text(name) : NULL;
	return def->parent || xml_error(node, VMM_ERR_XML, error, "the parent has no name");
}

static bool parse_shown(const xmlNode *root, snapshot_def *def, GError **error)
{
	return parse_state(root, def, error) &&
	       parse_time(xml_child(root, "creationTime"), &def->created_s, error) &&
	       parse_parent(xml_child(root, "parent"), def, error) &&
	       parse_domain(xml_child(root, "domain"), &def->domain, error) &&
	       parse_domain(xml_child(root, "inactiveDomain"), &def->inactive, error);
}

static bool parse_root(const xmlNode *root, snapshot_def *def, unsigned flags, GError **error)
{
	if (strcmp((const char *)root->name, "domainsnapshot") != 0)
		return xml_error(root, VMM_ERR_XML, error, "the root is not <domainsnapshot>");
	return xml_expect(root, "",
			  "name description memory disks state creationTime parent domain "
			  "inactiveDomain cookie active", error) &&
	       parse_name(root, def, error) &&
	       parse_memory(xml_child(root, "memory"), def, error) &&
	       parse_disks(xml_child(root, "disks"), def, error) &&
	       (!(flags & SNAPSHOT_PARSE_REDEFINE) || parse_shown(root, def, error));
}

snapshot_def *snapshot_def_parse(const char *xml, unsigned flags, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "snapshot", error);
	g_autoptr(snapshot_def) def = snapshot_def_new();

	if (!doc || !parse_root(xmlDocGetRootElement(doc), def, flags, error) ||
	    (flags & SNAPSHOT_PARSE_VALIDATE && !xml_validate_by(doc, "snapshot.rng", error)))
		return NULL;
	return g_steal_pointer(&def);
}

/* ---- format ---- */

static void format_disk(struct xml_out *out, const struct snapshot_disk *d)
{
	xml_begin(out, "disk");
	xml_put(out, "name", d->name);
	xml_put(out, "snapshot", place_names[d->place]);
	if (d->path) {
		xml_put(out, "type", "file");
		xml_leaf_attr(out, "driver", "type", "qcow2");
		xml_leaf_attr(out, "source", "file", d->path);
	}
	xml_end(out);
}

static void format_memory(struct xml_out *out, const snapshot_def *def)
{
	if (def->memory == SNAPSHOT_DEFAULT)
		return;
	xml_begin(out, "memory");
	xml_put(out, "snapshot", place_names[def->memory]);
	xml_put(out, "file", def->memory_path);
	xml_end(out);
}

static void format_disks(struct xml_out *out, const snapshot_def *def)
{
	if (!def->disks->len)
		return;
	xml_begin(out, "disks");
	for (unsigned i = 0; i < def->disks->len; i++)
		format_disk(out, def->disks->pdata[i]);
	xml_end(out);
}

char *snapshot_def_format(const snapshot_def *def)
{
	g_autofree char *created = g_strdup_printf("%" G_GINT64_FORMAT, def->created_s);
	struct xml_out out;

	xml_out_init(&out);
	xml_begin(&out, "domainsnapshot");
	xml_leaf(&out, "name", def->name);
	xml_leaf(&out, "description", def->description);
	xml_leaf(&out, "state", state_names[def->state]);
	if (def->parent) {
		xml_begin(&out, "parent");
		xml_leaf(&out, "name", def->parent);
		xml_end(&out);
	}
	xml_leaf(&out, "creationTime", created);
	format_memory(&out, def);
	format_disks(&out, def);
	if (def->domain)
		domain_def_write(&out, "domain", def->domain, 0);
	if (def->inactive)
		domain_def_write(&out, "inactiveDomain", def->inactive, 0);
	xml_end(&out);
	return xml_out_done(&out);
}
