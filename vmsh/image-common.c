/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image commands share. */
#include "config.h"
#include "vmsh/image-common.h"

#include "vmsh/format.h"
#include "vmsh/shell.h"

struct progress image_progress_of(struct shell *sh, struct command_args *args)
{
	return progress_new(sh, args_given(args, "progress"), args_given(args, "quiet"));
}

void image_say(struct shell *sh, struct command_args *args, const char *text)
{
	if (!args_given(args, "quiet"))
		shell_say(sh, "%s", text);
}

char *image_backing_from_here(const char *overlay, const char *backing)
{
	g_autofree char *folder = g_path_get_dirname(overlay);

	return g_path_is_absolute(backing) ? g_strdup(backing) :
					     g_build_filename(folder, backing, NULL);
}

bool image_backing_options(struct command_args *args, struct image_create_opts *o, GError **error)
{
	g_autofree char *here = NULL;

	if (args_given(args, "backing"))
		o->backing_file = args_text(args, "backing");
	if (args_given(args, "backing-format"))
		o->backing_format = args_text(args, "backing-format");
	if (!o->backing_file || o->backing_format)
		return true;
	here = image_backing_from_here(o->path, o->backing_file);
	o->backing_format = format_of_disk(here, "-F FORMAT", error);
	return o->backing_format != NULL;
}

const char *image_sure_format(struct command_args *args, const char *path, GError **error)
{
	const char *format = args_text(args, "format");

	return format ? format : format_of_disk(path, "-f FORMAT", error);
}
