/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <pool> and <volume>. */
#include "config.h"
#include "libvmm/domain/storage.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"

#define SCHEMA_FILE "storage.rng"

static const char *const pool_types[] = { "dir" };
static const char *const volume_types[] = { "file" };
static const char *const format_names[] = { "raw", "qcow2" };
static_assert(ARRAY_SIZE(format_names) == N_DISK_FORMATS, "a name for each");

/* ---- what both have ---- */

static bool names_check(const char *name, const char *what, GError **error)
{
	if (!name || !*name)
		return error_set(error, VMM_ERR_XML, "a %s's name must not be empty", what);
	if (strlen(name) > STORAGE_NAME_MAX_BYTES)
		return error_set(error, VMM_ERR_XML, "a %s's name has at most %u bytes", what,
				 STORAGE_NAME_MAX_BYTES);
	if (!g_utf8_validate(name, -1, NULL))
		return error_set(error, VMM_ERR_XML, "a %s's name must be UTF-8", what);
	for (const char *c = name; *c; c++)
		if (*c == '/' || g_ascii_iscntrl(*c))
			return error_set(error, VMM_ERR_XML,
					 "a %s's name must not have a '/' or a control character",
					 what);
	return *name != '.' || error_set(error, VMM_ERR_XML,
					 "a %s's name must not begin with a '.'", what);
}

bool volume_name_check(const char *name, GError **error)
{
	return names_check(name, "volume", error);
}

static bool parse_name(const xmlNode *root, const char *what, char **ret, GError **error)
{
	const xmlNode *node = xml_child(root, "name");
	g_autoptr(GError) why = NULL;

	if (!node)
		return xml_error(root, VMM_ERR_XML, error, "<name> is missing");
	if (!xml_expect(node, "", NULL, error))
		return false;
	*ret = xml_text(node);
	return names_check(*ret, what, &why) ||
	       xml_error(node, VMM_ERR_XML, error, "%s", why->message);
}

static bool parse_id(const xmlNode *permissions, const char *name, int64_t *ret, GError **error)
{
	const xmlNode *node = xml_child(permissions, name);
	g_autofree char *text = NULL;
	uint64_t id;

	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	text = xml_text(node);
	if (g_strcmp0(text, "-1") == 0)
		return true;
	if (!text || !xml_parse_u64(text, UINT32_MAX - 1, &id))
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a number of a %s",
				 text ? text : "", name);
	*ret = (int64_t)id;
	return true;
}

static bool parse_owner(const xmlNode *node, struct storage_owner *ret, GError **error)
{
	const xmlNode *mode = node ? xml_child(node, "mode") : NULL;
	g_autofree char *text = mode ? xml_text(mode) : NULL;
	char *end;

	*ret = (struct storage_owner){ -1, -1, -1 };
	if (!node)
		return true;
	if (!xml_expect(node, "", "mode owner group", error))
		return false;
	if (mode) {
		ret->mode = text ? (int)strtol(text, &end, 8) : -1;
		if (ret->mode < 0 || *end || ret->mode > 0777)
			return xml_error(mode, VMM_ERR_XML, error,
					 "'%s' is not an octal mode up to 0777", text ? text : "");
	}
	return parse_id(node, "owner", &ret->uid, error) &&
	       parse_id(node, "group", &ret->gid, error);
}

static void format_owner(struct xml_out *out, const struct storage_owner *o)
{
	g_autofree char *mode = g_strdup_printf("%04o", o->mode);
	g_autofree char *uid = g_strdup_printf("%" G_GINT64_FORMAT, o->uid);
	g_autofree char *gid = g_strdup_printf("%" G_GINT64_FORMAT, o->gid);

	if (o->mode < 0)
		return;
	xml_begin(out, "permissions");
	xml_leaf(out, "mode", mode);
	if (o->uid >= 0)
		xml_leaf(out, "owner", uid);
	if (o->gid >= 0)
		xml_leaf(out, "group", gid);
	xml_end(out);
}

