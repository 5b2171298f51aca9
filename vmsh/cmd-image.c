/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image": work on image files, without a daemon.  Letters are qemu-img's. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/format.h"
#include "vmsh/image-json.h"
#include "vmsh/image-options.h"
#include "vmsh/options.h"
#include "vmsh/progress.h"
#include "vmsh/shell.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"

static struct progress progress_of(struct shell *sh, struct command_args *args)
{
	return progress_new(sh, args_given(args, "progress"), args_given(args, "quiet"));
}

static void say(struct shell *sh, struct command_args *args, const char *text)
{
	if (!args_given(args, "quiet"))
		shell_say(sh, "%s", text);
}

/* ---- create ---- */

/* What a user writes after -b, seen from here: relative names count from the overlay's folder. */
static char *backing_from_here(const char *overlay, const char *backing)
{
	g_autofree char *folder = g_path_get_dirname(overlay);

	return g_path_is_absolute(backing) ? g_strdup(backing) :
					     g_build_filename(folder, backing, NULL);
}

/* False only when a backing file is given and its format cannot be known. */
static bool backing_options(struct command_args *args, struct image_create_opts *o, GError **error)
{
	g_autofree char *here = NULL;

	if (args_given(args, "backing"))
		o->backing_file = args_text(args, "backing");
	if (args_given(args, "backing-format"))
		o->backing_format = args_text(args, "backing-format");
	if (!o->backing_file || o->backing_format)
		return true;
	here = backing_from_here(o->path, o->backing_file);
	o->backing_format = format_of_disk(here, "-F FORMAT", error);
	return o->backing_format != NULL;
}

static bool cmd_create(struct shell *sh, struct command_args *args, GError **error)
{
	struct image_create_opts o = {
		.path = args_text(args, "file"),
		.bytes = args_size(args, "size", 1, 0),
		.backing_unchecked = args_given(args, "unsafe"),
	};
	g_auto(GStrv) extra = NULL;
	g_autofree char *text = NULL;

	extra = image_options_parse(args_words(args, "options"), &o, error);
	if (!extra || !backing_options(args, &o, error))
		return false;
	o.format = args_text(args, "format");
	if (!o.format)
		o.format = o.backing_file ? "qcow2" : format_of_name(o.path);
	if (!o.bytes && !o.backing_file)
		return usage_error(
			error, "image create: how large is '%s' to be? Add a SIZE as 10G", o.path);
	if (!image_create(&o, error))
		return false;
	text = g_strdup_printf("Created '%s' (%s)", o.path, o.format);
	say(sh, args, text);
	return true;
}

/* ---- info, check, map ---- */

static bool cmd_image_info(struct shell *sh, struct command_args *args, GError **error)
{
	bool chain = args_given(args, "backing-chain");
	g_autoptr(image_info) info = image_info_new(args_text(args, "file"),
						    args_text(args, "format"), chain, error);
	g_autofree char *text = NULL;

	if (!info)
		return false;
	text = args_json(args) ? image_info_json(info, chain) : image_info_text(info);
	fputs(text, stdout);
	return true;
}

static void on_finding(void *opaque, const char *line)
{
	g_autofree char *harmless = text_harmless(line);

	fprintf(stderr, "%s\n", harmless);
}

/* qemu-img's: scripts tell harmless leaks from damage. */
enum { CHECK_FAILED = 1, CHECK_CORRUPT = 2, CHECK_LEAKS = 3 };

static bool cmd_check(struct shell *sh, struct command_args *args, GError **error)
{
	const char *path = args_text(args, "file"), *repair = args_text(args, "repair");
	const char *format = args_text(args, "format");
	bool quiet = args_given(args, "quiet");
	enum image_repair how = !repair ? IMAGE_REPAIR_NONE :
				g_str_equal(repair, "all") ? IMAGE_REPAIR_ALL : IMAGE_REPAIR_LEAKS;
	struct image_check c = { 0 };
	g_autofree char *text = NULL;

	if (!format)
		format = image_probe(path, error);
	if (!format || !image_check(path, format, how,
				    quiet || args_json(args) ? NULL : on_finding, NULL, &c, error))
		return false;
	text = args_json(args) ? image_check_json(&c, path, format) : image_check_text(&c);
	if (!quiet)
		fputs(text, stdout);
	if (c.check_errors)
		sh->status = CHECK_FAILED;
	else if (c.corruptions)
		sh->status = CHECK_CORRUPT;
	else if (c.leaks)
		sh->status = CHECK_LEAKS;
	return sh->status == STATUS_OK;
}

