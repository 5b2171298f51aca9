/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a worker says on its stderr, and whatever else a guest can make us write
 * into its domain's logbook, as often as it likes: so many lines at a time, few
 * in the long run, the rest is counted.
 *
 * stderr is a FIFO in the run folder, which the worker has open for reading
 * too: it never blocks, gets no SIGPIPE, and its pipe keeps 64 KiB for the vmmd
 * that comes next.  vmmd alone writes to the disk.
 */
#pragma once

#include "vmmd/logbook.h"

struct said;

/* line: whole, bounded, of the worker's making; not cleaned yet. */
typedef void said_line_fn(const char *line, void *opaque);

/* Takes fd, which does not block; -1 gives NULL: a worker that cannot be heard. */
struct said *said_new(int fd, said_line_fn *fn, void *opaque);
/* What is still in the pipe is told first. */
void said_free(struct said *said);

/* Likewise, what guests make us write.  It is dropped, and counted, beyond the bound. */
void said_note(struct domain *dom, enum log_level level, const char *event, const char *text);
/* May one more be written?  Then *ret_left_out have not been since the last one. */
bool said_may(struct said_budget *budget, unsigned *ret_left_out);
/* A said_line_fn of domains. */
void said_domain_line(const char *line, void *opaque);
