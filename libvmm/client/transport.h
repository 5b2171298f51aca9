/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way to a daemon of another host: behind a socket that rpc_client takes
 * as it takes a local one.  What goes wrong on the way ends that socket, and
 * transport_failure() has why.
 */
#pragma once

#include <glib.h>

#include "libvmm/client/uri.h"

struct transport;

/* uri must outlive it.  readonly: ask the other side for its read-only socket, where it has one. */
struct transport *transport_new(const struct uri *uri, bool readonly, int *ret_fd, GError **error);
/* ctx: of the client that has the socket. */
void transport_start(struct transport *t, GMainContext *ctx);
/* Why the socket ended, or NULL: not because of the way.  Waits for an ssh that ends. */
GError *transport_failure(struct transport *t);
/* Before the client's thread ends. */
void transport_stop(struct transport *t);
/* After it: waits a moment for ssh. */
void transport_free(struct transport *t);
