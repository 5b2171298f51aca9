/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <disk>: an image behind a virtio-blk device. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/util/cleanup.h"

#define SERIAL_MAX_BYTES 20	/* VIRTIO_BLK_ID_BYTES, virtio 1.2, 5.2.6 */
#define QUEUES_MAX 16

static const char *const type_names[] = { "file", "block" };
static const char *const source_attrs[] = { "file", "dev" };
static const char *const format_names[] = { "raw", "qcow2" };
static const char *const cache_names[] = {
	NULL, "none", "writethrough", "writeback", "directsync", "unsafe",
};
static const char *const io_names[] = { NULL, "threads", "io_uring" };
static const char *const discard_names[] = { NULL, "unmap", "ignore" };
static const char *const zeroes_names[] = { NULL, "off", "on", "unmap" };
static const char *const policy_names[] = { NULL, "report", "stop", "ignore", "enospace" };
static const char *const device_names[] = { "disk" };
static const char *const bus_names[] = { "virtio" };
static const char *const driver_names[] = { "qemu", "vmm" };	/* both are ours */

static_assert(ARRAY_SIZE(type_names) == N_DISK_TYPES, "a name for each");
static_assert(ARRAY_SIZE(source_attrs) == N_DISK_TYPES, "a name for each");
static_assert(ARRAY_SIZE(format_names) == N_DISK_FORMATS, "a name for each");
static_assert(ARRAY_SIZE(cache_names) == N_DISK_CACHES, "a name for each");
static_assert(ARRAY_SIZE(io_names) == N_DISK_IOS, "a name for each");
static_assert(ARRAY_SIZE(discard_names) == N_DISK_DISCARDS, "a name for each");
static_assert(ARRAY_SIZE(zeroes_names) == N_DISK_ZEROES, "a name for each");
static_assert(ARRAY_SIZE(policy_names) == N_DISK_POLICIES, "a name for each");

G_DEFINE_AUTOPTR_CLEANUP_FUNC(disk_def, disk_def_free)

const char *disk_format_name(enum disk_format format)
{
	return format_names[format];
}

struct disk_def *disk_def_new(void)
{
	return g_new0(struct disk_def, 1);
}

void disk_def_free(void *opaque)
{
	struct disk_def *d = opaque;

	if (!d)
		return;
	g_free(d->path);
	g_free(d->target);
	g_free(d->serial);
	g_free(d->alias);
	g_free(d->iotune);
	g_free(d->iotune_group);
	g_free(d);
}

/* ---- parse ---- */

static bool parse_driver(const xmlNode *disk, const xmlNode *node, struct disk_def *d,
			 GError **error)
{
	g_autofree char *type = xml_attr(node, "type");
	unsigned name = 0, rerror = DISK_POLICY_DEFAULT;

	if (node && !xml_expect(node,
				"name type cache io discard detect_zeroes error_policy "
				"rerror_policy queues", "", error))
		return false;
	if (!type)
		return xml_error(node ? node : disk, VMM_ERR_XML, error,
				 "the image's format is missing: add <driver type='qcow2'/> or "
				 "<driver type='raw'/>; it is never guessed");
	if (!xml_attr_enum(node, "rerror_policy", policy_names, DISK_POLICY_ENOSPACE, &rerror,
			   error))
		return false;
	d->rerror_policy = rerror;
	return XML_ATTR_ENUM(node, "name", driver_names, &name, error) &&
	       XML_ATTR_ENUM(node, "type", format_names, &d->format, error) &&
	       XML_ATTR_ENUM(node, "cache", cache_names, &d->cache, error) &&
	       XML_ATTR_ENUM(node, "io", io_names, &d->io, error) &&
	       XML_ATTR_ENUM(node, "discard", discard_names, &d->discard, error) &&
	       XML_ATTR_ENUM(node, "detect_zeroes", zeroes_names, &d->detect_zeroes, error) &&
	       XML_ATTR_ENUM(node, "error_policy", policy_names, &d->error_policy, error) &&
	       xml_attr_uint(node, "queues", 1, QUEUES_MAX, &d->queues, error);
}

