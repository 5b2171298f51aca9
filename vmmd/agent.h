/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The way from a client to the agent in a guest: docs/agent-protocol.md, which passes unread. */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/server.h"

/* Answers the call, now or later; then the client's stream leads to the agent. */
void agent_relay(struct call *call, struct domain *dom);
/* Likewise to a port of the guest's vsock. */
void agent_relay_port(struct call *call, struct domain *dom, uint32_t port);
