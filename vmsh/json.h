/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing JSON, indented. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

struct json;

struct json *json_new(void);
/* On one line. */
struct json *json_new_line(void);
/* The text, with a newline at its end; the writer is gone.  Everything must be closed. */
char *json_finish(struct json *j);

/* key is NULL inside an array and at the top. */
void json_begin_object(struct json *j, const char *key);
void json_begin_array(struct json *j, const char *key);
void json_end(struct json *j);

/* text NULL writes null; what is not UTF-8 is replaced. */
void json_string(struct json *j, const char *key, const char *text);
void json_number(struct json *j, const char *key, uint64_t n);
void json_signed(struct json *j, const char *key, int64_t n);
void json_double(struct json *j, const char *key, double n);
void json_bool(struct json *j, const char *key, bool b);
void json_null(struct json *j, const char *key);
