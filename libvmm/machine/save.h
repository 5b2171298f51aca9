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
};

/*
 * Pauses the machine and writes it; done() is called when all of it is on the
 * disk.  Until then the machine may be neither resumed, reset nor paused.
 */
void machine_save(struct machine *m, const struct machine_save_opts *opts, machine_saved_fn *done,
		  void *opaque);
/* It ends soon, with VMM_ERR_ABORTED, or is done already. */
void machine_save_cancel(struct machine *m);
/* Is a save under way; bytes of memory that are dealt with, and of all of it. */
bool machine_save_progress(const struct machine *m, uint64_t *ret_done, uint64_t *ret_total);

/*
 * machine_build(), but what the guest finds is what was saved into fd (the
 * caller's): paused.  The definition must be the saved one but for what a
 * guest cannot see.
 */
struct machine *machine_build_saved(const struct domain_def *def, const struct machine_host *host,
				    const struct machine_events *events, int fd, GError **error);
