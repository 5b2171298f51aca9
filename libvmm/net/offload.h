/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a card's driver leaves to others (virtio 1.2, 5.1.6.2): checksums, and
 * cutting large TCP segments.  Between guests that both know how, a frame goes
 * through as it is; else this is the card that does it.
 *
 * data is a frame with its NET_HDR_BYTES, len both together.
 */
#pragma once

#include "libvmm/net/net.h"

/* May this be handed to another guest?  Takes hints out that need not be true. */
bool offload_check(uint8_t *data, size_t len);
/* What a receiver must know to take it as it is: a set of enum net_offload. */
unsigned offload_needs(const uint8_t *data);
/* Fills in the checksum; a large segment stays one (for those who take any size). */
void offload_checksum(uint8_t *data, size_t len);

typedef void offload_emit(void *opaque, const uint8_t *data, size_t len);
/* Cuts a large segment; scratch has room for NET_HDR_BYTES + NET_FRAME_MAX. */
void offload_segment(const uint8_t *data, size_t len, uint8_t *scratch, offload_emit *emit,
		     void *opaque);
