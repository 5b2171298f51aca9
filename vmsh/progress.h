/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How far a long work is, in one line of a terminal. */
#pragma once

#include "vmsh/shell.h"

struct progress {
	struct shell *sh;
	bool show;
	unsigned last;		/* tenths of a percent, so that few lines are written */
};

/* On a terminal, or when it is wanted anyhow; quiet: never. */
struct progress progress_new(struct shell *sh, bool wanted, bool quiet);
/* opaque: a struct progress.  False once ^C was typed. */
bool progress_tell(void *opaque, uint64_t done, uint64_t total);
/* The line goes; returns ok. */
bool progress_end(const struct progress *p, bool ok);
