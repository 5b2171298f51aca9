/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A card's end of a cable to a switch (switch.h): a SOCK_SEQPACKET socket,
 * one frame with its virtio header in each packet.  A packet of PORT_NOTE_BYTES
 * is no frame but a word of the card: which offloads its guest takes.
 */
#pragma once

#include "libvmm/net/net.h"

#define PORT_NOTE_BYTES 4	/* enum net_offload, in the host's order */

/* Takes fd on success. */
struct net_backend *port_net_new(int fd, GMainContext *owner, GError **error);
/* Another cable in place of this one, which may be dead; takes fd. */
void port_net_plug(struct net_backend *b, int fd);
/* Is it such a backend? */
bool port_net_is(const struct net_backend *b);
