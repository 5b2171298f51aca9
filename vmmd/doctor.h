/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does what the database says fit what is on the disk, and does this host suit
 * virtual machines?  Stray files, lost ones, work that was begun and is not gone
 * on with, processes and folders that nobody owns, definitions that can't start.
 *
 * What is repaired is what nobody can miss: remains of our own, under names that
 * we give, of domains that do not run or do not exist.  Never an image, never the
 * memory of a machine, never a file of whose origin there is a doubt.
 */
#pragma once

#include "vmmd/daemon.h"

enum finding_level {			/* the wire's numbers */
	FINDING_PROBLEM,		/* records and disk disagree */
	FINDING_HINT,			/* worth knowing */
};

enum finding_repair {
	REPAIR_NONE,			/* the user's matter */
	REPAIR_UNLINK,			/* the file `path` */
	REPAIR_RUN_FOLDER,		/* the folder `path`, of a worker that is gone */
	REPAIR_FORGET_IMAGE,		/* the row of an image that is not there any more */
	REPAIR_FORGET_INTENT,		/* the row `id`, of something that does not exist */
};

struct finding {
	enum finding_level level;
	enum finding_repair repair;
	char *domain;			/* "" if it is of none */
	char *path;			/* "" if it is about no file */
	char *what;			/* "the snapshot's memory is gone" */
	char *advice;			/* what can be done */
	char *done;			/* by doctor_fix(): "removed"; "" if nothing */
	int64_t id;
};

/* Of struct finding, the array is the caller's; empty: all is well.  Changes nothing. */
GPtrArray *doctor_look(struct daemon *daemon, GError **error);
/* The same, and repairs what is safe; dry: only says what that would be. */
GPtrArray *doctor_fix(struct daemon *daemon, bool dry, GError **error);
