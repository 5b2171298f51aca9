/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Base64 (RFC 4648), for bytes in JSON. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Both are the caller's to free; NULL of base64_read(): it is none. */
char *base64_make(const void *data, size_t n);
uint8_t *base64_read(const char *text, size_t *ret_n);
