/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * TLS by GnuTLS, as libvirt's remote driver speaks it: both sides show an
 * X.509 certificate, and after the handshake the server says by one byte that
 * it has taken the client's.
 *
 * A pipe sits between the network and a plain socket whose other end is an
 * ordinary rpc_conn: so frames, limits and back-pressure are the same with
 * and without TLS.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

#define TLS_PORT 16514

enum tls_side {
	TLS_CLIENT,
	TLS_SERVER,
};

/* Own certificate and key, whom to trust; never changed once loaded.  Any thread. */
struct tls_creds;

/*
 * folder NULL: libvirt's places, for clients those of the user first.  A
 * folder has all files side by side.  priority NULL: TLS 1.2 and 1.3.  Errors
 * name the file and what is wrong with it, an own certificate that has
 * expired or that its own authority does not know included.
 */
struct tls_creds *tls_creds_load(enum tls_side side, const char *folder, const char *priority,
				 GError **error);
struct tls_creds *tls_creds_ref(struct tls_creds *creds);
void tls_creds_unref(struct tls_creds *creds);
/* A file is another one than was read. */
bool tls_creds_changed(const struct tls_creds *creds);
/* In which folders the files are, and those that they are links to; g_strfreev(). */
char **tls_creds_folders(const struct tls_creds *creds);

/* Owner: the thread that iterates its context. */
struct tls_pipe;

/* All may free the pipe. */
struct tls_pipe_ops {
	/* Server: the certificate holds, and is this one's; may it in?  NULL: yes. */
	bool (*permit)(struct tls_pipe *pipe, const char *dn, void *opaque);
	/* Data flows; the moment for tls_pipe_attach() at the latest.  May be NULL. */
	void (*open)(struct tls_pipe *pipe, void *opaque);
	/* Once; then only tls_pipe_free() is left.  error NULL: a clean end. */
	void (*ended)(struct tls_pipe *pipe, const GError *error, void *opaque);
};

/*
 * Begins the handshake on net_fd, which it takes.  host: whose certificate
 * the server has to show; NULL with no check of it, or on the server's side.
 */
struct tls_pipe *tls_pipe_new(GMainContext *ctx, struct tls_creds *creds, const char *host,
			      int net_fd, unsigned timeout_ms, const struct tls_pipe_ops *ops,
			      void *opaque);
/* Takes plain_fd: a stream socket. */
void tls_pipe_attach(struct tls_pipe *pipe, int plain_fd);
/* The distinguished name in the peer's certificate, as virt-pki-query-dn prints it; NULL: none. */
const char *tls_pipe_peer(const struct tls_pipe *pipe);
void tls_pipe_free(struct tls_pipe *pipe);
