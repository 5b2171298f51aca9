/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the page says, as JSON. */
#include "config.h"
#include "vmsh/web/said.h"

#include "images/agent/object.h"

static int64_t number(struct json_object *o, const char *key)
{
	bool bad = false;
	int64_t n = object_number(o, key, -1, 0, SAID_BYTES_MAX, &bad);

	return bad ? -1 : n;
}

bool said_parse(const void *data, size_t n, struct said *ret)
{
	struct json_object *o = object_read(data, n);

	*ret = (struct said){ .bytes = -1, .columns = -1, .rows = -1 };
	if (!o)
		return false;
	ret->what = g_strdup(object_text(o, "do"));
	ret->domain = g_strdup(object_text(o, "domain"));
	ret->snapshot = g_strdup(object_text(o, "snapshot"));
	ret->token = g_strdup(object_text(o, "token"));
	ret->bytes = number(o, "bytes");
	ret->columns = number(o, "columns");
	ret->rows = number(o, "rows");
	json_object_put(o);
	return true;
}

void said_clear(struct said *s)
{
	g_free(s->what);
	g_free(s->domain);
	g_free(s->snapshot);
	g_free(s->token);
}
