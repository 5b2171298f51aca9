/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running commands: words, lines and files of them, with their pipes, files and aliases. */
#pragma once

#include "vmsh/shell.h"

/* Run what words_split() gave; prints the error.  False if one failed. */
bool shell_run_words(struct shell *sh, const GPtrArray *words);
bool shell_run_line(struct shell *sh, const char *line);
/* Lines of a file, one by one. */
void shell_run_file(struct shell *sh, FILE *in);

/* A command inside a command, as "time" has it. */
bool shell_run_inner(struct shell *sh, const GPtrArray *words, GError **error);
