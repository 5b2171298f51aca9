/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs of ours that a command becomes: what they need is not loaded for every other command. */
#pragma once

#include "vmsh/shell.h"

/*
 * In the build that this vmsh belongs to, else installed.  folder: of the
 * build, "vmmd"; env: a variable that names another, or NULL.
 */
char *program_find(const char *folder, const char *name, const char *env, GError **error);
/* Waits for it, unless nothing follows: then we become it.  It says itself why it failed. */
bool program_run(struct shell *sh, const char *program, const char *const *argv, GError **error);
