/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes and durations as people write and read them. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

/* "512", "512M", "1.5G", "4GiB": bytes.  A number without a suffix counts units. */
bool size_parse(const char *text, uint64_t unit, uint64_t *ret);

/* "512 MiB", "1.5 GiB" */
char *size_text(uint64_t bytes);

/* "2" and "2s", "500ms", "1.5m", "1h", "1d": milliseconds. */
bool duration_parse(const char *text, uint64_t *ret_ms);

/* "42s", "3m 10s", "2h 5m", "4d 3h" */
char *duration_text(uint64_t seconds);
