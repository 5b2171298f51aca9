/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One device by itself, as clients write it to have it added, changed or removed. */
#include "config.h"

#include <string.h>

#include "libvmm/domain/domain-priv.h"
#include "libvmm/util/cleanup.h"

/* ---- classes of devices ---- */

static void *parse_disk(const xmlNode *node, GError **error)
{
	return disk_def_parse(node, DOMAIN_PARSE_LIVE, error);
}

static void *parse_filesystem(const xmlNode *node, GError **error)
{
	return filesystem_def_parse(node, DOMAIN_PARSE_LIVE, error);
}

static void *parse_iface(const xmlNode *node, GError **error)
{
	return iface_def_parse(node, DOMAIN_PARSE_LIVE, error);
}

static void *parse_channel(const xmlNode *node, GError **error)
{
	return chardev_def_parse(node, CHARDEV_CHANNEL, DOMAIN_PARSE_LIVE, error);
}

static void *parse_rng(const xmlNode *node, GError **error)
{
	return rng_def_parse(node, DOMAIN_PARSE_LIVE, error);
}

/* By what a client means one of them, when it does not give its alias. */
static bool same_disk(const void *a, const void *b)
{
	return g_strcmp0(((const disk_def *)a)->target, ((const disk_def *)b)->target) == 0;
}

static bool same_filesystem(const void *a, const void *b)
{
	return g_strcmp0(((const filesystem_def *)a)->tag, ((const filesystem_def *)b)->tag) == 0;
}

static bool same_iface(const void *a, const void *b)
{
	const iface_def *x = a, *y = b;

	return memcmp(x->mac, y->mac, sizeof(x->mac)) == 0;
}

static bool same_channel(const void *a, const void *b)
{
	return g_strcmp0(((const chardev_def *)a)->name, ((const chardev_def *)b)->name) == 0;
}

static bool same_rng(const void *a, const void *b)
{
	return g_strcmp0(((const rng_def *)a)->source, ((const rng_def *)b)->source) == 0;
}

/* What a client leaves out although it does not want to have it changed. */
static void keep_text(char **is, const char *was)
{
	if (!*is)
		*is = g_strdup(was);
}

static void keep_disk(void *is, const void *was)
{
	keep_text(&((disk_def *)is)->alias, ((const disk_def *)was)->alias);
}

static void keep_filesystem(void *is, const void *was)
{
	keep_text(&((filesystem_def *)is)->alias, ((const filesystem_def *)was)->alias);
}

static void keep_iface(void *is, const void *was)
{
	iface_def *i = is;
	const iface_def *w = was;

	keep_text(&i->alias, w->alias);
	if (i->type == w->type)
		keep_text(&i->target, w->target);
}

static void keep_channel(void *is, const void *was)
{
	keep_text(&((chardev_def *)is)->alias, ((const chardev_def *)was)->alias);
}

static void keep_rng(void *is, const void *was)
{
	keep_text(&((rng_def *)is)->alias, ((const rng_def *)was)->alias);
}

static const struct class {
	const char *element;
	size_t array, alias;		/* offsets, in the definition and in a device */
	void *(*parse)(const xmlNode *node, GError **error);
	bool (*same)(const void *a, const void *b);
	void (*keep)(void *is, const void *was);
	void (*free)(void *device);
} classes[] = {
	{ "disk", offsetof(domain_def, disks), offsetof(disk_def, alias), parse_disk, same_disk,
	  keep_disk, disk_def_free },
	{ "filesystem", offsetof(domain_def, filesystems), offsetof(filesystem_def, alias),
	  parse_filesystem, same_filesystem, keep_filesystem, filesystem_def_free },
	{ "interface", offsetof(domain_def, ifaces), offsetof(iface_def, alias), parse_iface,
	  same_iface, keep_iface, iface_def_free },
	{ "channel", offsetof(domain_def, channels), offsetof(chardev_def, alias), parse_channel,
	  same_channel, keep_channel, chardev_def_free },
	{ "rng", offsetof(domain_def, rngs), offsetof(rng_def, alias), parse_rng, same_rng,
	  keep_rng, rng_def_free },
};

