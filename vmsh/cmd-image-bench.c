/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image bench": how fast an image is, with qemu-img's letters. */
#include "config.h"
#include "vmsh/commands.h"

#include <stdio.h>

#include "libvmm/block/image.h"
#include "vmsh/json.h"
#include "vmsh/options.h"
#include "vmsh/shell.h"
#include "vmsh/usage.h"

static bool cache_from_name(const char *name, enum block_cache *ret, GError **error)
{
	static const char *const names[] = { "writeback", "none", "writethrough", "directsync",
					     "unsafe" };

	for (unsigned i = 0; name && i < G_N_ELEMENTS(names); i++)
		if (g_str_equal(name, names[i])) {
			*ret = i;
			return true;
		}
	return !name || usage_error(error, "image bench: there is no cache mode '%s'", name);
}

static void bench_json(const struct image_bench_opts *o, const struct image_bench_figures *f)
{
	double seconds = MAX(f->seconds, 1e-6);
	struct json *j = json_new();
	g_autofree char *text = NULL;

	json_begin_object(j, NULL);
	json_number(j, "requests", o->count);
	json_double(j, "seconds", f->seconds);
	json_double(j, "cpu-seconds", f->cpu_seconds);
	json_double(j, "requests-per-second", o->count / seconds);
	json_double(j, "bytes-per-second", o->count * (double)o->buffer_bytes / seconds);
	json_end(j);
	text = json_finish(j);
	fputs(text, stdout);
}

static bool cmd_bench(struct shell *sh, struct command_args *args, GError **error)
{
	struct image_bench_opts o = {
		.path = args_text(args, "file"),
		.format = args_text(args, "format"),
		.write = args_given(args, "write"),
		.count = args_number(args, "count", 75000),
		.depth = MIN(args_number(args, "depth", 64), G_MAXUINT),
		.buffer_bytes = MIN(args_size(args, "buffer-size", 1, 4096), G_MAXUINT32),
		.step = args_size(args, "step-size", 1, 0),
		.offset = args_size(args, "offset", 1, 0),
		.flush_interval = args_number(args, "flush-interval", 0),
		.no_drain = args_given(args, "no-drain"),
		.pattern = args_number(args, "pattern", 0),
		.share = args_given(args, "force-share"),
	};
	struct image_bench_figures figures;

	if (!cache_from_name(args_text(args, "cache"), &o.cache, error) ||
	    !image_bench(&o, &figures, error))
		return false;
	if (args_json(args))
		bench_json(&o, &figures);
	else if (!args_given(args, "quiet"))
		shell_say(sh, "Run completed in %.3f seconds.", figures.seconds);
	return true;
}

#define OPTION_COUNTED(option, short, type, text) { \
	.name = option, .letter = short, .kind = type, .value = "N", .help = text, \
}

static const struct option_def options_bench[] = {
	{ .name = "file", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_REQUIRED,
	  .complete = COMPLETE_FILE, .value = "FILE", .help = "the image" },
	{ .name = "format", .letter = 'f', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "raw qcow2", .help = "its format; needed for writing" },
	{ .name = "write", .letter = 'w', .kind = OPT_FLAG,
	  .help = "write, do not read: the image's contents are lost" },
	OPTION_COUNTED("count", 'c', OPT_NUMBER, "so many requests; 75000 if not given"),
	OPTION_COUNTED("depth", 'd', OPT_NUMBER, "so many at a time; 64 if not given"),
	OPTION_COUNTED("buffer-size", 's', OPT_SIZE, "bytes of one; 4K if not given"),
	OPTION_COUNTED("step-size", 'S', OPT_SIZE,
		       "from one to the next; as large as one if not given"),
	OPTION_COUNTED("offset", 'o', OPT_SIZE, "of the first one"),
	OPTION_COUNTED("flush-interval", 0, OPT_NUMBER, "flush after so many writes"),
	{ .name = "no-drain", .kind = OPT_FLAG, .help = "let writes go on during a flush" },
	OPTION_COUNTED("pattern", 0, OPT_NUMBER, "the byte to write"),
	{ .name = "cache", .letter = 't', .kind = OPT_STRING, .complete = COMPLETE_WORDS,
	  .words = "writeback none writethrough directsync unsafe", .help = "as of a <driver>" },
	{ .name = "quiet", .letter = 'q', .kind = OPT_FLAG, .help = "print nothing" },
	{ .name = "force-share", .letter = 'U', .kind = OPT_FLAG,
	  .help = "read it though a machine uses it" },
	{ 0 },
};

const struct command commands_image_bench[] = {
	{ "image bench", "Image files (no daemon)", "measure how fast an image is", options_bench,
	  COMMAND_OFFLINE | COMMAND_JSON, cmd_bench },
	{ 0 },
};
