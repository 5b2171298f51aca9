/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image convert", "dd" and "measure": an image made of another.  Letters are qemu-img's. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "vmsh/format.h"
#include "vmsh/image-common.h"
#include "vmsh/image-guard.h"
#include "vmsh/image-json.h"
#include "vmsh/shell.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define SECTOR 512u
#define SPARSE_MAX (2u << 20)

/* ---- convert ---- */

/* -S: a multiple of 512; 0: nothing is left out. */
static bool sparse_option(struct command_args *args, struct image_convert_opts *o, GError **error)
{
	uint64_t n = args_size(args, "sparse-size", 1, 4096);

	if (n % SECTOR || n > SPARSE_MAX)
		return usage_error(error, "image convert: -S is a multiple of 512, at most 2M; "
					  "0: leave nothing out");
	o->full = n == 0;
	o->sparse_bytes = n;
	return true;
}

/* -n: into an image that is there, whose format is not guessed. */
static bool convert_target(struct command_args *args, struct image_convert_opts *o, GError **error)
{
	o->target.format = args_text(args, "target-format");
	o->no_create = args_given(args, "no-create");
	if (!o->no_create) {
		if (!o->target.format)
			o->target.format = o->target.backing_file ? "qcow2" :
					   format_of_name(o->target.path);
		return true;
	}
	if (args_given(args, "options"))
		return usage_error(error, "image convert: -o is for a new target, -n is not");
	if (!o->target.format)
		o->target.format = format_of_disk(o->target.path, "-O FORMAT", error);
	return o->target.format != NULL;
}

