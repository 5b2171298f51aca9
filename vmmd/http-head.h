/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The head of an HTTP/1 request, as strictly as RFC 9112 lets a server be that
 * has one resource and takes no body: whatever is odd is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define HTTP_HEAD_BYTES_MAX 8192u

struct http_head {
	bool head_only;			/* HEAD */
	char path[64];			/* without the query; cut, if it is longer */
	bool openmetrics;		/* "Accept" names it */
};

/* Where the head ends, behind its empty line; 0: not yet. */
size_t http_head_length(const char *data, size_t bytes);
/* Of a whole head.  200, or the status of the refusal; *ret is set with 200 alone. */
int http_head_parse(const char *data, size_t bytes, struct http_head *ret);
const char *http_reason(int status);
