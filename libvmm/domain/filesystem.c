/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* <filesystem>: a folder of the host, over virtio-fs or 9p. */
#include "config.h"
#include "libvmm/domain/domain-priv.h"

#include <string.h>

#include "libvmm/domain/xml-priv.h"
#include "libvmm/util/cleanup.h"

#define QUEUE_MIN 8u
#define QUEUE_MAX 1024u
/* what libvirt's machine has without fmode= and dmode= */
#define FMODE_DEFAULT 0600u
#define DMODE_DEFAULT 0700u

static const char *const type_names[] = { "mount" };
static const char *const model_names[] = { "virtio" };
static const char *const driver_names[] = { "path", "virtiofs" };
static const char *const access_names[] = { "passthrough", "mapped", "squash" };
static const char *const cache_names[] = { "auto", "none", "always" };

static_assert(ARRAY_SIZE(driver_names) == N_FILESYSTEM_DRIVERS, "a name for each");
static_assert(ARRAY_SIZE(access_names) == N_FILESYSTEM_ACCESSES, "a name for each");
static_assert(ARRAY_SIZE(cache_names) == N_FILESYSTEM_CACHES, "a name for each");

G_DEFINE_AUTOPTR_CLEANUP_FUNC(filesystem_def, filesystem_def_free)

struct filesystem_def *filesystem_def_new(void)
{
	struct filesystem_def *f = g_new0(struct filesystem_def, 1);

	f->fmode = FMODE_DEFAULT;
	f->dmode = DMODE_DEFAULT;
	return f;
}

void filesystem_def_free(void *opaque)
{
	struct filesystem_def *f = opaque;

	if (!f)
		return;
	g_free(f->dir);
	g_free(f->tag);
	g_free(f->alias);
	g_free(f);
}

/* ---- parse ---- */

/* Octal, as libvirt writes it: "644", "0755". */
static bool parse_mode(const xmlNode *node, const char *name, unsigned owner, unsigned *ret,
		       GError **error)
{
	g_autofree char *text = xml_attr(node, name);
	guint64 mode;

	if (!text)
		return true;
	if (!g_ascii_string_to_unsigned(text, 8, 0, 0777, &mode, NULL))
		return xml_fault(node, name, VMM_ERR_XML, error,
				 "%s='%s' is not an octal number up to 777", name, text);
	/* The machine, which is not root, must get at what it has made. */
	if ((mode & owner) != owner)
		return xml_fault(node, name, VMM_ERR_XML, error,
				 "%s='%s' would lock the owner out: it needs %03o at least", name,
				 text, owner);
	*ret = mode;
	return true;
}

static bool parse_access(const xmlNode *node, struct filesystem_def *f, GError **error)
{
	static const char *const modes[] = { "fmode", "dmode" };

	if (!XML_ATTR_ENUM(node, "accessmode", access_names, &f->access, error) ||
	    !parse_mode(node, "fmode", 0600, &f->fmode, error) ||
	    !parse_mode(node, "dmode", 0700, &f->dmode, error))
		return false;
	for (unsigned i = 0; i < ARRAY_SIZE(modes) && f->access != FILESYSTEM_MAPPED; i++)
		if (xmlHasProp((xmlNode *)node, BAD_CAST modes[i]) &&
		    !xml_fault(node, modes[i], VMM_ERR_CONFIG_UNSUPPORTED, error,
			       "%s= goes with accessmode='mapped': with '%s' a file has the mode "
			       "that the guest gives it", modes[i], access_names[f->access]))
			return false;
	return true;
}

static bool parse_driver(const xmlNode *node, struct filesystem_def *f, GError **error)
{
	if (!node)
		return true;
	if (!xml_expect(node, "type queue", "", error) ||
	    !XML_ATTR_ENUM(node, "type", driver_names, &f->driver, error) ||
	    !xml_attr_uint(node, "queue", QUEUE_MIN, QUEUE_MAX, &f->queue, error))
		return false;
	if (f->queue & (f->queue - 1))
		return xml_error(node, VMM_ERR_XML, error, "queue='%u' is not a power of two",
				 f->queue);
	if (f->queue && f->driver != FILESYSTEM_VIRTIOFS)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "queue= goes with type='virtiofs': leave it out");
	return true;
}

static bool parse_binary(const xmlNode *node, struct filesystem_def *f, GError **error)
{
	const xmlNode *cache = xml_child(node, "cache");

	if (!node)
		return true;
	if (!xml_expect(node, "", "cache", error))
		return false;
	if (f->driver != FILESYSTEM_VIRTIOFS)
		return xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
				 "it goes with <driver type='virtiofs'/>; 9p's cache is an option "
				 "of the guest's mount: leave it out");
	return !cache || (xml_expect(cache, "mode", "", error) &&
			  XML_ATTR_ENUM(cache, "mode", cache_names, &f->cache, error));
}

