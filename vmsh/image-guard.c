/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who else needs an image that is about to be written: the daemon's word. */
#include "config.h"
#include "vmsh/image-guard.h"

#include <stdlib.h>

#include "libvmm/block/image.h"
#include "libvmm/util/error.h"
#include "libvmm/vmm.h"
#include "vmsh/rc.h"
#include "vmsh/shell.h"

#define NAMED_MAX 4	/* the rest is counted */

static bool is_local(const char *uri)
{
	g_autofree char *host = NULL;

	return !uri || (g_uri_split(uri, G_URI_FLAGS_NONE, NULL, NULL, &host, NULL, NULL, NULL,
				    NULL, NULL) && (!host || !*host));
}

/* NULL: there is nobody to ask. */
static GPtrArray *known_images(struct shell *sh, const struct command_args *args)
{
	vmm_connect *conn;

	if (args_given(args, "force") || !is_local(rc_uri(sh, sh->uri)))
		return NULL;
	conn = shell_connect(sh, NULL);
	return conn ? vmm_image_tree(conn, NULL) : NULL;
}

static bool contains(const GPtrArray *paths, const char *path)
{
	for (unsigned i = 0; i < paths->len; i++)
		if (g_strcmp0(g_ptr_array_index(paths, i), path) == 0)
			return true;
	return false;
}

static void name_some(GString *s, unsigned n, const char *what)
{
	if (n < NAMED_MAX)
		g_string_append_printf(s, "%s%s", n ? ", " : "", what);
	else if (n == NAMED_MAX)
		g_string_append(s, " and others");
}

static bool refuse(const char *path, const char *why, const char *who, GError **error)
{
	return error_set(error, VMM_ERR_OPERATION_INVALID,
			 "'%s' is left as it is, for %s: %s. vmsh image-tree shows who stands on "
			 "what; --force does it all the same", path, why, who);
}

/* Who stands on one of `paths`, the last first, and is none of them. */
static bool nobody_stands(const GPtrArray *images, const GPtrArray *paths, GError **error)
{
	for (unsigned i = paths->len; i-- > 0;) {
		const char *path = g_ptr_array_index(paths, i);
		g_autoptr(GString) who = g_string_new(NULL);
		unsigned n = 0;

		for (unsigned j = 0; j < images->len; j++) {
			const struct vmm_image *image = g_ptr_array_index(images, j);

			if (g_strcmp0(image->parent, path) == 0 && !contains(paths, image->path))
				name_some(who, n++, image->path);
		}
		if (n)
			return refuse(path, "what other images show would change with it",
				      who->str, error);
	}
	return true;
}

static void add_real(GPtrArray *paths, const char *path)
{
	char *real = realpath(path, NULL);

	if (real)
		g_ptr_array_add(paths, g_strdup(real));
	free(real);
}

static bool guard_paths(struct shell *sh, const struct command_args *args, const GPtrArray *paths,
			GError **error)
{
	g_autoptr(GPtrArray) images = paths->len ? known_images(sh, args) : NULL;

	return !images || nobody_stands(images, paths, error);
}

bool image_guard_change(struct shell *sh, struct command_args *args, const char *path,
			GError **error)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);

	add_real(paths, path);
	return guard_paths(sh, args, paths, error);
}

bool image_guard_commit(struct shell *sh, struct command_args *args, const char *path,
			const char *format, const char *base, GError **error)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(image_info) info = image_info_new(path, format, true, NULL);
	g_autofree char *last = base ? realpath(base, NULL) : NULL;

	add_real(paths, path);
	for (const struct image_info *i = info; i && i->full_backing_filename; i = i->backing) {
		add_real(paths, i->full_backing_filename);
		if (!base || (last && contains(paths, last)))
			break;
	}
	return guard_paths(sh, args, paths, error);
}

bool image_guard_replace(struct shell *sh, struct command_args *args, const char *path,
			 GError **error)
{
	g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) images = NULL;

	add_real(paths, path);
	images = paths->len ? known_images(sh, args) : NULL;
	if (!images)
		return true;
	for (unsigned i = 0; i < images->len; i++) {
		const struct vmm_image *image = g_ptr_array_index(images, i);
		g_autoptr(GString) who = g_string_new(NULL);

		if (!contains(paths, image->path))
			continue;
		for (unsigned j = 0; image->users[j]; j++)
			name_some(who, j, image->users[j]);
		if (who->len)
			return refuse(paths->pdata[0], "it is there, and domains need it",
				      who->str, error);
	}
	return nobody_stands(images, paths, error);
}
