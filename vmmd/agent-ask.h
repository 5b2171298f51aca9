/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A command of QEMU's guest agent protocol to what answers in a guest: our
 * agent, or else a qemu-ga at the channel org.qemu.guest_agent.0.
 */
#pragma once

#include <json-c/json.h>

#include "vmmd/domain.h"

struct agent_wish {
	const char *command;		/* an object of JSON */
	const char *who;		/* session_who(), or why */
	unsigned timeout_ms;		/* for the answer; 0: what the domain has */
	unsigned thaw_after_s;		/* of one that freezes; 0: as the agent likes */
};

/* ret: what the command returned; text: the whole answer.  Both are gone when it returns. */
typedef void agent_done(struct json_object *ret, const char *text, const GError *error,
			void *opaque);

/* An error is VMM_ERR_AGENT when nobody answers, _OPERATION_FAILED when the guest says no. */
void agent_ask(struct domain *dom, const struct agent_wish *wish, agent_done *done, void *opaque);
/* All that wait are told that there is no answer. */
void agent_asks_end(struct daemon *daemon);

/* A command; args, which it takes, may be NULL. */
char *agent_command(const char *name, struct json_object *args);
