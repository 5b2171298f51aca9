/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a connection URI means. */
#pragma once

#include <glib.h>
#include <stdbool.h>

enum uri_transport {
	URI_UNIX,
	URI_TLS,
	URI_SSH,
};

/* Texts are NULL where the URI says nothing. */
struct uri {
	char *text;			/* the whole URI */
	char *name;			/* what the daemon is told: nothing of the way to it */
	char *socket;			/* its path: there, with ssh */
	bool session;
	enum uri_transport transport;
	char *host, *user;
	int port;			/* 0: not given */
	char *pkipath, *tls_priority;
	char *command, *keyfile, *netcat, *proxy;
	bool no_verify, no_tty;
};

/* uri NULL: the default. */
struct uri *uri_parse(const char *uri, GError **error);
void uri_free(struct uri *uri);
/* The socket of a local daemon. */
char *uri_local_socket(const struct uri *uri, bool readonly);

typedef struct uri vmm_uri;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(vmm_uri, uri_free)