static void format_bytes(struct xml_out *out, const char *name, uint64_t bytes)
{
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, bytes);

	xml_begin(out, name);
	xml_put(out, "unit", "bytes");
	xml_end_text(out, text);
}

static bool parse_bytes(const xmlNode *node, uint64_t *ret, bool *ret_given, GError **error)
{
	g_autofree char *text = NULL;
	uint64_t number, unit;

	if (!node)
		return true;
	if (!xml_expect(node, "unit", NULL, error) || !memory_unit(node, 1, &unit, error))
		return false;
	text = xml_text(node);
	if (!text || !xml_parse_u64(text, G_MAXINT64 / unit, &number))
		return xml_error(node, VMM_ERR_XML, error, "'%s' is not a size", text ? text : "");
	*ret = number * unit;
	*ret_given = true;
	return true;
}

/* ---- pools ---- */

void pool_def_free(struct pool_def *def)
{
	if (!def)
		return;
	g_free(def->name);
	g_free(def->path);
	g_free(def);
}

static bool parse_pool_uuid(const xmlNode *node, struct pool_def *def, GError **error)
{
	g_autofree char *text = NULL;

	uuid_random(def->uuid);
	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	text = xml_text(node);
	def->has_uuid = text && uuid_from_text(text, def->uuid);
	return def->has_uuid ||
	       xml_error(node, VMM_ERR_XML, error,
			 "'%s' is not a UUID; leave the element out and one is made",
			 text ? text : "");
}

static bool parse_pool_target(const xmlNode *pool, const xmlNode *target, struct pool_def *def,
			      GError **error)
{
	const xmlNode *path = target ? xml_child(target, "path") : NULL;
	g_autofree char *given = NULL;

	if (!path)
		return xml_error(target ? target : pool, VMM_ERR_XML, error,
				 "<target><path>/a/folder</path></target> is missing");
	if (!xml_expect(target, "", "path permissions", error) ||
	    !xml_expect(path, "", NULL, error) || !xml_text_path(path, &given, error))
		return false;
	def->path = g_canonicalize_filename(given, "/");
	if (g_str_equal(def->path, "/"))
		return xml_error(path, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "the root folder can't be a pool");
	return parse_owner(xml_child(target, "permissions"), &def->owner, error);
}

struct pool_def *pool_def_parse(const char *xml, unsigned flags, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, STORAGE_XML_MAX_BYTES, "pool", error);
	g_autoptr(pool_def) def = NULL;
	unsigned type = 0;

	if (!doc)
		return NULL;
	def = g_new0(struct pool_def, 1);
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *source = xml_child(root, "source");
	if (!xml_root_is(root, "pool", error) ||
	    !XML_ATTR_ENUM(root, "type", pool_types, &type, error) ||
	    !xml_expect(root, "type", "name uuid capacity allocation available source target",
			error) ||
	    (source && !xml_expect(source, "", "", error)) ||
	    !parse_name(root, "pool", &def->name, error) ||
	    !parse_pool_uuid(xml_child(root, "uuid"), def, error) ||
	    !parse_pool_target(root, xml_child(root, "target"), def, error) ||
	    (flags & STORAGE_PARSE_VALIDATE && !xml_validate_by(doc, SCHEMA_FILE, error)))
		return NULL;
	return g_steal_pointer(&def);
}

char *pool_def_format(const struct pool_def *def, const struct pool_space *space)
{
	static const struct pool_space none;
	char uuid[UUID_TEXT_BYTES];
	struct xml_out out;

	uuid_to_text(def->uuid, uuid);
	space = space ? space : &none;
	xml_out_init(&out);
	xml_begin(&out, "pool");
	xml_put(&out, "type", "dir");
	xml_leaf(&out, "name", def->name);
	xml_leaf(&out, "uuid", uuid);
	format_bytes(&out, "capacity", space->capacity);
	format_bytes(&out, "allocation", space->allocation);
	format_bytes(&out, "available", space->available);
	xml_leaf(&out, "source", "");
	xml_begin(&out, "target");
	xml_leaf(&out, "path", def->path);
	format_owner(&out, &def->owner);
	xml_end(&out);
	xml_end(&out);
	return xml_out_done(&out);
}

