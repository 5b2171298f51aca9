/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A process beside the worker, of the worker's own program. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * words: its arguments, ended by NULL; fds[i] is its descriptor 3 + i, and our
 * stderr its own; all stay the caller's.  Nobody waits for it: its parent is init.
 */
bool helper_spawn(const char *const *words, const int *fds, unsigned n_fds, GError **error);
