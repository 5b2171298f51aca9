/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmshrc: what a user has set for good, and may set for this session. */
#pragma once

#include "vmsh/shell.h"

/*
 * Reads ~/.config/vmm/vmshrc, if there is one; prints what is wrong with it and
 * goes on.  Its lines are "alias NAME COMMAND...", "host NAME URI" and
 * "connect NAME|URI".
 */
void rc_load(struct shell *sh);
void rc_free(struct shell *sh);

/* words, with the alias that they begin with replaced; of the same words, which must stay. */
GPtrArray *rc_expand(const struct shell *sh, const GPtrArray *words);
/* text, or what it is a name for; text NULL: vmshrc's default, or NULL. */
const char *rc_uri(const struct shell *sh, const char *text);

/* words: of struct word, copied.  Refused for the name of a command. */
bool rc_set_alias(struct shell *sh, const char *name, const GPtrArray *words, unsigned first,
		  GError **error);
bool rc_is_alias(const struct shell *sh, const char *name);
bool rc_remove_alias(struct shell *sh, const char *name);
/* Sorted; g_ptr_array_unref(). */
GPtrArray *rc_alias_names(const struct shell *sh);
GPtrArray *rc_host_names(const struct shell *sh);
/* As it could be typed: g_free(). */
char *rc_alias_text(const struct shell *sh, const char *name);
