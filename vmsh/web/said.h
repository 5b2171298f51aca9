/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the page says, as JSON: one object of few words. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SAID_BYTES_MAX (1 << 20)	/* of what "seen" and "size" may count */

/* What was not said, or is not of its kind, is NULL or -1. */
struct said {
	char *what;			/* "do" */
	char *domain, *snapshot, *token;
	int64_t bytes, columns, rows;
};

/* False: it is no object. */
bool said_parse(const void *data, size_t n, struct said *ret);
void said_clear(struct said *s);
typedef struct said said;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(said, said_clear)
