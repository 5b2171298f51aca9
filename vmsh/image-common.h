/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image commands share: progress, formats, entries of their tables. */
#pragma once

#include "libvmm/block/image.h"
#include "vmsh/image-options.h"
#include "vmsh/options.h"
#include "vmsh/progress.h"

/* -p and -q decide. */
struct progress image_progress_of(struct shell *sh, struct command_args *args);
/* Not with -q. */
void image_say(struct shell *sh, struct command_args *args, const char *text);

/* What a user writes after -b, seen from here: relative names count from the overlay's folder. */
char *image_backing_from_here(const char *overlay, const char *backing);
/* -b and -F.  False only when a backing file is given and its format cannot be known. */
bool image_backing_options(struct command_args *args, struct image_create_opts *o, GError **error);
/* Of an image that is to be written: -f, or what its name and its first bytes agree upon. */
const char *image_sure_format(struct command_args *args, const char *path, GError **error);

#define IMAGE_GROUP "Image files (no daemon)"
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
/* For what writes. */
#define OPTION_SURE_FORMAT \
	OPTION_FORMAT("format", 'f', "the image's format; needed unless its name and its first " \
				     "bytes agree")
