/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting for a guest that boots, and showing how far it is. */
#pragma once

#include "vmsh/shell.h"

struct agent;

/*
 * As agent_open(), of a guest that has just been started: while it is waited for, a terminal shows
 * the console's last line and what is missing, on one line; *error says what the guest said last.
 */
struct agent *boot_watch_agent(struct shell *sh, vmm_domain *dom, uint64_t timeout_ms, bool show,
			       GError **error);
/* That, when there is nothing to say to the agent. */
bool boot_watch_ready(struct shell *sh, vmm_domain *dom, uint64_t timeout_ms, bool show,
		      GError **error);
