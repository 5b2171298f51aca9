/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pages by HTTP and WebSocket, on the default main context.
 *
 * Whoever reaches the socket gets the page, which knows nothing; all else takes
 * a session (gate.h), and an Origin that is the page's own.  Connections, and
 * what they send and leave unread, are bounded.
 */
#pragma once

#include <gio/gio.h>

#include "vmsh/shell.h"
#include "vmsh/web/gate.h"

struct web_server;

/* uri NULL: the library's default.  names: as gate_new(). */
struct web_server *web_server_new(struct shell *sh, const char *uri, GSocketAddress *listen,
				  const char *const *names, GError **error);
void web_server_free(struct web_server *s);
typedef struct web_server web_server;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(web_server, web_server_free)

/* Where it listens, with a new token: the caller's. */
char *web_server_link(struct web_server *s);
