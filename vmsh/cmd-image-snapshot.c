/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image snapshot": snapshots inside an image file, with qemu-img's letters. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/block/image.h"
#include "vmsh/image-common.h"
#include "vmsh/image-guard.h"
#include "vmsh/image-json.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"

static bool list_snapshots(struct command_args *args, GError **error)
{
	g_autoptr(image_info) info =
		image_info_new(args_text(args, "file"), args_text(args, "format"), false, error);
	g_autofree char *text = NULL;

	if (!info)
		return false;
	text = args_json(args) ? image_snapshots_json(info) : image_snapshots_text(info);
	fputs(text, stdout);
	return true;
}

static bool cmd_image_snapshot(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct {
		const char *option;
		bool (*act)(const char *path, const char *format, const char *name, GError **error);
		const char *said;
	} acts[] = {
		{ "create", image_snapshot_create, "Snapshot created." },
		{ "apply", image_snapshot_apply, "Snapshot applied." },
		{ "delete", image_snapshot_delete, "Snapshot deleted." },
	};
	unsigned given = args_given(args, "list"), act = 0;
	const char *path = args_text(args, "file"), *format;

	for (unsigned i = 0; i < G_N_ELEMENTS(acts); i++)
		if (args_given(args, acts[i].option)) {
			act = i;
			given++;
		}
	if (given > 1)
		return usage_error(error, "image snapshot: one of -l, -c, -a and -d at a time");
	if (!given || args_given(args, "list"))
		return list_snapshots(args, error);
	format = image_sure_format(args, path, error);
	if (!format || !image_guard_change(sh, args, path, error) ||
	    !acts[act].act(path, format, args_text(args, acts[act].option), error))
		return false;
	if (!args_given(args, "quiet"))
		shell_say(sh, "%s", acts[act].said);
	return true;
}

#define OPTION_SNAPSHOT(option, short, text) { \
	.name = option, .letter = short, .kind = OPT_STRING, .value = "SNAPSHOT", .help = text, \
}

static const struct option_def options_snapshot[] = {
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "a qcow2 image" },
	{ .name = "format", .letter = 'f', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "raw qcow2",
	  .help = "the image's format; needed for changes unless its name and its "
		  "first bytes agree" },
	{ .name = "list", .letter = 'l', .kind = OPT_FLAG,
	  .help = "show those that it has: the default" },
	OPTION_SNAPSHOT("create", 'c', "make one of this name"),
	OPTION_SNAPSHOT("apply", 'a', "make the disk what it was; what it has now is lost"),
	OPTION_SNAPSHOT("delete", 'd', "delete it; -a and -d take a name or an id"),
	OPTION_FORCE,
	{ .name = "quiet", .letter = 'q', .kind = OPT_FLAG, .help = "print nothing" },
	{ .name = "force-share", .letter = 'U', .kind = OPT_FLAG,
	  .help = "list though a machine uses it" },
	{ 0 },
};

const struct command commands_image_snapshot[] = {
	{ "image snapshot", "Image files (no daemon)",
	  "list, make, apply or delete snapshots inside an image", options_snapshot,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_image_snapshot,
	  "After a crash at any instant the image is as it was before, or as it was to be." },
	{ 0 },
};
