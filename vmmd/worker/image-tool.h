/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "vmm-worker --image OP --path=... --allow-read=... ": work on images for vmmd (imagejob.h). */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* argv[0] is the operation.  The answer goes to stdout, progress to descriptor 3, if it is open. */
int image_tool_run(int argc, char **argv);

/*
 * Gives up all but these paths: a folder to write to is one to make files in.
 * What this kernel can't do is left out (no Landlock: a note in the log).
 */
bool image_jail_enter(char **readable, char **writable, GError **error);
