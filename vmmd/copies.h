/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A copy of each definition in the file system, beside the database: what
 * `vmmd --recover` makes a new one of when the old one is lost.
 *
 * definitions/NAME-UUID.xml has a comment with what else is kept of the domain
 * or pool, and then the XML as it is stored.  The database says what has changed
 * (triggers, as for the history: nothing goes round them); a thread with a
 * connection of its own writes what it then reads there.  So a copy is never
 * ahead of a commit, nobody waits for it, and a kill in between leaves an older
 * copy, which the next start sets right.
 */
#pragma once

#include "libvmm/util/uuid.h"
#include "vmmd/daemon.h"

#define COPIES_FOLDER "definitions"

struct copies;

/* Also sets all right that an earlier vmmd has left. */
struct copies *copies_open(struct daemon *daemon, GError **error);
/* When it returns each change has its copy. */
void copies_close(struct copies *copies);

/* ---- one file ---- */

struct copy {
	bool pool;		/* else a domain */
	uint8_t uuid[UUID_BYTES];
	char *name, *xml;
	bool autostart, active;	/* active: of a pool */
	int64_t created_s;	/* of a domain */
};

char *copy_file_name(const struct copy *copy);
char *copy_format(const struct copy *copy);
/* Name, uuid and XML too; the XML must be one of ours.  Clear it even after a failure. */
bool copy_parse(const char *text, struct copy *ret, GError **error);
void copy_clear(struct copy *copy);
/* The uuid in a file's name; false: it is none of ours. */
bool copy_file_uuid(const char *file, uint8_t ret[UUID_BYTES]);
