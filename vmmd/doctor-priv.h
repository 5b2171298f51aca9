/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of the doctor share: one round through all there is. */
#pragma once

#include "vmmd/doctor.h"
#include "vmmd/domain.h"

struct round {
	struct daemon *daemon;
	GPtrArray *findings;
	GHashTable *known;		/* paths that a row or a definition names */
	GHashTable *layers;		/* paths of layers */
	GHashTable *folders;		/* of layers */
};

/* For further fields to be set; NULL when there are too many. */
struct finding *doctor_tell(struct round *r, enum finding_level level, const char *domain,
			    const char *path, const char *what, const char *advice);
/* One that can be repaired. */
void doctor_tell_repair(struct round *r, enum finding_repair repair, const char *domain,
			const char *path, const char *what);
void doctor_look_into(struct round *r, const char *folder,
		      void (*look)(struct round *r, const char *path));

/* doctor-stray.c: what lies in our own folders, and processes that nobody owns. */
void doctor_look_at_strays(struct round *r);
/* doctor-use.c: definitions that can't start, images that nobody uses. */
void doctor_look_at_use(struct round *r);
/* doctor-host.c */
void doctor_look_at_host(struct round *r);
/* doctor-stray.c: is it still a folder of a worker that is gone, with nothing foreign in it? */
bool doctor_run_folder_is_stale(struct daemon *daemon, const char *path);