/* ---- volumes ---- */

void volume_def_free(struct volume_def *def)
{
	if (!def)
		return;
	g_free(def->name);
	g_free(def->backing);
	g_free(def->compat);
	g_free(def->path);
	g_free(def);
}

static bool parse_format(const xmlNode *node, enum disk_format *ret, bool *ret_given,
			 GError **error)
{
	if (!node)
		return true;
	*ret_given = true;
	return xml_expect(node, "type", "", error) &&
	       XML_ATTR_ENUM(node, "type", format_names, ret, error);
}

static bool parse_features(const xmlNode *node, struct volume_def *def, GError **error)
{
	if (!node)
		return true;
	def->lazy_refcounts = xml_child(node, "lazy_refcounts");
	def->extended_l2 = xml_child(node, "extended_l2");
	return xml_expect(node, "", "lazy_refcounts extended_l2", error);
}

static bool parse_cluster(const xmlNode *node, struct volume_def *def, GError **error)
{
	uint64_t bytes = 0;
	bool given = false;

	if (!parse_bytes(node, &bytes, &given, error))
		return false;
	if (given && (bytes < 512 || bytes > 2 << 20 || bytes & (bytes - 1)))
		return xml_error(node, VMM_ERR_XML, error,
				 "a cluster has a power of two from 512 bytes to 2 MiB");
	def->cluster_bytes = (uint32_t)bytes;
	return true;
}

static bool parse_volume_target(const xmlNode *node, struct volume_def *def, GError **error)
{
	const xmlNode *compat = node ? xml_child(node, "compat") : NULL;

	def->owner = (struct storage_owner){ -1, -1, -1 };
	if (!node)
		return true;
	/* path and timestamps are what dumpxml shows: they are not ours to choose */
	if (!xml_expect(node, "",
			"path format permissions timestamps compat clusterSize features", error) ||
	    !parse_format(xml_child(node, "format"), &def->format, &def->has_format, error) ||
	    !parse_owner(xml_child(node, "permissions"), &def->owner, error) ||
	    !parse_cluster(xml_child(node, "clusterSize"), def, error) ||
	    !parse_features(xml_child(node, "features"), def, error))
		return false;
	def->compat = compat ? xml_text(compat) : NULL;
	if (compat && g_strcmp0(def->compat, "0.10") && g_strcmp0(def->compat, "1.1"))
		return xml_error(compat, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "is neither 0.10 nor 1.1");
	return true;
}

static bool parse_backing(const xmlNode *node, struct volume_def *def, GError **error)
{
	const xmlNode *path = node ? xml_child(node, "path") : NULL;
	bool given = false;

	if (!node)
		return true;
	if (!xml_expect(node, "", "path format permissions timestamps", error))
		return false;
	if (!path)
		return xml_child(node, "format") == NULL ||
		       xml_error(node, VMM_ERR_XML, error, "<path> is missing");
	if (!xml_expect(path, "", NULL, error) || !xml_text_path(path, &def->backing, error) ||
	    !parse_format(xml_child(node, "format"), &def->backing_format, &given, error))
		return false;
	return given || xml_error(node, VMM_ERR_XML, error,
				  "the backing image's format is missing: add <format "
				  "type='qcow2'/> or <format type='raw'/>; it is never guessed");
}

static bool volume_def_fit(const xmlNode *root, const struct volume_def *def, GError **error)
{
	bool qcow2 = def->format == DISK_FORMAT_QCOW2;

	if (!qcow2 && (def->backing || def->compat || def->cluster_bytes || def->lazy_refcounts ||
		       def->extended_l2))
		return xml_error(root, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "a raw volume has no backing image and no features: say <format "
				 "type='qcow2'/>");
	if (g_strcmp0(def->compat, "0.10") == 0 && (def->lazy_refcounts || def->extended_l2))
		return xml_error(root, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "these features need <compat>1.1</compat>");
	return true;
}

