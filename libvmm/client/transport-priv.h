/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between transport.c and the two ways, transport-tls.c and transport-ssh.c. */
#pragma once

#include "libvmm/client/transport.h"

struct transport {
	const struct transport_ops *ops;
	const struct uri *uri;
	GMainContext *ctx;		/* NULL until it is started */
};

/* The first two run on the client's thread. */
struct transport_ops {
	void (*start)(struct transport *t);
	void (*stop)(struct transport *t);
	GError *(*failure)(struct transport *t);
	void (*free)(struct transport *t);
};

/* plain_fd: taken, the other end of the client's socket. */
struct transport *transport_tls_new(const struct uri *uri, int plain_fd, GError **error);
struct transport *transport_ssh_new(const struct uri *uri, bool readonly, int plain_fd,
				    GError **error);
