/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The ways to what answers in a guest.
 *
 * Over vsock everybody has a connection of their own; a guest that has no
 * driver for it, or no agent yet, refuses.  A virtio port is a single line,
 * which one has alone: that of our agent, or that of a qemu-ga.
 */
#pragma once

#include "vmmd/domain.h"

#define AGENT_ANSWER_MS 5000	/* a guest without the driver never answers */
#define AGENT_QEMU_CHANNEL "org.qemu.guest_agent.0"

/* fd is taken; -1 with an error, which says what is wrong in a few words. */
typedef void agent_dialed(int fd, const GError *error, void *opaque);

void agent_dial_vsock(struct domain *dom, uint32_t port, agent_dialed *done, void *opaque);
/* who: whose it is from now on, as session_who() says it. */
void agent_dial_channel(struct domain *dom, const char *name, const char *who, agent_dialed *done,
			void *opaque);
/* Does the definition have this channel? */
bool agent_has_channel(const domain_def *def, const char *name);
