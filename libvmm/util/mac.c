/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ethernet addresses: read, written, made. */
#include "config.h"
#include "libvmm/util/mac.h"

#include <string.h>

bool mac_from_text(const char *text, uint8_t mac[MAC_BYTES])
{
	uint8_t bytes[MAC_BYTES];

	if (strlen(text) != MAC_TEXT_BYTES - 1)
		return false;
	for (unsigned i = 0; i < MAC_BYTES; i++) {
		int hi = g_ascii_xdigit_value(text[3 * i]),
		    lo = g_ascii_xdigit_value(text[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < MAC_BYTES - 1 && text[3 * i + 2] != ':'))
			return false;
		bytes[i] = (uint8_t)(hi << 4 | lo);
	}
	memcpy(mac, bytes, MAC_BYTES);
	return true;
}

void mac_to_text(const uint8_t mac[MAC_BYTES], char text[MAC_TEXT_BYTES])
{
	g_snprintf(text, MAC_TEXT_BYTES, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		   mac[3], mac[4], mac[5]);
}

void mac_random(uint8_t mac[MAC_BYTES])
{
	guint32 random = g_random_int();

	memcpy(mac, "\x52\x54\x00", 3);
	memcpy(mac + 3, &random, 3);
}
