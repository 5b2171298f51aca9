/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "-c HOST,HOST": one command asked of several daemons at once. */
#pragma once

#include "vmsh/shell.h"

/* The daemon of this session is several: names or URIs with commas between them. */
bool hosts_are_several(const struct shell *sh);
/*
 * Runs the words in a vmsh for each host, all at the same time, and prints
 * their tables as one.  False, with or without an error, when any has failed.
 */
bool hosts_run(struct shell *sh, const struct command *cmd, const struct command_args *args,
	       const GPtrArray *words, GError **error);
/* In such a vmsh: the table for the one that has asked. */
void hosts_answer(const struct table *t);
