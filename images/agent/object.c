/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed words of a JSON object that somebody else wrote. */
#include "config.h"

#include "images/agent/object.h"

#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 8

struct json_object *object_read(const void *data, size_t n)
{
	struct json_tokener *t = json_tokener_new_ex(DEPTH_MAX);
	if (!t)
		return NULL;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	struct json_object *o = json_tokener_parse_ex(t, data, n);
	if (o &&
	    (!json_object_is_type(o, json_type_object) || json_tokener_get_parse_end(t) != n)) {
		json_object_put(o);
		o = NULL;
	}
	json_tokener_free(t);
	return o;
}

static const char *text_of(struct json_object *v)
{
	if (!json_object_is_type(v, json_type_string))
		return NULL;
	const char *s = json_object_get_string(v);
	return strlen(s) == (size_t)json_object_get_string_len(v) ? s : NULL;
}

const char *object_text(struct json_object *o, const char *key)
{
	return text_of(json_object_object_get(o, key));
}

bool object_flag(struct json_object *o, const char *key)
{
	struct json_object *v = json_object_object_get(o, key);
	return json_object_is_type(v, json_type_boolean) && json_object_get_boolean(v);
}

int64_t object_number(struct json_object *o, const char *key, int64_t missing, int64_t min,
		    int64_t max, bool *bad)
{
	struct json_object *v = json_object_object_get(o, key);
	if (!v)
		return missing;
	int64_t n = json_object_get_int64(v);
	if (!json_object_is_type(v, json_type_int) || n < min || n > max) {
		*bad = true;
		return missing;
	}
	return n;
}

const char **object_texts(struct json_object *o, const char *key)
{
	struct json_object *list = json_object_object_get(o, key);
	size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
	if (list && !json_object_is_type(list, json_type_array))
		return NULL;

	const char **texts = calloc(n + 1, sizeof(*texts));
	for (size_t i = 0; texts && i < n; i++) {
		texts[i] = text_of(json_object_array_get_idx(list, i));
		if (!texts[i]) {
			free(texts);
			return NULL;
		}
	}
	return texts;
}

void object_put_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, json_object_new_string(text));
}

void object_put_number(struct json_object *o, const char *key, int64_t number)
{
	json_object_object_add(o, key, json_object_new_int64(number));
}
