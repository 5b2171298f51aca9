/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * <domainsnapshot> as plain data, and its way from and to XML.
 *
 * What a client asks for is a name, a description, where the memory goes and
 * which disks take part; what he is shown has all the rest.  Elements that are
 * only ever shown (state, time, parent, the domain) are read when a snapshot is
 * defined anew from what was shown, and passed over otherwise.
 */
#pragma once

#include "libvmm/domain/domain.h"

#define SNAPSHOT_NAME_MAX_BYTES 200u	/* it becomes a part of files' names */

enum snapshot_state {
	SNAPSHOT_SHUTOFF, SNAPSHOT_RUNNING, SNAPSHOT_PAUSED,
	SNAPSHOT_DISK,			/* of a running machine, without its memory */
	N_SNAPSHOT_STATES,
};

enum snapshot_place {
	SNAPSHOT_DEFAULT,		/* nothing was said; never after the daemon has looked */
	SNAPSHOT_NO, SNAPSHOT_INTERNAL, SNAPSHOT_EXTERNAL, N_SNAPSHOT_PLACES,
};

struct snapshot_disk {
	char *name;			/* target, or the path of the image */
	enum snapshot_place place;
	char *path;			/* EXTERNAL: the overlay that is written since; or NULL */
};

struct snapshot_def {
	char *name;			/* NULL: the daemon's choice */
	char *description;
	enum snapshot_state state;
	char *parent;			/* NULL: a root */
	int64_t created_s;
	enum snapshot_place memory;
	char *memory_path;		/* EXTERNAL; NULL: the daemon's choice */
	GPtrArray *disks;		/* of struct snapshot_disk */
	domain_def *domain;		/* as it was; may be NULL in what a client hands us */
	/* of a running machine: what its next start would have used; NULL: the same */
	domain_def *inactive;
};
typedef struct snapshot_def snapshot_def;

enum snapshot_parse_flags {
	SNAPSHOT_PARSE_VALIDATE = 1,	/* also against schemas/snapshot.rng */
	SNAPSHOT_PARSE_REDEFINE = 2,	/* read what is only ever shown, too */
};

snapshot_def *snapshot_def_new(void);
void snapshot_def_free(snapshot_def *def);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(snapshot_def, snapshot_def_free)

struct snapshot_disk *snapshot_def_add_disk(snapshot_def *def, const char *name,
					    enum snapshot_place place, const char *path);

snapshot_def *snapshot_def_parse(const char *xml, unsigned flags, GError **error);
char *snapshot_def_format(const snapshot_def *def);
/* A name that may be a part of a file's name. */
bool snapshot_name_check(const char *name, GError **error);
const char *snapshot_state_name(enum snapshot_state state);