static bool parse_source(const xmlNode *disk, const xmlNode *node, struct disk_def *d,
			 GError **error)
{
	const char *attr = source_attrs[d->type];

	if (!node)
		return xml_error(disk, VMM_ERR_XML, error, "<source %s='...'/> is missing", attr);
	if (!xml_expect(node, attr, "", error))
		return false;
	if (!xmlHasProp((xmlNode *)node, BAD_CAST attr))
		return xml_error(node, VMM_ERR_XML, error, "attribute '%s' is missing", attr);
	return xml_attr_path(node, attr, &d->path, error);
}

/* vda to vdzzz: what a Linux guest calls it, as long as nobody changes the order. */
static bool disk_target_check(const char *target)
{
	size_t len = strlen(target);

	if (len < 3 || len > 5 || strncmp(target, "vd", 2))
		return false;
	for (const char *c = target + 2; *c; c++)
		if (!g_ascii_islower(*c))
			return false;
	return true;
}

static bool parse_target(const xmlNode *node, struct disk_def *d, GError **error)
{
	unsigned bus = 0;

	if (!node)
		return true;
	if (!xml_expect(node, "dev bus", "", error) ||
	    !XML_ATTR_ENUM(node, "bus", bus_names, &bus, error) ||
	    !xml_attr_need(node, "dev", &d->target, error))
		return false;
	if (!disk_target_check(d->target))
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "target '%s' is not a virtio disk's: use vda, vdb, ...",
				 d->target);
	return true;
}

static bool parse_serial(const xmlNode *node, struct disk_def *d, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "", NULL, error))
		return false;
	d->serial = xml_text(node);
	if (!d->serial)
		return true;
	if (strlen(d->serial) > SERIAL_MAX_BYTES)
		return xml_error(node, VMM_ERR_XML, error, "longer than %d bytes",
				 SERIAL_MAX_BYTES);
	for (const char *c = d->serial; *c; c++)
		if (!g_ascii_isgraph(*c) && *c != ' ')
			return xml_error(
				node, VMM_ERR_XML, error,
				"only ASCII letters, digits, signs and blanks may be in it");
	return true;
}

/* An empty <readonly/>. */
static bool parse_flag(const xmlNode *disk, const char *name, bool *ret, GError **error)
{
	const xmlNode *node = xml_child(disk, name);

	*ret = node;
	return !node || xml_expect(node, "", "", error);
}

/* Only the empty one: with it the image is the end of its chain, whatever its header says. */
static bool parse_backing(const xmlNode *disk, struct disk_def *d, GError **error)
{
	return parse_flag(disk, "backingStore", &d->no_backing, error);
}

struct disk_def *disk_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(disk_def) d = disk_def_new();
	unsigned device = 0;

	d->line = xmlGetLineNo(node);
	if (!xml_expect(node, "type device",
			"driver source target iotune readonly shareable transient backingStore "
			"serial boot"
			DEVICE_CHILDREN, error) ||
	    !XML_ATTR_ENUM(node, "type", type_names, &d->type, error) ||
	    !XML_ATTR_ENUM(node, "device", device_names, &device, error) ||
	    !xml_go_on(node, parse_source(node, xml_child(node, "source"), d, error), error) ||
	    !xml_go_on(node, parse_driver(node, xml_child(node, "driver"), d, error), error) ||
	    !xml_go_on(node, parse_target(xml_child(node, "target"), d, error), error) ||
	    !parse_flag(node, "readonly", &d->readonly, error) ||
	    !parse_flag(node, "shareable", &d->shareable, error) ||
	    !parse_flag(node, "transient", &d->transient, error) ||
	    !parse_backing(node, d, error) ||
	    !iotune_parse(xml_child(node, "iotune"), d, error) ||
	    !parse_serial(xml_child(node, "serial"), d, error) ||
	    !device_parse_common(node, flags, &d->alias, &d->boot_order, error))
		return NULL;
	return g_steal_pointer(&d);
}

