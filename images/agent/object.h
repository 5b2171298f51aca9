/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed words of a JSON object that somebody else wrote; json-c does the parsing. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* An object, or NULL: what came is none. */
struct json_object *object_read(const void *data, size_t n);

/* NULL: there is no such word, or it is no text (or has a NUL inside). */
const char *object_text(struct json_object *o, const char *key);
bool object_flag(struct json_object *o, const char *key);
/* What is missing is missing; what is there and no number from min to max makes *bad true. */
int64_t object_number(struct json_object *o, const char *key, int64_t missing, int64_t min,
		    int64_t max, bool *bad);
/* A NULL-terminated vector to free() (the texts stay the object's); NULL: it is no list of texts.
 */
const char **object_texts(struct json_object *o, const char *key);

void object_put_text(struct json_object *o, const char *key, const char *text);
void object_put_number(struct json_object *o, const char *key, int64_t number);
