/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ethernet addresses as text. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define MAC_BYTES 6
#define MAC_TEXT_BYTES 18

/* "52:54:00:12:34:56", nothing else.  mac is untouched on failure. */
bool mac_from_text(const char *text, uint8_t mac[MAC_BYTES]);
void mac_to_text(const uint8_t mac[MAC_BYTES], char text[MAC_TEXT_BYTES]);
/* 52:54:00 and three random bytes: the prefix that tools know as a virtual machine's. */
void mac_random(uint8_t mac[MAC_BYTES]);
