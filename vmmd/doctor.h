/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does what the database says fit what is on the disk?  Looks, and changes
 * nothing: stray files, lost ones, work that was begun and is not gone on with.
 */
#pragma once

#include "vmmd/daemon.h"

struct finding {
	char *domain;			/* "" if it is of none */
	char *path;			/* "" if it is about no file */
	char *what;			/* "the snapshot's memory is gone" */
	char *advice;			/* what can be done */
};

/* Of struct finding, the array is the caller's; empty: all is well. */
GPtrArray *doctor_look(struct daemon *daemon, GError **error);
