/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any bytes as the head of an HTTP request: 200 or a refusal, and a path that is a string. */
#include "config.h"
#include "fuzz.h"

#include <string.h>

#include "vmmd/http-head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head head = { .path = "untouched" };
	size_t bytes = http_head_length((const char *)data, size);
	int status;

	g_assert_cmpuint(bytes, <=, size);
	if (!bytes)
		return 0;
	status = http_head_parse((const char *)data, bytes, &head);
	g_assert_nonnull(memchr(head.path, 0, sizeof(head.path)));
	if (status == 200)
		g_assert_cmpint(head.path[0], ==, '/');
	else
		g_assert_cmpstr(head.path, ==, "untouched");
	g_assert_nonnull(http_reason(status));
	return 0;
}
