/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UUIDs: 16 bytes in network order, and their text (RFC 4122). */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define UUID_BYTES 16
#define UUID_TEXT_BYTES 37	/* with the final NUL */

void uuid_random(uint8_t uuid[UUID_BYTES]);
/* Hyphens may be missing, letters may be capitals.  uuid is untouched on failure. */
bool uuid_from_text(const char *text, uint8_t uuid[UUID_BYTES]);
void uuid_to_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES]);
/* For tables whose keys point at the 16 bytes. */
guint uuid_hash(gconstpointer uuid);
gboolean uuid_equal(gconstpointer a, gconstpointer b);
