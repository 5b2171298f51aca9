/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The line that is written over. */
#include "config.h"
#include "vmsh/progress.h"

#include <stdio.h>

struct progress progress_new(struct shell *sh, bool wanted, bool quiet)
{
	return (struct progress){ .sh = sh, .show = (wanted || sh->err.width) && !quiet,
				  .last = G_MAXUINT };
}

bool progress_tell(void *opaque, uint64_t done, uint64_t total)
{
	struct progress *p = opaque;
	unsigned now = total ? (unsigned)((double)done / total * 1000) : 1000;

	if (p->show && now != p->last) {
		p->last = now;
		fprintf(stderr, "\r    (%u.%u/100%%)", now / 10, now % 10);
		fflush(stderr);
	}
	return !shell_interrupted(p->sh);
}

bool progress_end(const struct progress *p, bool ok)
{
	if (p->show && p->last != G_MAXUINT)
		fprintf(stderr, p->sh->err.width ? "\r\033[K" : "\n");
	return ok;
}
