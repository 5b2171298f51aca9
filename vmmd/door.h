/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listening socket, and whoever comes in.  When no descriptor is left for
 * who waits outside, the loop would find the socket ready for ever: it rests
 * for a moment instead.
 */
#pragma once

#include <glib.h>

struct door;
/* Takes fd, which does not block.  Runs on the door's context. */
typedef void door_fn(int fd, void *opaque);

/* ctx NULL: the default one.  turn: so many at once.  listening stays the caller's. */
struct door *door_new(GMainContext *ctx, int listening, unsigned turn, door_fn *fn, void *opaque);
/* On the thread of its context. */
void door_free(struct door *door);
