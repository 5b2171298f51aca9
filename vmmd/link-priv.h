/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of link share: calls. */
#pragma once

#include "vmmd/link.h"

/* A worker answers what is not START from its main loop, a switch all: else it is stuck. */
#define CALL_TIMEOUT_MS 10000

struct link_pending {
	xdrproc_t proc;			/* of the result */
	link_done *done;
	link_fd_done *fd_done;
	void *opaque;
};

/* timeout_ms 0: it waits as long as it takes; fds are duplicated. */
void link_call(struct link *link, int procedure, xdrproc_t proc, const void *args, const int *fds,
	       unsigned n_fds, unsigned timeout_ms, struct link_pending pending);

#define LINK_VOID_RESULT \
	(struct link_pending){ .proc = (xdrproc_t)xdr_remote_none, .done = done, .opaque = opaque }
#define LINK_NONE (xdrproc_t)xdr_remote_none, &(remote_none){ 0 }
