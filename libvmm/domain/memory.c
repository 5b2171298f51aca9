/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <memory>, <currentMemory>, <maxMemory>, <memoryBacking>: sizes and where pages come from. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/domain/xml-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/nearest.h"

#define KIB 1024ull
#define MIB (1024ull * 1024)

static const struct unit {
	const char *name;
	uint64_t bytes;
} units[] = {
	{ "b", 1 }, { "B", 1 }, { "bytes", 1 },
	{ "KB", 1000ull }, { "k", 1ull << 10 }, { "K", 1ull << 10 }, { "KiB", 1ull << 10 },
	{ "MB", 1000000ull }, { "M", 1ull << 20 }, { "MiB", 1ull << 20 },
	{ "GB", 1000000000ull }, { "G", 1ull << 30 }, { "GiB", 1ull << 30 },
	{ "TB", 1000000000000ull }, { "T", 1ull << 40 }, { "TiB", 1ull << 40 },
};

/* The last of those with the same meaning is the clearest. */
static const char *unit_name(uint64_t bytes)
{
	unsigned i = ARRAY_SIZE(units) - 1;

	while (units[i].bytes != bytes)
		i--;
	return units[i].name;
}

static const char *unit_at(const void *arg, unsigned i)
{
	return i < ARRAY_SIZE(units) ? units[i].name : NULL;
}

bool memory_unit(const xmlNode *node, uint64_t otherwise, uint64_t *ret, GError **error)
{
	g_autofree char *name = xml_attr(node, "unit");
	const char *near;

	*ret = otherwise;
	if (!name)
		return true;
	for (unsigned i = 0; i < ARRAY_SIZE(units); i++) {
		if (!strcmp(units[i].name, name)) {
			*ret = units[i].bytes;
			return true;
		}
	}
	near = nearest(name, unit_at, NULL);
	if (near)
		return xml_fault(node, "unit", VMM_ERR_XML, error,
				 "unit='%s' is not known: did you mean '%s'?", name, near);
	return xml_fault(node, "unit", VMM_ERR_XML, error,
			 "unit='%s' is not one of b, KiB, MiB, GiB, TiB, KB, MB, GB, TB", name);
}

/* "64M": right but for the place of its unit. */
static char *unit_apart(const xmlNode *node, const char *text)
{
	size_t digits = strspn(text, "0123456789");
	g_autofree char *unit = g_strstrip(g_strdup(text + digits));
	const char *name = (const char *)node->name;

	for (unsigned i = 0; digits && i < ARRAY_SIZE(units); i++)
		if (!g_ascii_strcasecmp(units[i].name, unit))
			return g_strdup_printf("<%s unit='%s'>%.*s</%s>", name,
					       unit_name(units[i].bytes), (int)digits, text, name);
	return NULL;
}

static bool no_size(const xmlNode *node, const char *text, GError **error)
{
	g_autofree char *apart = unit_apart(node, text);

	if (apart)
		return xml_error(node, VMM_ERR_XML, error,
				 "'%s' is not a number; the unit is an attribute: %s", text, apart);
	return xml_error(node, VMM_ERR_XML, error,
			 "'%s' is not a size: write a whole number, as in "
			 "<%s unit='MiB'>512</%s>", text, (const char *)node->name,
			 (const char *)node->name);
}

/* Rounded up, as libvirt does: nobody gets less than was asked for. */
static bool scale(const xmlNode *node, const char *text, uint64_t round, uint64_t *ret,
		  GError **error)
{
	uint64_t number, unit;

	if (!memory_unit(node, KIB, &unit, error))
		return false;
	if (!text || !xml_parse_u64(text, UINT64_MAX, &number))
		return no_size(node, text ? text : "", error);
	if (number == 0 || number > DOMAIN_MEMORY_MAX_BYTES / unit)
		return xml_error(node, VMM_ERR_XML, error,
				 "%s is not a size from 1 byte to %llu TiB; without unit= it "
				 "counts KiB", text, DOMAIN_MEMORY_MAX_BYTES >> 40);
	*ret = (number * unit + round - 1) / round * round;
	return true;
}

static bool parse_size(const xmlNode *node, const char *attrs, uint64_t round, uint64_t *ret,
		       GError **error)
{
	g_autofree char *text = NULL;

	if (!xml_expect(node, attrs, NULL, error))
		return false;
	text = xml_text(node);
	return scale(node, text, round, ret, error);
}

