/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients from other hosts.  Who has a certificate of the authority, and is on
 * the list if there is one, may do what a member of the socket's group may.
 *
 * TLS itself is done by the process vmm-tls (vmmd/tls/).  When that dies its
 * connections end, and there is a new one a moment later.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct server;
struct tls_server;

struct tls_policy {
	char **listen;		/* ADDRESS[:PORT]; NULL: every address, port 16514 */
	char *folder;		/* of certificates; NULL: libvirt's places */
	char *priority;		/* NULL: TLS 1.2 and 1.3 */
	char **allow;		/* globs of distinguished names; NULL: all */
};

/* policy stays the caller's, and as it is.  Waits until the ports are open. */
struct tls_server *tls_server_new(struct server *server, const struct tls_policy *policy,
				  GError **error);
/* Ends all connections. */
void tls_server_free(struct tls_server *tls);
