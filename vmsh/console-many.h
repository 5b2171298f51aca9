/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many consoles at once, each line with its domain's name. */
#pragma once

#include "vmsh/feed.h"
#include "vmsh/shell.h"

/* targets: struct target (fleet.h).  Until all guests are gone, or ^C. */
bool console_many(struct shell *sh, const GPtrArray *targets, const struct feed_opts *opts,
		  GError **error);
