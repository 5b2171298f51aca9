/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Image commands need no daemon.  Where one is, it knows who stands on an image
 * and whose disk it is, and it is asked before the image is written.
 */
#pragma once

#include "vmsh/options.h"

struct shell;

/* --force, for those that the functions below may refuse. */
#define OPTION_FORCE { \
	.name = "force", .kind = OPT_FLAG, \
	.help = "though domains or other images that the daemon knows need it as it is", \
}

/*
 * path is about to be written: false and *error when other images stand on it,
 * unless --force is given.  No daemon on this host: true.
 */
bool image_guard_change(struct shell *sh, struct command_args *args, const char *path,
			GError **error);
/* The same for each image from path down to base (NULL: the next one), but for themselves. */
bool image_guard_commit(struct shell *sh, struct command_args *args, const char *path,
			const char *format, const char *base, GError **error);
/* path is about to be made anew: if it is there, no domain may have it as a disk either. */
bool image_guard_replace(struct shell *sh, struct command_args *args, const char *path,
			 GError **error);