static GPtrArray *array_of(domain_def *def, const struct class *class)
{
	return *(GPtrArray **)(void *)((char *)def + class->array);
}

static const char *alias_of(const void *device, const struct class *class)
{
	return *(char *const *)(const void *)((const char *)device + class->alias);
}

/* ---- one device ---- */

static const struct class *read_device(const char *xml, void **ret, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "device", error);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	if (!root)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
		if (strcmp((const char *)root->name, classes[i].element) == 0) {
			*ret = classes[i].parse(root, error);
			return *ret ? &classes[i] : NULL;
		}
	error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
		  "Operation not supported: a <%s> is not added, changed or removed by itself: "
		  "use 'edit'",
		  root->name);
	return NULL;
}

static int device_find(const GPtrArray *array, const struct class *class, const void *device)
{
	const char *alias = alias_of(device, class);

	for (unsigned i = 0; i < array->len; i++)
		if (alias ? g_strcmp0(alias_of(array->pdata[i], class), alias) == 0 :
			    class->same(array->pdata[i], device))
			return (int)i;
	return -1;
}

static bool device_missing(const domain_def *def, const char *element, GError **error)
{
	return error_set(error, VMM_ERR_DEVICE_MISSING,
			 "device not found: domain '%s' has no such <%s>", def->name, element);
}

bool domain_def_add_device(domain_def *def, const char *xml, GError **error)
{
	void *device = NULL;
	const struct class *class = read_device(xml, &device, error);
	GPtrArray *array;

	if (!class)
		return false;
	array = array_of(def, class);
	if (array->len >= DOMAIN_DEVICES_MAX) {
		class->free(device);
		return error_set(error, VMM_ERR_CONFIG_UNSUPPORTED,
				 "unsupported configuration: more than %u of <%s>",
				 DOMAIN_DEVICES_MAX, class->element);
	}
	g_ptr_array_add(array, device);
	return domain_def_fill(def, error);
}

bool domain_def_remove_device(domain_def *def, const char *xml, GError **error)
{
	void *device = NULL;
	const struct class *class = read_device(xml, &device, error);
	int at;

	if (!class)
		return false;
	at = device_find(array_of(def, class), class, device);
	class->free(device);
	if (at < 0)
		return device_missing(def, class->element, error);
	g_ptr_array_remove_index(array_of(def, class), (unsigned)at);
	return true;
}

bool domain_def_remove_alias(domain_def *def, const char *alias, GError **error)
{
	for (unsigned c = 0; c < ARRAY_SIZE(classes); c++) {
		GPtrArray *array = array_of(def, &classes[c]);

		for (unsigned i = 0; i < array->len; i++)
			if (g_strcmp0(alias_of(array->pdata[i], &classes[c]), alias) == 0) {
				g_ptr_array_remove_index(array, i);
				return true;
			}
	}
	return error_set(error, VMM_ERR_DEVICE_MISSING,
			 "device not found: domain '%s' has no device with alias '%s' that can be "
			 "removed by itself", def->name, alias);
}

bool domain_def_change_device(domain_def *def, const char *xml, GError **error)
{
	void *device = NULL;
	const struct class *class = read_device(xml, &device, error);
	GPtrArray *array;
	int at;

	if (!class)
		return false;
	array = array_of(def, class);
	at = device_find(array, class, device);
	if (at < 0) {
		class->free(device);
		return device_missing(def, class->element, error);
	}
	class->keep(device, array->pdata[at]);
	class->free(array->pdata[at]);
	array->pdata[at] = device;
	return domain_def_fill(def, error);
}

char *domain_device_element(const char *xml, GError **error)
{
	g_autoptr(xmlDoc) doc = xml_read(xml, DOMAIN_XML_MAX_BYTES, "device", error);
	const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;

	return root ? g_strdup((const char *)root->name) : NULL;
}
