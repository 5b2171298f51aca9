/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fleet, looked at again and again while somebody wants to see it, by a
 * thread with a connection of its own: a daemon that is slow or gone holds up
 * nobody else, and is looked for again.
 */
#pragma once

#include "vmsh/shell.h"

struct watch;

/* On the main loop: one line of JSON, {"is": "fleet", ...} or {"is": "down", ...}. */
typedef void watch_fn(const char *json, void *opaque);

struct watch *watch_new(struct shell *sh, const char *uri, watch_fn *fn, void *opaque);
void watch_free(struct watch *w);
/* Somebody looks, or nobody. */
void watch_set(struct watch *w, bool on);
/* Look now: something has been done. */
void watch_soon(struct watch *w);