struct map {
	struct shell *sh;
	struct json *json;	/* NULL: text */
};

static bool on_extent(void *opaque, const struct image_extent *extent)
{
	struct map *m = opaque;
	g_autofree char *text = NULL;

	if (m->json)
		image_extent_json(m->json, extent);
	else if ((text = image_extent_text(extent)))
		fputs(text, stdout);
	return !shell_interrupted(m->sh);
}

static bool cmd_map(struct shell *sh, struct command_args *args, GError **error)
{
	struct map m = { .sh = sh, .json = args_json(args) ? json_new() : NULL };
	g_autofree char *text = NULL;
	bool ok;

	if (m.json)
		json_begin_array(m.json, NULL);
	else
		printf("%-16s%-16s%-16s%s\n", "Offset", "Length", "Mapped to", "File");
	ok = image_map(args_text(args, "file"), args_text(args, "format"), on_extent, &m, error);
	if (m.json) {
		json_end(m.json);
		text = json_finish(m.json);
		if (ok)
			fputs(text, stdout);
	}
	return ok;
}

/* ---- convert, compare ---- */

static bool cmd_convert(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = progress_of(sh, args);
	struct image_convert_opts o = {
		.source = args_text(args, "source"),
		.source_format = args_text(args, "format"),
		.target = { .path = args_text(args, "target") },
		.share_source = args_given(args, "force-share"),
		.compress = args_given(args, "compress"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	g_auto(GStrv) extra = image_options_parse(args_words(args, "options"), &o.target, error);

	if (!extra || !backing_options(args, &o.target, error))
		return false;
	o.target.format = args_text(args, "target-format");
	if (!o.target.format)
		o.target.format = o.target.backing_file ? "qcow2" : format_of_name(o.target.path);
	return progress_end(&p, image_convert(&o, error));
}

#define COMPARE_FAILED 2

static bool cmd_compare(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = progress_of(sh, args);
	const struct image_progress progress = { .fn = progress_tell, .opaque = &p };
	bool strict = args_given(args, "strict");
	g_autofree char *text = NULL;
	struct image_compare c = { 0 };

	if (!progress_end(&p, image_compare(args_text(args, "first"), args_text(args, "format"),
					    args_text(args, "second"),
					    args_text(args, "second-format"), strict, &progress, &c,
					    error))) {
		sh->status = COMPARE_FAILED;
		return false;
	}
	sh->status = c.equal ? STATUS_OK : STATUS_FAILED;
	if (args_json(args)) {
		text = image_compare_json(&c);
		fputs(text, stdout);
		return c.equal;
	}
	if (c.sizes_differ && !strict)
		say(sh, args, "Warning: the images have different sizes.");
	if (!c.equal && strict && c.sizes_differ)
		text = g_strdup("The images have different sizes.");
	else if (!c.equal)
		text = g_strdup_printf("Content mismatch at offset %" G_GUINT64_FORMAT "!",
				       c.offset);
	say(sh, args, c.equal ? "Images are identical." : text);
	return c.equal;
}

/* ---- resize, rebase, commit ---- */

/* "10G", "+1G", "-512M" */
static bool new_size(const char *text, const char *path, const char *format, uint64_t *ret,
		     GError **error)
{
	g_autoptr(image_info) info = NULL;
	uint64_t n;

	if (!size_parse(text + (*text == '+' || *text == '-'), 1, &n))
		return usage_error(error, "image resize: '%s' is no size: 10G, +1G or -1G", text);
	*ret = n;
	if (*text != '+' && *text != '-')
		return true;
	info = image_info_new(path, format, false, error);
	if (!info)
		return false;
	if (*text == '-' && n >= info->virtual_bytes)
		return usage_error(error, "image resize: nothing would be left of '%s'", path);
	*ret = *text == '+' ? info->virtual_bytes + n : info->virtual_bytes - n;
	return true;
}

static bool cmd_resize(struct shell *sh, struct command_args *args, GError **error)
{
	struct image_resize_opts o = {
		.path = args_text(args, "file"),
		.format = args_text(args, "format"),
		.shrink = args_given(args, "shrink"),
	};
	const char *prealloc = args_text(args, "preallocation");

	if (prealloc && !image_prealloc_from_name(prealloc, &o.preallocation, error))
		return false;
	if (!new_size(args_text(args, "size"), o.path, o.format, &o.bytes, error) ||
	    !image_resize(&o, error))
		return false;
	say(sh, args, "Image resized.");
	return true;
}

static bool cmd_rebase(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = progress_of(sh, args);
	struct image_rebase_opts o = {
		.path = args_text(args, "file"),
		.format = args_text(args, "format"),
		.backing_file = args_text(args, "backing"),
		.backing_format = args_text(args, "backing-format"),
		.unsafe = args_given(args, "unsafe"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	g_autofree char *here = NULL;

	if (o.backing_file && *o.backing_file && !o.backing_format) {
		here = backing_from_here(o.path, o.backing_file);
		o.backing_format = format_of_disk(here, "-F FORMAT", error);
		if (!o.backing_format)
			return false;
	}
	return progress_end(&p, image_rebase(&o, error));
}

static bool cmd_commit(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = progress_of(sh, args);
	struct image_commit_opts o = {
		.path = args_text(args, "file"),
		.format = args_text(args, "format"),
		.base = args_text(args, "base"),
		.keep = args_given(args, "keep"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};

	if (!progress_end(&p, image_commit(&o, error)))
		return false;
	say(sh, args, "Image committed.");
	return true;
}

/* ---- tables ---- */

#define FORMATS "raw qcow2"
#define OPTION_FORMAT(option, short, text) { \
	.name = option, .letter = short, .kind = OPT_STRING, .complete = COMPLETE_WORDS, \
	.words = FORMATS, .help = text, \
}
#define OPTION_FILE(option, label, text) { \
	.name = option, .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED, \
	.complete = COMPLETE_FILE, .value = label, .help = text, \
}
#define OPTION_BACKING(text) { \
	.name = "backing", .letter = 'b', .kind = OPT_STRING, .complete = COMPLETE_FILE, \
	.value = "FILE", .help = text, \
}
#define OPTION_LETTER(option, short, text) { \
	.name = option, .letter = short, .kind = OPT_FLAG, .help = text, \
}
#define OPTION_O { \
	.name = "options", .letter = 'o', .kind = OPT_STRING, .flags = OPT_MANY, \
	.value = "NAME=VALUE,...", .help = IMAGE_OPTIONS_HELP, \
}
#define OPTION_QUIET OPTION_LETTER("quiet", 'q', "print nothing")
#define OPTION_PROGRESS \
	OPTION_LETTER("progress", 'p', "show how far it is, though not on a terminal")
