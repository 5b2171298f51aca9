/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which format a disk image has when nobody says. */
#include "config.h"
#include "vmsh/format.h"

#include "libvmm/block/image.h"
#include "libvmm/vmm.h"

static const char *by_suffix(const char *path)
{
	g_autofree char *lower = g_ascii_strdown(path, -1);

	if (g_str_has_suffix(lower, ".qcow2"))
		return "qcow2";
	return g_str_has_suffix(lower, ".raw") || g_str_has_suffix(lower, ".img") ? "raw" : NULL;
}

const char *format_of_name(const char *path)
{
	const char *format = by_suffix(path);

	return format ? format : "raw";
}

const char *format_of_disk(const char *path, const char *flag, GError **error)
{
	const char *named = by_suffix(path);
	const char *found = image_probe(path, error);

	if (!found)
		return NULL;
	if (named && g_str_equal(named, found))
		return named;
	if (named)
		g_set_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG,
			    "'%s' is %s by its name and %s by its first bytes: say which with %s",
			    path, named, found, flag);
	else
		g_set_error(error, VMM_ERROR, VMM_ERR_INVALID_ARG,
			    "the format of '%s' is not clear from its name: say it with %s", path,
			    flag);
	return NULL;
}
