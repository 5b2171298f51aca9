/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing JSON, indented. */
#include "config.h"
#include "vmsh/json.h"

#include <math.h>

struct json {
	GString *out;
	GString *closers;	/* one "}" or "]" for each level that is open */
	bool first;		/* nothing yet on this level */
	bool line;		/* all on one */
};

struct json *json_new(void)
{
	struct json *j = g_new0(struct json, 1);

	j->out = g_string_new(NULL);
	j->closers = g_string_new(NULL);
	j->first = true;
	return j;
}

struct json *json_new_line(void)
{
	struct json *j = json_new();

	j->line = true;
	return j;
}

char *json_finish(struct json *j)
{
	char *text;

	g_assert(j->closers->len == 0);
	g_string_append_c(j->out, '\n');
	text = g_string_free(j->out, FALSE);
	g_string_free(j->closers, TRUE);
	g_free(j);
	return text;
}

static void newline(struct json *j)
{
	if (j->line)
		return;
	g_string_append_c(j->out, '\n');
	for (size_t i = 0; i < j->closers->len; i++)
		g_string_append(j->out, "  ");
}

static void append_quoted(GString *out, const char *text)
{
	g_autofree char *valid = g_utf8_make_valid(text, -1);

	g_string_append_c(out, '"');
	for (const char *p = valid; *p; p++) {
		if (*p == '"' || *p == '\\')
			g_string_append_printf(out, "\\%c", *p);
		else if (*p == '\n')
			g_string_append(out, "\\n");
		else if (*p == '\t')
			g_string_append(out, "\\t");
		else if ((unsigned char)*p < 0x20 || *p == 0x7f)
			g_string_append_printf(out, "\\u%04x", *p);
		else
			g_string_append_c(out, *p);
	}
	g_string_append_c(out, '"');
}

/* Comma, line and key: what stands before each value. */
static void value_begin(struct json *j, const char *key)
{
	if (!j->first)
		g_string_append(j->out, j->line ? ", " : ",");
	if (j->closers->len > 0)
		newline(j);
	j->first = false;
	if (!key)
		return;
	append_quoted(j->out, key);
	g_string_append(j->out, ": ");
}

static void level_begin(struct json *j, const char *key, char opener, char closer)
{
	value_begin(j, key);
	g_string_append_c(j->out, opener);
	g_string_append_c(j->closers, closer);
	j->first = true;
}

void json_begin_object(struct json *j, const char *key)
{
	level_begin(j, key, '{', '}');
}

void json_begin_array(struct json *j, const char *key)
{
	level_begin(j, key, '[', ']');
}

void json_end(struct json *j)
{
	char closer;

	g_assert(j->closers->len > 0);
	closer = j->closers->str[j->closers->len - 1];
	g_string_truncate(j->closers, j->closers->len - 1);
	if (!j->first)
		newline(j);
	g_string_append_c(j->out, closer);
	j->first = false;
}

void json_string(struct json *j, const char *key, const char *text)
{
	value_begin(j, key);
	if (text)
		append_quoted(j->out, text);
	else
		g_string_append(j->out, "null");
}

void json_number(struct json *j, const char *key, uint64_t n)
{
	value_begin(j, key);
	g_string_append_printf(j->out, "%" G_GUINT64_FORMAT, n);
}

void json_signed(struct json *j, const char *key, int64_t n)
{
	value_begin(j, key);
	g_string_append_printf(j->out, "%" G_GINT64_FORMAT, n);
}

void json_double(struct json *j, const char *key, double n)
{
	char text[G_ASCII_DTOSTR_BUF_SIZE];

	value_begin(j, key);
	g_string_append(j->out, isfinite(n) ? g_ascii_dtostr(text, sizeof(text), n) : "null");
}

void json_bool(struct json *j, const char *key, bool b)
{
	value_begin(j, key);
	g_string_append(j->out, b ? "true" : "false");
}

void json_null(struct json *j, const char *key)
{
	json_string(j, key, NULL);
}
