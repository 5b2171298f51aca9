/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Volumes: files in a pool's folder, always reached through the folder's
 * descriptor and never through a link.  A new one is made under a hidden name
 * and appears when it is complete.
 */
#pragma once

#include "vmmd/pool.h"

struct imagejob;

/* Names of a pool's volumes, sorted. */
GPtrArray *volume_list(const struct pool *pool, GError **error);
/* What it is now.  Missing: VMM_ERR_NO_VOLUME. */
volume_def *volume_read(const struct pool *pool, const char *name, GError **error);
char *volume_path(const struct pool *pool, const char *name);
/* The active pool and the name that a path means; NULL if it is no volume's. */
struct pool *volume_locate(struct daemon *daemon, const char *path, char **ret_name);
/* Removes what unfinished work has left in the folder. */
void volume_sweep(int folder);

/* ---- changes: error NULL when done; called once, perhaps before the function returns ---- */

typedef void volume_done(const GError *error, void *opaque);

struct volume_source {			/* of a copy */
	const char *path;
	enum disk_format format;
};

/*
 * def is taken.  source NULL: an empty volume, or an overlay if def says so;
 * else a copy, that stands alone.
 */
void volume_create(struct pool *pool, volume_def *def, const struct volume_source *source,
		   bool metadata, volume_done *done, void *opaque);
void volume_resize(struct pool *pool, const char *name, uint64_t bytes, bool shrink, bool allocate,
		   volume_done *done, void *opaque);
void volume_wipe(struct pool *pool, const char *name, volume_done *done, void *opaque);
bool volume_delete(struct pool *pool, const char *name, GError **error);