struct volume_def *volume_def_parse(const char *xml, unsigned flags, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, STORAGE_XML_MAX_BYTES, "volume", error);
	g_autoptr(volume_def) def = NULL;
	unsigned type = 0;

	if (!doc)
		return NULL;
	def = g_new0(struct volume_def, 1);
	const xmlNode *root = xmlDocGetRootElement(doc);
	const xmlNode *source = xml_child(root, "source");
	if (!xml_root_is(root, "volume", error) ||
	    !XML_ATTR_ENUM(root, "type", volume_types, &type, error) ||
	    !xml_expect(root, "type",
			"name key source capacity allocation physical target backingStore",
			error) ||
	    (source && !xml_expect(source, "", "", error)) ||
	    !parse_name(root, "volume", &def->name, error) ||
	    !parse_bytes(xml_child(root, "capacity"), &def->capacity, &def->has_capacity, error) ||
	    !parse_bytes(xml_child(root, "allocation"), &def->allocation, &def->has_allocation,
			 error) ||
	    !parse_volume_target(xml_child(root, "target"), def, error) ||
	    !parse_backing(xml_child(root, "backingStore"), def, error) ||
	    !volume_def_fit(root, def, error) ||
	    (flags & STORAGE_PARSE_VALIDATE && !xml_validate_by(doc, SCHEMA_FILE, error)))
		return NULL;
	return g_steal_pointer(&def);
}

static void format_time(struct xml_out *out, const char *name, int64_t ns)
{
	g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT ".%09" G_GINT64_FORMAT,
						ns / 1000000000, ns % 1000000000);

	xml_leaf(out, name, text);
}

static void format_features(struct xml_out *out, const struct volume_def *def)
{
	xml_leaf(out, "compat", def->compat);
	if (def->cluster_bytes) {
		g_autofree char *text = g_strdup_printf("%u", def->cluster_bytes);

		xml_begin(out, "clusterSize");
		xml_put(out, "unit", "B");
		xml_end_text(out, text);
	}
	if (!def->lazy_refcounts && !def->extended_l2)
		return;
	xml_begin(out, "features");
	if (def->lazy_refcounts)
		xml_leaf(out, "lazy_refcounts", "");
	if (def->extended_l2)
		xml_leaf(out, "extended_l2", "");
	xml_end(out);
}

static void format_volume_target(struct xml_out *out, const struct volume_def *def)
{
	xml_begin(out, "target");
	xml_leaf(out, "path", def->path);
	xml_leaf_attr(out, "format", "type", format_names[def->format]);
	format_owner(out, &def->owner);
	xml_begin(out, "timestamps");
	format_time(out, "atime", def->atime_ns);
	format_time(out, "mtime", def->mtime_ns);
	format_time(out, "ctime", def->ctime_ns);
	xml_end(out);
	if (def->format == DISK_FORMAT_QCOW2)
		format_features(out, def);
	xml_end(out);
}

char *volume_def_format(const struct volume_def *def)
{
	struct xml_out out;

	xml_out_init(&out);
	xml_begin(&out, "volume");
	xml_put(&out, "type", "file");
	xml_leaf(&out, "name", def->name);
	xml_leaf(&out, "key", def->path);
	xml_leaf(&out, "source", "");
	format_bytes(&out, "capacity", def->capacity);
	format_bytes(&out, "allocation", def->allocation);
	format_bytes(&out, "physical", def->physical);
	format_volume_target(&out, def);
	if (def->backing) {
		xml_begin(&out, "backingStore");
		xml_leaf(&out, "path", def->backing);
		xml_leaf_attr(&out, "format", "type", format_names[def->backing_format]);
		xml_end(&out);
	}
	xml_end(&out);
	return xml_out_done(&out);
}
