/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image": work on image files, without a daemon.  Letters are qemu-img's. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libvmm/util/error.h"
#include "vmsh/format.h"
#include "vmsh/image-common.h"
#include "vmsh/image-guard.h"
#include "vmsh/image-json.h"
#include "vmsh/image-options.h"
#include "vmsh/shell.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"

/* ---- create ---- */

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
	if (!extra || !image_backing_options(args, &o, error))
		return false;
	o.format = args_text(args, "format");
	if (!o.format)
		o.format = o.backing_file ? "qcow2" : format_of_name(o.path);
	if (!o.bytes && !o.backing_file)
		return usage_error(
			error, "image create: how large is '%s' to be? Add a SIZE as 10G", o.path);
	if (!image_guard_replace(sh, args, o.path, error) || !image_create(&o, error))
		return false;
	text = g_strdup_printf("Created '%s' (%s)", o.path, o.format);
	image_say(sh, args, text);
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
	struct progress p = { .sh = sh };	/* only to end when ^C is typed */
	const struct image_check_opts o = {
		.repair = how,
		.report = quiet || args_json(args) ? NULL : on_finding,
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	struct image_check c = { 0 };
	g_autofree char *text = NULL;

	format = how != IMAGE_REPAIR_NONE ? image_sure_format(args, path, error) :
		 format ? format : image_probe(path, error);
	if (!format || (repair && !image_guard_change(sh, args, path, error)) ||
	    !image_check(path, format, &o, &c, error))
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

/* ---- compare ---- */

#define COMPARE_FAILED 2

static bool cmd_compare(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = image_progress_of(sh, args);
	const struct image_progress progress = { .fn = progress_tell, .opaque = &p };
	bool strict = args_given(args, "strict");
	g_autofree char *text = NULL;
	struct image_compare c = { 0 };

	if (!progress_end(
		    &p, image_compare(args_text(args, "first"), args_text(args, "format"),
				      args_text(args, "second"), args_text(args, "second-format"),
				      strict, &progress, &c, error))) {
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
		image_say(sh, args, "Warning: the images have different sizes.");
	if (!c.equal && strict && c.sizes_differ)
		text = g_strdup("The images have different sizes.");
	else if (!c.equal)
		text = g_strdup_printf("Content mismatch at offset %" G_GUINT64_FORMAT "!",
				       c.offset);
	image_say(sh, args, c.equal ? "Images are identical." : text);
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
		.format = image_sure_format(args, args_text(args, "file"), error),
		.shrink = args_given(args, "shrink"),
	};
	const char *prealloc = args_text(args, "preallocation");

	if (!o.format)
		return false;
	if (prealloc && !image_prealloc_from_name(prealloc, &o.preallocation, error))
		return false;
	if (!new_size(args_text(args, "size"), o.path, o.format, &o.bytes, error) ||
	    !image_guard_change(sh, args, o.path, error) || !image_resize(&o, error))
		return false;
	image_say(sh, args, "Image resized.");
	return true;
}

static bool cmd_rebase(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = image_progress_of(sh, args);
	struct image_rebase_opts o = {
		.path = args_text(args, "file"),
		.format = image_sure_format(args, args_text(args, "file"), error),
		.backing_file = args_text(args, "backing"),
		.backing_format = args_text(args, "backing-format"),
		.unsafe = args_given(args, "unsafe"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	g_autofree char *here = NULL;

	if (!o.format)
		return false;
	if (o.backing_file && *o.backing_file && !o.backing_format) {
		here = image_backing_from_here(o.path, o.backing_file);
		o.backing_format = format_of_disk(here, "-F FORMAT", error);
		if (!o.backing_format)
			return false;
	}
	return image_guard_change(sh, args, o.path, error) &&
	       progress_end(&p, image_rebase(&o, error));
}

static bool cmd_commit(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = image_progress_of(sh, args);
	struct image_commit_opts o = {
		.path = args_text(args, "file"),
		.format = image_sure_format(args, args_text(args, "file"), error),
		.base = args_text(args, "base"),
		.keep = args_given(args, "keep"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};

	if (!o.format ||
	    !image_guard_commit(sh, args, o.path, o.format, o.base, error) ||
	    !progress_end(&p, image_commit(&o, error)))
		return false;
	image_say(sh, args, "Image committed.");
	return true;
}

/* ---- tables ---- */

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
	OPTION_FORCE,
	OPTION_QUIET,
	{ 0 },
};
static const struct option_def options_info[] = {
	OPTION_FILE("file", "FILE", "the image"), OPTION_THIS_FORMAT,
	OPTION_FLAG("backing-chain", "its backing files as well"), OPTION_SHARE, { 0 },
};
static const struct option_def options_check[] = {
	OPTION_FILE("file", "FILE", "the image"),
	OPTION_FORMAT("format", 'f',
		      "the image's format; with -r needed unless its name and its first bytes "
		      "agree"),
	 OPTION_QUIET,
	{ .name = "repair", .letter = 'r', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "leaks all", .help = "free leaked clusters, or repair all that can be" },
	OPTION_FORCE, { 0 },
};
static const struct option_def options_map[] = {
	OPTION_FILE("file", "FILE", "the image"), OPTION_THIS_FORMAT, OPTION_SHARE,
	{ 0 },
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
	OPTION_SURE_FORMAT,
	OPTION_FLAG("shrink", "let it become smaller: what is behind the end is lost"),
	{ .name = "preallocation", .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "off metadata falloc full", .help = "of what is added" },
	OPTION_FORCE, OPTION_QUIET, { 0 },
};
static const struct option_def options_rebase[] = {
	OPTION_FILE("file", "FILE", "the overlay"), OPTION_SURE_FORMAT,
	OPTION_BACKING("its new backing file; \"\" or nothing: none any more"),
	OPTION_FORMAT("backing-format", 'F', "the new backing file's format"),
	OPTION_LETTER("unsafe", 'u', "only change the name: its contents must be the same"),
	OPTION_FORCE, OPTION_PROGRESS, OPTION_QUIET, { 0 },
};
static const struct option_def options_commit[] = {
	OPTION_FILE("file", "FILE", "the overlay"), OPTION_SURE_FORMAT,
	{ .name = "base", .letter = 'b', .kind = OPT_STRING, .complete = COMPLETE_FILE,
	  .value = "FILE",
	  .help = "commit into this one of its backing files; those between are of no use then" },
	OPTION_LETTER("keep", 'd', "do not empty the overlay afterwards; -b never does"),
	OPTION_FORCE, OPTION_PROGRESS, OPTION_QUIET, { 0 },
};

const struct command commands_image[] = {
	{ "image create", IMAGE_GROUP, "make an image, or an overlay of one", options_create,
	  COMMAND_OFFLINE, cmd_create },
	{ "image info", IMAGE_GROUP, "show what an image is", options_info,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_image_info },
	{ "image check", IMAGE_GROUP, "look for damage in a qcow2 image", options_check,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_check,
	  "Exit status: 0 in order, 1 could not be checked, 2 damaged, 3 leaked clusters only." },
	{ "image map", IMAGE_GROUP, "show where an image's bytes are", options_map,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_map },
	{ "image compare", IMAGE_GROUP, "compare what guests see of two images", options_compare,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_compare,
	  "Exit status: 0 equal, 1 different, 2 could not be compared." },
	{ "image resize", IMAGE_GROUP, "change an image's size", options_resize, COMMAND_OFFLINE,
	  cmd_resize },
	{ "image rebase", IMAGE_GROUP, "give an overlay another backing file", options_rebase,
	  COMMAND_OFFLINE, cmd_rebase },
	{ "image commit", IMAGE_GROUP, "put an overlay's contents into its backing file",
	  options_commit, COMMAND_OFFLINE, cmd_commit },
	{ 0 },
};
