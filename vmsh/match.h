/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Looking for regular expressions in what a console says, line by line; the
 * last line counts while it is being written, as a prompt has no end.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

struct match;

struct match *match_new(void);
void match_free(struct match *m);
typedef struct match match;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(match, match_free)

/* Bytes, of any kind. */
GRegex *match_regex(const char *pattern, GError **error);

/* More was said.  What is too much to keep loses its oldest. */
void match_add(struct match *m, const void *data, size_t len);
/*
 * The first of n regular expressions that is there, or -1; what is before its
 * end is not looked at again, nor is what none of them is in.
 */
int match_find(struct match *m, GRegex *const *regexes, unsigned n);
/* The last lines that were said, for people. */
char *match_recent(const struct match *m);
