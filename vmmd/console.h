/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Console streams: a client's stream on one side, a socket to the worker's hub on the other. */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/server.h"

/* Ours, beside libvirt's 1 (force) and 2 (safe): look on, beside the one who writes. */
#define CONSOLE_WATCH 0x100

/* mode: WORKER_CONSOLE_*.  Answers the call, now or later; what was written before is replayed. */
void console_open(struct call *call, struct domain *dom, const char *device, unsigned mode,
		  bool replay);
/*
 * Does this session type on the console (its alias, the name by which it was
 * opened, or "": any)?  Who was taken over, or looks on, does not.
 */
bool console_is_writer(const struct session *session, const struct domain *dom,
		       const char *device);
/*
 * fd, which it takes, is the other end of the client's stream from now on; no
 * console's, so nobody counts as its writer.
 */
void console_relay(struct session *session, const struct frame_header *hdr, int fd);
