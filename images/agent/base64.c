/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base64 (RFC 4648): the agent is static and has no library for it. */
#include "config.h"

#include "images/agent/base64.h"

#include <stdlib.h>
#include <string.h>

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_make(const void *data, size_t n)
{
	const uint8_t *p = data;
	char *text = malloc((n + 2) / 3 * 4 + 1), *to = text;

	if (!text)
		abort();
	for (size_t i = 0; i < n; i += 3) {
		uint32_t bits = p[i] << 16 | (i + 1 < n ? p[i + 1] : 0) << 8 |
				(i + 2 < n ? p[i + 2] : 0);
		*to++ = letters[bits >> 18];
		*to++ = letters[bits >> 12 & 63];
		*to++ = i + 1 < n ? letters[bits >> 6 & 63] : '=';
		*to++ = i + 2 < n ? letters[bits & 63] : '=';
	}
	*to = 0;
	return text;
}

uint8_t *base64_read(const char *text, size_t *ret_n)
{
	size_t n = strlen(text), pad = n > 1 ? (text[n - 1] == '=') + (text[n - 2] == '=') : 0;
	uint8_t *data = n % 4 ? NULL : malloc(n / 4 * 3 + 1), *to = data;
	uint32_t bits = 0;

	for (size_t i = 0; data && i < n; i++) {
		const char *at = text[i] && i < n - pad ? strchr(letters, text[i]) : letters;
		if (!at) {
			free(data);
			return NULL;
		}
		bits = bits << 6 | (uint32_t)(at - letters);
		if (i % 4 == 3) {
			*to++ = bits >> 16;
			*to++ = bits >> 8;
			*to++ = bits;
		}
	}
	if (data)
		*ret_n = n / 4 * 3 - pad;
	return data;
}