static bool cmd_convert(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = image_progress_of(sh, args);
	struct image_convert_opts o = {
		.source = args_text(args, "source"),
		.source_format = args_text(args, "format"),
		.target = { .path = args_text(args, "target") },
		.share_source = args_given(args, "force-share"),
		.compress = args_given(args, "compress"),
		.requests = MIN(args_number(args, "requests", 0), G_MAXUINT),
		.any_order = args_given(args, "any-order"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	g_auto(GStrv) extra = image_options_parse(args_words(args, "options"), &o.target, error);

	if (!extra || !image_backing_options(args, &o.target, error) ||
	    !sparse_option(args, &o, error) || !convert_target(args, &o, error) ||
	    !(o.no_create ? image_guard_change : image_guard_replace)(sh, args, o.target.path,
								       error))
		return false;
	return progress_end(&p, image_convert(&o, error));
}

/* ---- dd ---- */

struct dd {
	const char *in, *out;
	uint64_t block, count, skip;
	bool has_count;
};

static bool dd_operand(struct dd *d, const char *text, GError **error)
{
	const struct {
		const char *name;
		const char **text;
		uint64_t *n;
	} operands[] = {
		{ "if=", &d->in }, { "of=", &d->out }, { "bs=", NULL, &d->block },
		{ "count=", NULL, &d->count }, { "skip=", NULL, &d->skip },
	};

	for (unsigned i = 0; i < G_N_ELEMENTS(operands); i++) {
		if (!g_str_has_prefix(text, operands[i].name))
			continue;
		text += strlen(operands[i].name);
		d->has_count |= operands[i].n == &d->count;
		if (operands[i].text)
			*operands[i].text = text;
		else if (!size_parse(text, 1, operands[i].n))
			return usage_error(error, "image dd: %s is followed by a number, not '%s'",
					   operands[i].name, text);
		return true;
	}
	return usage_error(error, "image dd: '%s' is none of if=, of=, bs=, count=, skip=", text);
}

/* What does not fit is behind the end of all disks. */
static uint64_t bytes_of(uint64_t blocks, uint64_t bytes)
{
	return blocks > G_MAXINT64 / bytes ? G_MAXINT64 : blocks * bytes;
}

static bool cmd_dd(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = { .sh = sh };	/* only to end when ^C is typed */
	const GPtrArray *words = args_words(args, "operand");
	struct dd d = { .block = SECTOR };
	struct image_convert_opts o = {
		.source_format = args_text(args, "format"),
		.target = { .format = args_text(args, "target-format") },
		.share_source = args_given(args, "force-share"),
		.part = true,
		.progress = { .fn = progress_tell, .opaque = &p },
	};

	for (unsigned i = 0; i < words->len; i++)
		if (!dd_operand(&d, ((struct word *)words->pdata[i])->text, error))
			return false;
	if (!d.in || !d.out || !*d.in || !*d.out)
		return usage_error(error, "image dd: from where to where? Add if=FILE of=FILE");
	if (!d.block || d.block > G_MAXINT32)
		return usage_error(error, "image dd: bs= is 1 to 2147483647");
	o.source = d.in;
	o.target.path = d.out;
	if (!o.target.format)
		o.target.format = format_of_name(d.out);
	o.skip = bytes_of(d.skip, d.block);
	o.count = d.has_count ? bytes_of(d.count, d.block) : G_MAXINT64;
	return image_guard_replace(sh, args, o.target.path, error) && image_convert(&o, error);
}

/* ---- measure ---- */

static bool cmd_measure(struct shell *sh, struct command_args *args, GError **error)
{
	struct progress p = { .sh = sh };	/* only to end when ^C is typed */
	struct image_measure_opts o = {
		.target = { .bytes = args_size(args, "size", 1, 0) },
		.source = args_text(args, "file"),
		.source_format = args_text(args, "format"),
		.share_source = args_given(args, "force-share"),
		.progress = { .fn = progress_tell, .opaque = &p },
	};
	g_auto(GStrv) extra = image_options_parse(args_words(args, "options"), &o.target, error);
	g_autofree char *text = NULL;
	struct image_measure m;

	if (!extra)
		return false;
	if (!o.source == !args_given(args, "size"))
		return usage_error(error, "image measure: a FILE, or --size SIZE");
	o.target.format = args_text(args, "target-format");
	if (!o.target.format)
		o.target.format = "raw";
	if (!image_measure(&o, &m, error))
		return false;
	text = args_json(args) ? image_measure_json(&m) : image_measure_text(&m);
	fputs(text, stdout);
	return true;
}

/* ---- tables ---- */

#define OPTION_SOURCE_FORMAT \
	OPTION_FORMAT("format", 'f', "the source's format; found out if not given")

static const struct option_def options_convert[] = {
	OPTION_FILE("source", "SOURCE", "the image to read"),
	OPTION_FILE("target", "TARGET", "the image to make"),
	OPTION_SOURCE_FORMAT,
	OPTION_FORMAT("target-format", 'O', "the target's format; by its suffix if not given"),
	OPTION_LETTER("compress", 'c', "compressed clusters"),
	{ .name = "backing", .letter = 'B', .kind = OPT_STRING, .complete = COMPLETE_FILE,
	  .value = "FILE", .help = "make an overlay of this, with what differs from it" },
	OPTION_FORMAT("backing-format", 'F', "the backing file's format"),
	OPTION_O,
	OPTION_LETTER("no-create", 'n',
		      "write into TARGET, an image or a device that is there; interrupted, it is "
		      "half written"),
	{ .name = "sparse-size", .letter = 'S', .kind = OPT_SIZE, .value = "SIZE",
	  .help = "so many zeroes are left out, 4K if not given; 0: nothing is, the target is "
		  "fully allocated" },
	{ .name = "requests", .letter = 'm', .kind = OPT_NUMBER, .value = "N",
	  .help = "1 to 16 chunks on their way at a time" },
	OPTION_LETTER("any-order", 'W', "write what was read first, not in the disk's order"),
	OPTION_FORCE, OPTION_PROGRESS, OPTION_QUIET, OPTION_SHARE, { 0 },
};
static const struct option_def options_dd[] = {
	{ .name = "operand", .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY, .value = "NAME=VALUE",
	  .help = "if=FILE to read, of=FILE to make; bs=SIZE of a block, 512 if not given; "
		  "skip=N blocks, then count=N blocks, all if not given" },
	OPTION_SOURCE_FORMAT,
	OPTION_FORMAT("target-format", 'O', "the target's format; by its suffix if not given"),
	OPTION_FORCE, OPTION_SHARE, { 0 },
};
static const struct option_def options_measure[] = {
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_FILE,
	  .value = "FILE", .help = "what would be converted" },
	OPTION_SOURCE_FORMAT,
	OPTION_FORMAT("target-format", 'O', "the new image's format; raw if not given"),
	OPTION_O,
	{ .name = "size", .kind = OPT_SIZE, .value = "SIZE",
	  .help = "in place of FILE: a new, empty disk of that size" },
	 OPTION_SHARE, { 0 },
};

const struct command commands_image_convert[] = {
	{ "image convert", IMAGE_GROUP, "copy an image into another format", options_convert,
	  COMMAND_OFFLINE, cmd_convert },
	{ "image dd", IMAGE_GROUP, "copy a part of an image into a new one", options_dd,
	  COMMAND_OFFLINE, cmd_dd },
	{ "image measure", IMAGE_GROUP, "tell how long the file of an image would be",
	  options_measure, COMMAND_OFFLINE | COMMAND_JSON, cmd_measure,
	  "The required size is what a conversion takes at most. It is exact but for zeroes that "
	  "the source keeps as data." },
	{ 0 },
};
