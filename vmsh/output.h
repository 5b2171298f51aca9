/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where a command's standard output goes: a file, another program, or memory. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct output {
	int saved;		/* what the standard output was */
	pid_t child;		/* who reads the pipe; 0: nobody */
	int memory;		/* where it is kept; -1 */
};

/* Each begins; the output that was comes back with output_end(). */
bool output_to_file(struct output *o, const char *path, bool append, GError **error);
/* command is sh(1)'s. */
bool output_to_pipe(struct output *o, const char *command, GError **error);
bool output_to_memory(struct output *o, GError **error);

/* False: what was written could not be, or the program at the other end failed. */
bool output_end(struct output *o);
/* Of memory: what was written. */
char *output_end_text(struct output *o);

/* A command of sh(1)'s to its end; its exit status, or -1. */
int output_run_shell(const char *command, GError **error);
