/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the page asks to be done, or to be told: each on a thread and a
 * connection of its own, since a guest that is slow to start may hold up
 * neither terminals nor the picture of the fleet.
 */
#pragma once

#include "vmsh/shell.h"

#define DEED_BYTES_MAX 4096

struct deed;

/* On the main loop.  json: the answer; error: it failed, and json is NULL. */
typedef void deed_fn(const char *json, const GError *error, void *opaque);

/*
 * {"do": "start", "domain": UUID}; "revert" and "snapshots" know "snapshot".
 * False when that is not understood: fn does not run then.
 */
bool deed_begin(GThreadPool *pool, struct shell *sh, const char *uri, const char *request,
		size_t bytes, deed_fn *fn, void *opaque, GError **error);
/* Runs deeds. */
GThreadPool *deed_pool_new(void);
