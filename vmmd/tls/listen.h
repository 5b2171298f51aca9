/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where TLS clients are waited for. */
#pragma once

#include <glib.h>

/*
 * A listening, non-blocking TCP socket at ADDRESS, ADDRESS:PORT or
 * [ADDRESS]:PORT; port TLS_PORT if there is none.  An address, no name: what a
 * name means may change, and asking for it takes time.  -1 on failure.
 */
int tls_listen_at(const char *where, GError **error);
/* At every address of this host; IPv4 alone where there is no IPv6. */
int tls_listen_everywhere(GError **error);