static bool parse_page(const xmlNode *node, struct domain_def *def, GError **error)
{
	g_autofree char *size = NULL;
	uint64_t bytes = 0;

	if (!node)
		return true;
	if (!xml_expect(node, "size unit", "", error) ||
	    !xml_attr_need(node, "size", &size, error) || !scale(node, size, 1, &bytes, error))
		return false;
	def->hugepage_given = true;
	return bytes == DOMAIN_HUGEPAGE_BYTES ||
	       xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
			 "guest memory is of huge pages of 2 MiB: leave <page> out");
}

/* <source> and <access> say what we do anyhow. */
static bool parse_kind(const xmlNode *backing, struct domain_def *def, GError **error)
{
	static const char *const sources[] = { "memfd" };
	static const char *const modes[] = { "private", "shared" };
	const xmlNode *source = xml_child(backing, "source"),
		      *access = xml_child(backing, "access");
	unsigned type = 0, mode = 0;

	def->backing_memfd = source;
	if (source && (!xml_expect(source, "type", "", error) ||
		       !xml_attr_enum(source, "type", sources, 1, &type, error)))
		return false;
	if (access && (!xml_expect(access, "mode", "", error) ||
		       !XML_ATTR_ENUM(access, "mode", modes, &mode, error)))
		return false;
	def->backing_shared = mode;
	return true;
}

static bool parse_backing(const xmlNode *node, struct domain_def *def, GError **error)
{
	const xmlNode *huge = xml_child(node, "hugepages");
	const xmlNode *nosharepages = xml_child(node, "nosharepages");

	if (!node)
		return true;
	if (!xml_expect(node, "", "hugepages nosharepages source access", error) ||
	    (huge && !xml_expect(huge, "", "page", error)) ||
	    (nosharepages && !xml_expect(nosharepages, "", "", error)) ||
	    !parse_kind(node, def, error))
		return false;
	def->hugepages = huge;
	def->nosharepages = nosharepages;
	return parse_page(xml_child(huge, "page"), def, error);
}

static bool parse_max(const xmlNode *node, struct domain_def *def, GError **error)
{
	return !node || (xml_attr_uint(node, "slots", 0, 256, &def->max_memory_slots, error) &&
			 parse_size(node, "unit slots", MIB, &def->max_memory_bytes, error));
}

bool memory_parse(const xmlNode *domain, struct domain_def *def, GError **error)
{
	const xmlNode *memory = xml_child(domain, "memory");
	const xmlNode *current = xml_child(domain, "currentMemory");

	if (!memory)
		return xml_error(domain, VMM_ERR_XML, error,
				 "<memory unit='MiB'>512</memory> or the like is missing");
	if (!parse_size(memory, "unit", MIB, &def->memory_bytes, error))
		return false;
	def->current_bytes = def->memory_bytes;
	if (current && !parse_size(current, "unit", KIB, &def->current_bytes, error))
		return false;
	if (def->current_bytes > def->memory_bytes)
		def->current_bytes = def->memory_bytes;	/* as libvirt does */
	return parse_max(xml_child(domain, "maxMemory"), def, error) &&
	       parse_backing(xml_child(domain, "memoryBacking"), def, error);
}

static void format_size(struct xml_out *out, const char *name, uint64_t bytes, unsigned slots)
{
	g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, (guint64)(bytes / KIB));

	xml_begin(out, name);
	if (slots)
		xml_putf(out, "slots", "%u", slots);
	xml_put(out, "unit", "KiB");
	xml_end_text(out, text);
}

static void format_hugepages(struct xml_out *out, const struct domain_def *def)
{
	xml_begin(out, "hugepages");
	if (def->hugepage_given) {
		xml_begin(out, "page");
		xml_putf(out, "size", "%" G_GUINT64_FORMAT, (guint64)(DOMAIN_HUGEPAGE_BYTES / KIB));
		xml_put(out, "unit", "KiB");
		xml_end(out);
	}
	xml_end(out);
}

void memory_format(struct xml_out *out, const struct domain_def *def)
{
	if (def->max_memory_bytes)
		format_size(out, "maxMemory", def->max_memory_bytes, def->max_memory_slots);
	format_size(out, "memory", def->memory_bytes, 0);
	format_size(out, "currentMemory", def->current_bytes, 0);
	if (!def->hugepages && !def->nosharepages && !def->backing_memfd && !def->backing_shared)
		return;
	xml_begin(out, "memoryBacking");
	if (def->hugepages)
		format_hugepages(out, def);
	if (def->nosharepages)
		xml_leaf(out, "nosharepages", "");
	xml_leaf_attr(out, "source", "type", def->backing_memfd ? "memfd" : NULL);
	xml_leaf_attr(out, "access", "mode", def->backing_shared ? "shared" : NULL);
	xml_end(out);
}