/* ---- format ---- */

static void format_driver(struct xml_out *out, const struct disk_def *d)
{
	xml_begin(out, "driver");
	xml_put(out, "name", "qemu");
	xml_put(out, "type", format_names[d->format]);
	xml_put(out, "cache", cache_names[d->cache]);
	xml_put(out, "error_policy", policy_names[d->error_policy]);
	xml_put(out, "rerror_policy", policy_names[d->rerror_policy]);
	xml_put(out, "io", io_names[d->io]);
	xml_put(out, "discard", discard_names[d->discard]);
	if (d->queues)
		xml_putf(out, "queues", "%u", d->queues);
	xml_put(out, "detect_zeroes", zeroes_names[d->detect_zeroes]);
	xml_end(out);
}

void disk_def_format(struct xml_out *out, const struct disk_def *d, unsigned flags)
{
	xml_begin(out, "disk");
	xml_put(out, "type", type_names[d->type]);
	xml_put(out, "device", "disk");
	format_driver(out, d);
	xml_leaf_attr(out, "source", source_attrs[d->type], d->path);
	if (d->no_backing)
		xml_leaf(out, "backingStore", "");
	xml_begin(out, "target");
	xml_put(out, "dev", d->target);
	xml_put(out, "bus", "virtio");
	xml_end(out);
	iotune_format(out, d);
	if (d->readonly)
		xml_leaf(out, "readonly", "");
	if (d->shareable)
		xml_leaf(out, "shareable", "");
	if (d->transient)
		xml_leaf(out, "transient", "");
	xml_leaf(out, "serial", d->serial);
	boot_order_format(out, d->boot_order);
	alias_format(out, d->alias, flags);
	xml_end(out);
}

/* ---- what it means ---- */

bool disk_def_is_written(const struct disk_def *d)
{
	return !d->readonly && !d->transient;
}

const char *disk_def_apart(const struct disk_def *d)
{
	return d->readonly ? "read-only" : d->transient ? "transient" :
	       d->shareable ? "shareable" : NULL;
}

/* ---- check ---- */

bool disk_def_check(const struct disk_def *d, GError **error)
{
	if (d->transient && (d->readonly || d->shareable))
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: disk '%s' is <transient/>, what is written is its own "
				 "and is forgotten: leave <%s/> out", d->line, d->target,
				 d->readonly ? "readonly" : "shareable");
	if (d->transient && d->no_backing && d->format == DISK_FORMAT_QCOW2)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: disk '%s' is <transient/>, whose image is read with its "
				 "backing files: leave <backingStore/> out", d->line, d->target);
	return true;
}

bool disk_def_check_pair(const struct disk_def *a, const struct disk_def *b, GError **error)
{
	if (!strcmp(a->target, b->target))
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"line %u: disk '%s' has the target '%s', as has disk '%s' on line %u",
			b->line, b->path, b->target, a->path, a->line);
	if (!strcmp(a->path, b->path) &&
	    (disk_def_is_written(a) || disk_def_is_written(b)) &&
	    !(a->shareable && b->shareable))
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"line %u: disk '%s' is the image '%s', as is disk '%s' on line %u: make "
			"both <readonly/> or <shareable/>",
			b->line, b->target, b->path, a->target, a->line);
	if (b->iotune_group && !g_strcmp0(a->iotune_group, b->iotune_group) &&
	    !disk_same_iotune(a, b))
		return error_set(
			error, VMM_ERR_CONFIG_UNSUPPORTED,
			"line %u: disk '%s' shares its limits as group '%s' with disk '%s' on line "
			"%u, but they differ: write the same <iotune> in both ('blkdeviotune' sets "
			"those of a whole group)",
			b->line, b->target, b->iotune_group, a->target, a->line);
	return true;
}
