/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pools: folders of images.
 *
 * A pool has no list of its volumes: they are the plain files of its folder,
 * looked at when somebody asks.  So nothing can be out of date, and files that
 * others put there are volumes like ours.  Not volumes: what begins with a '.',
 * folders, devices, and symbolic links, which would lead out of the pool.
 */
#pragma once

#include "libvmm/domain/storage.h"
#include "vmmd/daemon.h"

struct pool {
	struct daemon *daemon;
	pool_def *def;
	bool persistent, active, autostart;
	unsigned busy;			/* volumes in work: it can't be stopped */
	GHashTable *building;		/* names that are taken but not there yet */
};

/* Reads the database, makes the default pool if there never was one, starts what is to run. */
bool pools_load(struct daemon *daemon, GError **error);
void pools_free(GPtrArray *pools);

struct pool *pool_find_uuid(struct daemon *daemon, const uint8_t uuid[UUID_BYTES]);
struct pool *pool_find_name(struct daemon *daemon, const char *name);
/* By its folder. */
struct pool *pool_find_path(struct daemon *daemon, const char *path);

/*
 * New, or a new definition of the pool that has both name and uuid.  def is
 * taken.  An active one keeps its folder.
 */
struct pool *pool_define(struct daemon *daemon, pool_def *def, bool persistent, GError **error);
bool pool_undefine(struct pool *pool, GError **error);
/* build: make the folder first, if it is not there. */
bool pool_start(struct pool *pool, bool build, GError **error);
/* A transient one is gone afterwards. */
bool pool_stop(struct pool *pool, GError **error);
bool pool_build(struct pool *pool, GError **error);
/* Removes the folder, which must be empty. */
bool pool_delete(struct pool *pool, GError **error);
bool pool_set_autostart(struct pool *pool, bool on, GError **error);

bool pool_need_active(const struct pool *pool, GError **error);
/* The folder, for openat() and the like.  -1 on failure. */
int pool_open(const struct pool *pool, GError **error);
bool pool_space(const struct pool *pool, struct pool_space *ret, GError **error);
