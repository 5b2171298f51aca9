/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine's whole state, memory and devices, in a file; owner as in
 * machine.h.  The disks are not in it: whoever restores gives it disks with
 * the bytes that they had.
 */
#pragma once

#include "libvmm/machine/machine.h"

/* In the file beside the machine's own, version 1: the definition, as text without an end mark. */
#define MACHINE_SECTION_XML "xml"
#define MACHINE_SECTION_RUN "run"	/* a byte, 0 or 1 */

/* After success the machine stands still; after an error it is as it was before. */
typedef void machine_saved_fn(void *opaque, const GError *error);

struct machine_save_opts {
	int fd;			/* an empty file; taken */
	const char *xml;	/* comes with the state, as does: */
	bool run;		/* whoever restores it shall resume it */
	bool zstd;		/* pack the memory; a restore has to read all of it then */
};

/*
 * Writes the machine, most of it while the guest runs, and stops it; done() is
 * called when all is on the disk.  Until then nobody resumes, resets or pauses
 * it, nor switches its disks.
 */
void machine_save(struct machine *m, const struct machine_save_opts *opts, machine_saved_fn *done,
		  void *opaque);
/* It ends soon, with VMM_ERR_ABORTED, or is done already. */
void machine_save_cancel(struct machine *m);

struct machine_save_progress {
	bool active;
	unsigned pass;		/* from 1; over all memory, then over what has changed */
	uint64_t total_bytes;	/* of memory */
	uint64_t left_bytes;	/* of the pass */
};
void machine_save_progress(const struct machine *m, struct machine_save_progress *ret);

/*
 * machine_build(), but what the guest finds is what was saved into fd (the
 * caller's): paused.  The definition must be the saved one but for what a
 * guest cannot see.
 */
struct machine *machine_build_saved(const struct domain_def *def, const struct machine_host *host,
				    const struct machine_events *events, int fd, GError **error);
