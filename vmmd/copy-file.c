/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One definition as a file. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/domain/domain.h"
#include "libvmm/domain/storage.h"
#include "libvmm/util/error.h"
#include "vmmd/copies.h"

#define SUFFIX ".xml"
#define NAME_BYTES_MAX 200	/* the rest of a file's 255 is for the uuid */
#define HEAD_FORMAT "<!-- vmmd 1: %7s autostart=%u active=%u created=%" G_GINT64_FORMAT " -->"

char *copy_file_name(const struct copy *copy)
{
	char uuid[UUID_TEXT_BYTES];
	g_autofree char *name = g_strndup(copy->name, NAME_BYTES_MAX);
	const char *end;

	uuid_to_text(copy->uuid, uuid);
	if (!g_utf8_validate(name, -1, &end))
		name[end - name] = '\0';
	return g_strdup_printf("%s-%s" SUFFIX, name, uuid);
}

bool copy_file_uuid(const char *file, uint8_t ret[UUID_BYTES])
{
	const size_t tail = UUID_TEXT_BYTES - 1 + strlen(SUFFIX), length = strlen(file);
	g_autofree char *text = NULL;

	if (length <= tail || !g_str_has_suffix(file, SUFFIX) || file[0] == '.' ||
	    file[length - tail - 1] != '-')
		return false;
	text = g_strndup(file + length - tail, UUID_TEXT_BYTES - 1);
	return uuid_from_text(text, ret);
}

char *copy_format(const struct copy *copy)
{
	return g_strdup_printf("<!-- vmmd 1: %s autostart=%u active=%u created=%" G_GINT64_FORMAT
			       " -->\n%s", copy->pool ? "pool" : "domain", copy->autostart,
			       copy->active, copy->created_s, copy->xml);
}

static bool head_parse(const char *text, struct copy *ret)
{
	unsigned autostart, active;
	char kind[8];

	if (sscanf(text, HEAD_FORMAT, kind, &autostart, &active, &ret->created_s) != 4)
		return false;
	ret->pool = !strcmp(kind, "pool");
	ret->autostart = autostart;
	ret->active = active;
	return ret->pool || !strcmp(kind, "domain");
}

static bool domain_identity(struct copy *copy, GError **error)
{
	g_autoptr(domain_def) def = domain_def_parse(copy->xml, 0, error);

	if (!def)
		return false;
	copy->name = g_strdup(def->name);
	memcpy(copy->uuid, def->uuid, UUID_BYTES);
	return def->uuid_given || error_set(error, VMM_ERR_XML, "it has no <uuid>");
}

static bool pool_identity(struct copy *copy, GError **error)
{
	g_autoptr(pool_def) def = pool_def_parse(copy->xml, 0, error);

	if (!def)
		return false;
	copy->name = g_strdup(def->name);
	memcpy(copy->uuid, def->uuid, UUID_BYTES);
	return true;
}

bool copy_parse(const char *text, struct copy *ret, GError **error)
{
	const char *xml = strchr(text, '\n');

	*ret = (struct copy){ 0 };
	if (!xml || !head_parse(text, ret))
		return error_set(error, VMM_ERR_XML, "its first line is none of vmmd's");
	ret->xml = g_strdup(xml + 1);
	return ret->pool ? pool_identity(ret, error) : domain_identity(ret, error);
}

void copy_clear(struct copy *copy)
{
	g_clear_pointer(&copy->name, g_free);
	g_clear_pointer(&copy->xml, g_free);
}