#define OPTION_SHARE OPTION_LETTER("force-share", 'U', "read it though a machine uses it")
#define OPTION_THIS_FORMAT \
	OPTION_FORMAT("format", 'f', "the image's format; found out if not given")

static const struct option_def options_create[] = {
	OPTION_FILE("file", "FILE", "the new image"),
	{ .name = "size",
	  .kind = OPT_SIZE,
	  .flags = OPT_POSITION,
	  .value = "SIZE",
	  .help = "10G; as large as the backing file if not given" },
	OPTION_FORMAT("format", 'f',
		      "its format; by the name's suffix if not given, qcow2 with -b"),
	OPTION_BACKING(
		"what it is an overlay of; a relative name counts from the new image's folder"),
	OPTION_FORMAT("backing-format", 'F', "the backing file's format"),
	OPTION_LETTER("unsafe", 'u', "do not look at the backing file"),
	OPTION_O,
	OPTION_QUIET,
	{ 0 },
};
static const struct option_def options_info[] = {
	OPTION_FILE("file", "FILE", "the image"), OPTION_THIS_FORMAT,
	OPTION_FLAG("backing-chain", "its backing files as well"), OPTION_SHARE, { 0 },
};
static const struct option_def options_check[] = {
	OPTION_FILE("file", "FILE", "the image"), OPTION_THIS_FORMAT, OPTION_QUIET,
	{ .name = "repair", .letter = 'r', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "leaks all", .help = "free leaked clusters, or repair all that can be" },
	{ 0 },
};
static const struct option_def options_map[] = {
	OPTION_FILE("file", "FILE", "the image"), OPTION_THIS_FORMAT, OPTION_SHARE,
	{ 0 },
};
static const struct option_def options_convert[] = {
	OPTION_FILE("source", "SOURCE", "the image to read"),
	OPTION_FILE("target", "TARGET", "the image to make"),
	OPTION_FORMAT("format", 'f', "the source's format; found out if not given"),
	OPTION_FORMAT("target-format", 'O', "the target's format; by its suffix if not given"),
	OPTION_LETTER("compress", 'c', "compressed clusters"),
	{ .name = "backing", .letter = 'B', .kind = OPT_STRING, .complete = COMPLETE_FILE,
	  .value = "FILE", .help = "make an overlay of this, with what differs from it" },
	OPTION_FORMAT("backing-format", 'F', "the backing file's format"),
	OPTION_O, OPTION_PROGRESS, OPTION_QUIET, OPTION_SHARE, { 0 },
};
static const struct option_def options_compare[] = {
	OPTION_FILE("first", "FILE", "an image"), OPTION_FILE("second", "FILE", "another"),
	OPTION_FORMAT("format", 'f', "the first one's format; found out if not given"),
	OPTION_FORMAT("second-format", 'F', "the second one's format; found out if not given"),
	OPTION_LETTER("strict", 's', "different sizes are different images"),
	OPTION_PROGRESS, OPTION_QUIET, { 0 },
};
static const struct option_def options_resize[] = {
	OPTION_FILE("file", "FILE", "the image"),
	{ .name = "size", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .value = "[+|-]SIZE", .help = "its new size, or how much more or less" },
	OPTION_THIS_FORMAT,
	OPTION_FLAG("shrink", "let it become smaller: what is behind the end is lost"),
	{ .name = "preallocation", .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "off metadata falloc full", .help = "of what is added" },
	OPTION_QUIET, { 0 },
};
static const struct option_def options_rebase[] = {
	OPTION_FILE("file", "FILE", "the overlay"), OPTION_THIS_FORMAT,
	OPTION_BACKING("its new backing file; \"\" or nothing: none any more"),
	OPTION_FORMAT("backing-format", 'F', "the new backing file's format"),
	OPTION_LETTER("unsafe", 'u', "only change the name: its contents must be the same"),
	OPTION_PROGRESS, OPTION_QUIET, { 0 },
};
static const struct option_def options_commit[] = {
	OPTION_FILE("file", "FILE", "the overlay"), OPTION_THIS_FORMAT,
	{ .name = "base", .letter = 'b', .kind = OPT_STRING, .complete = COMPLETE_FILE,
	  .value = "FILE",
	  .help = "commit into this one of its backing files; those between are of no use then" },
	OPTION_LETTER("keep", 'd', "do not empty the overlay afterwards; -b never does"),
	OPTION_PROGRESS, OPTION_QUIET, { 0 },
};

#define GROUP "Image files (no daemon)"

const struct command commands_image[] = {
	{ "image create", GROUP, "make an image, or an overlay of one", options_create,
	  COMMAND_OFFLINE, cmd_create },
	{ "image info", GROUP, "show what an image is", options_info,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_image_info },
	{ "image check", GROUP, "look for damage in a qcow2 image", options_check,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_check,
	  "Exit status: 0 in order, 1 could not be checked, 2 damaged, 3 leaked clusters only." },
	{ "image map", GROUP, "show where an image's bytes are", options_map,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_map },
	{ "image convert", GROUP, "copy an image into another format", options_convert,
	  COMMAND_OFFLINE, cmd_convert },
	{ "image compare", GROUP, "compare what guests see of two images", options_compare,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_compare,
	  "Exit status: 0 equal, 1 different, 2 could not be compared." },
	{ "image resize", GROUP, "change an image's size", options_resize, COMMAND_OFFLINE,
	  cmd_resize },
	{ "image rebase", GROUP, "give an overlay another backing file", options_rebase,
	  COMMAND_OFFLINE, cmd_rebase },
	{ "image commit", GROUP, "put an overlay's contents into its backing file", options_commit,
	  COMMAND_OFFLINE, cmd_commit },
	{ 0 },
};
