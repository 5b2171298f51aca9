/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UUIDs. */
#include "config.h"
#include "libvmm/util/uuid.h"

#include <glib.h>
#include <string.h>

bool uuid_from_text(const char *text, uint8_t uuid[UUID_BYTES])
{
	uint8_t bytes[UUID_BYTES] = { 0 };
	unsigned digits = 0;

	for (; *text; text++) {
		int digit = g_ascii_xdigit_value(*text);

		if (digit < 0) {
			if (*text != '-' || digits == 0 || digits % 2 || text[-1] == '-')
				return false;
			continue;
		}
		if (digits == 2 * UUID_BYTES)
			return false;
		bytes[digits / 2] |= digits % 2 ? digit : digit << 4;
		digits++;
	}
	if (digits != 2 * UUID_BYTES || text[-1] == '-')
		return false;
	memcpy(uuid, bytes, UUID_BYTES);
	return true;
}

void uuid_random(uint8_t uuid[UUID_BYTES])
{
	g_autofree char *text = g_uuid_string_random();

	uuid_from_text(text, uuid);
}

void uuid_to_text(const uint8_t uuid[UUID_BYTES], char text[UUID_TEXT_BYTES])
{
	static const char hex[] = "0123456789abcdef";

	for (unsigned i = 0; i < UUID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = hex[uuid[i] >> 4];
		*text++ = hex[uuid[i] & 15];
	}
	*text = '\0';
}

guint uuid_hash(gconstpointer uuid)
{
	guint hash = 5381;

	for (const uint8_t *b = uuid, *end = b + UUID_BYTES; b < end; b++)
		hash = hash * 33 + *b;
	return hash;
}

gboolean uuid_equal(gconstpointer a, gconstpointer b)
{
	return memcmp(a, b, UUID_BYTES) == 0;
}
