/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between tls-creds.c (files), tls-session.c (GnuTLS) and tls-pipe.c (bytes). */
#pragma once

#include "libvmm/rpc/tls-lib.h"
#include "libvmm/rpc/tls.h"

enum tls_file { TLS_FILE_CA, TLS_FILE_CRL, TLS_FILE_CERT, TLS_FILE_KEY, N_TLS_FILES };

struct tls_creds {
	gint refs;			/* atomic */
	enum tls_side side;
	char *paths[N_TLS_FILES];
	gint64 stamps[N_TLS_FILES];	/* when each was written; 0: it is not there */
	gnutls_certificate_credentials_t x509;
	gnutls_priority_t priority;
};

#define N_TLS_EXPECT 2

/* expect: of the peer's certificate; filled, and used as long as the session is. */
gnutls_session_t tls_session_new(const struct tls_creds *creds, const char *host, int fd,
				 gnutls_typed_vdata_st *expect);
char *tls_session_peer(gnutls_session_t session);
/* The text for an error of GnuTLS's; returns false. */
bool tls_session_failed(gnutls_session_t session, const struct tls_creds *creds, const char *host,
			int err, GError **error);
const char *tls_peer_name(const char *host);
