/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What could come next on a line, from the command tables. */
#pragma once

#include "vmsh/shell.h"

void complete_cache_free(struct complete_cache *c);

/*
 * Candidates for the word that begins at `context`'s end and of which `text`
 * is written already.  *ret_files: file names fit as well (COMPLETE_FILE or
 * COMPLETE_DIR), which the caller knows how to find.  Free with g_ptr_array_unref().
 */
GPtrArray *complete_word(struct shell *sh, const char *context, const char *text,
			 enum opt_complete *ret_files);
