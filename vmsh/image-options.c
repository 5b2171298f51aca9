/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "-o NAME=VALUE,...": how a new image is laid out. */
#include "config.h"
#include "vmsh/image-options.h"

#include <string.h>

#include "vmsh/size.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static bool set_bool(const char *value, bool *ret)
{
	*ret = !value || g_str_equal(value, "on");
	return *ret || g_str_equal(value, "off");
}

static bool set_u32(const char *value, uint32_t *ret)
{
	uint64_t n;

	if (!value || !size_parse(value, 1, &n) || n > G_MAXUINT32)
		return false;
	*ret = n;
	return true;
}

static bool set_text(const char *value, const char **ret)
{
	*ret = value;
	return value && *value;
}

/* 1: set, 0: the value is wrong, -1: no such option. */
static int set_option(struct image_create_opts *o, const char *name, const char *value)
{
	if (g_str_equal(name, "cluster_size"))
		return set_u32(value, &o->cluster_bytes);
	if (g_str_equal(name, "compat")) {
		if (g_strcmp0(value, "v2") == 0 || g_strcmp0(value, "v3") == 0)
			value = value[1] == '2' ? "0.10" : "1.1";
		return set_text(value, &o->compat);
	}
	if (g_str_equal(name, "lazy_refcounts"))
		return set_bool(value, &o->lazy_refcounts);
	if (g_str_equal(name, "extended_l2"))
		return set_bool(value, &o->extended_l2);
	if (g_str_equal(name, "refcount_bits"))
		return set_u32(value, &o->refcount_bits);
	if (g_str_equal(name, "compression_type"))
		return set_text(value, &o->compression_type);
	if (g_str_equal(name, "preallocation"))
		return value && image_prealloc_from_name(value, &o->preallocation, NULL);
	if (g_str_equal(name, "size"))
		return value && size_parse(value, 1, &o->bytes);
	if (g_str_equal(name, "backing_file"))
		return set_text(value, &o->backing_file);
	if (g_str_equal(name, "backing_fmt"))
		return set_text(value, &o->backing_format);
	return -1;
}

char **image_options_parse(const GPtrArray *words, struct image_create_opts *o, GError **error)
{
	g_autoptr(GStrvBuilder) all = g_strv_builder_new();
	g_auto(GStrv) list = NULL;

	for (unsigned i = 0; i < words->len; i++) {
		g_auto(GStrv) parts = g_strsplit(((struct word *)words->pdata[i])->text, ",", 0);

		g_strv_builder_addv(all, (const char **)parts);
	}
	list = g_strv_builder_end(all);
	for (unsigned i = 0; list[i]; i++) {
		char *equals = strchr(list[i], '=');
		int r;

		if (equals)
			*equals = '\0';
		r = set_option(o, list[i], equals ? equals + 1 : NULL);
		if (r > 0)
			continue;
		if (r < 0)
			usage_error(error, "there is no image option '%s'; there are: %s", list[i],
				    IMAGE_OPTIONS_HELP);
		else
			usage_error(error, "image option %s cannot be '%s'", list[i],
				    equals ? equals + 1 : "");
		return NULL;
	}
	return g_steal_pointer(&list);
}