static bool parse_source(const xmlNode *fs, const xmlNode *node, struct filesystem_def *f,
			 GError **error)
{
	g_autofree char *dir = NULL;

	if (!node)
		return xml_error(fs, VMM_ERR_XML, error, "<source dir='/FOLDER'/> is missing");
	if (!xml_expect(node, "dir", "", error))
		return false;
	if (!xmlHasProp((xmlNode *)node, BAD_CAST "dir"))
		return xml_error(node, VMM_ERR_XML, error, "attribute 'dir' is missing");
	if (!xml_attr_path(node, "dir", &dir, error))
		return false;
	f->dir = g_canonicalize_filename(dir, "/");
	return strcmp(f->dir, "/") ||
	       xml_error(node, VMM_ERR_CONFIG_UNSUPPORTED, error,
			 "the host's root folder is not shared: name the folder that is meant");
}

static bool parse_target(const xmlNode *fs, const xmlNode *node, struct filesystem_def *f,
			 GError **error)
{
	if (!node)
		return xml_error(fs, VMM_ERR_XML, error,
				 "<target dir='TAG'/> is missing: the guest mounts it by that "
				 "name");
	if (!xml_expect(node, "dir", "", error) || !xml_attr_need(node, "dir", &f->tag, error))
		return false;
	if (strlen(f->tag) > FILESYSTEM_TAG_MAX_BYTES)
		return xml_error(node, VMM_ERR_XML, error, "the tag is longer than %u bytes",
				 FILESYSTEM_TAG_MAX_BYTES);
	for (const char *c = f->tag; *c; c++)
		if (g_ascii_iscntrl(*c))
			return xml_error(node, VMM_ERR_XML, error,
					 "the tag has a control character");
	return true;
}

static bool parse_readonly(const xmlNode *node, struct filesystem_def *f, GError **error)
{
	f->readonly = node;
	return !node || xml_expect(node, "", "", error);
}

struct filesystem_def *filesystem_def_parse(const xmlNode *node, unsigned flags, GError **error)
{
	g_autoptr(filesystem_def) f = filesystem_def_new();
	unsigned type = 0, model = 0;

	f->line = xmlGetLineNo(node);
	if (!xml_expect(node, "type accessmode fmode dmode model",
			"driver binary source target readonly" DEVICE_CHILDREN, error) ||
	    !XML_ATTR_ENUM(node, "type", type_names, &type, error) ||
	    !XML_ATTR_ENUM(node, "model", model_names, &model, error) ||
	    !parse_access(node, f, error) ||
	    !xml_go_on(node, parse_driver(xml_child(node, "driver"), f, error) &&
				     parse_binary(xml_child(node, "binary"), f, error), error) ||
	    !xml_go_on(node, parse_source(node, xml_child(node, "source"), f, error), error) ||
	    !xml_go_on(node, parse_target(node, xml_child(node, "target"), f, error), error) ||
	    !parse_readonly(xml_child(node, "readonly"), f, error) ||
	    !device_parse_common(node, flags, &f->alias, NULL, error))
		return NULL;
	return g_steal_pointer(&f);
}

/* ---- format ---- */

static void format_modes(struct xml_out *out, const struct filesystem_def *f)
{
	if (f->access != FILESYSTEM_MAPPED)
		return;
	if (f->fmode != FMODE_DEFAULT)
		xml_putf(out, "fmode", "%04o", f->fmode);
	if (f->dmode != DMODE_DEFAULT)
		xml_putf(out, "dmode", "%04o", f->dmode);
}

void filesystem_def_format(struct xml_out *out, const struct filesystem_def *f, unsigned flags)
{
	xml_begin(out, "filesystem");
	xml_put(out, "type", type_names[0]);
	xml_put(out, "accessmode", access_names[f->access]);
	format_modes(out, f);
	xml_begin(out, "driver");
	xml_put(out, "type", driver_names[f->driver]);
	if (f->queue)
		xml_putf(out, "queue", "%u", f->queue);
	xml_end(out);
	if (f->cache != FILESYSTEM_CACHE_AUTO) {	/* libvirt has no word for it */
		xml_begin(out, "binary");
		xml_leaf_attr(out, "cache", "mode", cache_names[f->cache]);
		xml_end(out);
	}
	xml_leaf_attr(out, "source", "dir", f->dir);
	xml_leaf_attr(out, "target", "dir", f->tag);
	if (f->readonly)
		xml_leaf(out, "readonly", "");
	alias_format(out, f->alias, flags);
	xml_end(out);
}

/* ---- check ---- */

bool filesystems_check(const GPtrArray *filesystems, GError **error)
{
	if (filesystems->len > DOMAIN_FILESYSTEMS_MAX)
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "line %u: a machine has %u shared folders at most: share one that "
				 "contains several",
				 ((const struct filesystem_def *)
					  filesystems->pdata[DOMAIN_FILESYSTEMS_MAX])->line,
				 DOMAIN_FILESYSTEMS_MAX);
	for (unsigned a = 0; a < filesystems->len; a++) {
		for (unsigned b = 0; b < a; b++) {
			const struct filesystem_def *x = filesystems->pdata[b];
			const struct filesystem_def *y = filesystems->pdata[a];

			if (!strcmp(x->tag, y->tag))
				return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
						 "line %u: folder '%s' has the tag '%s', as has "
						 "'%s' on line %u: the guest could not tell them "
						 "apart", y->line, y->dir, y->tag, x->dir, x->line);
		}
	}
	return true;
}
