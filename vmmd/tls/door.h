/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who comes to the TLS port, and who is let in. */
#pragma once

#include "libvmm/rpc/tls.h"

struct tls_door;

/*
 * Takes creds.  allow: globs of distinguished names, NULL: all; folder and
 * priority: where renewed certificates are read, as tls_creds_load() wants them.
 * All three stay the caller's.  Of the thread of the default context.
 */
struct tls_door *tls_door_new(struct tls_creds *creds, const char *folder, const char *priority,
			      char **allow);
/* Serves a listening socket, which it takes. */
void tls_door_listen(struct tls_door *door, int listening);
void tls_door_free(struct tls_door *door);
/* "127.0.0.1:16514", "[::1]:16514"; for the caller to free.  peer: of the other side. */
char *tls_door_address(int fd, bool peer);
