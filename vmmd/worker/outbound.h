/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The outbound proxy: who connects to the internet for a guest, and decides whether. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * Makes the socket of the proxy's vsock port in the working folder, which is
 * the machine's run folder, and starts the proxy as a process of its own, which
 * becomes uid if we are root.  Before the jail.  It ends when *ret_life_fd is
 * closed; that has an end (POLLHUP) when it has ended.
 * rules: of struct allow_rule.
 */
bool outbound_start(const char *uuid_text, uid_t uid, const GArray *rules, int *ret_life_fd,
		    GError **error);

/* "vmm-worker --outbound UUID UID ALLOW...": the proxy itself; the process's exit status. */
int outbound_run(int argc, char **argv);
