/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One request line, then fields; nothing is kept of either but what we ask for. */
#include "config.h"
#include "vmmd/http-head.h"

#include <glib.h>
#include <string.h>

#define FIELDS_MAX 64u

size_t http_head_length(const char *data, size_t bytes)
{
	const char *end = memmem(data, bytes, "\r\n\r\n", 4);

	return end ? (size_t)(end - data) + 4 : 0;
}

const char *http_reason(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 431:
		return "Request Header Fields Too Large";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default:
		return "Bad Request";
	}
}

static bool is_token(const char *text)
{
	if (!*text)
		return false;
	for (; *text; text++)
		if (!g_ascii_isalnum(*text) && !strchr("!#$%&'*+-.^_`|~", *text))
			return false;
	return true;
}

/* Visible ASCII alone: no blank that would split it, no byte that a log could stumble over. */
static bool is_target(const char *text)
{
	if (*text != '/')
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

static int parse_line(const char *line, struct http_head *ret)
{
	g_auto(GStrv) words = g_strsplit(line, " ", 4);

	if (g_strv_length(words) != 3 || !is_token(words[0]) || !is_target(words[1]) ||
	    !g_str_has_prefix(words[2], "HTTP/"))
		return 400;
	if (!g_str_equal(words[2], "HTTP/1.1") && !g_str_equal(words[2], "HTTP/1.0"))
		return 505;
	ret->head_only = g_str_equal(words[0], "HEAD");
	if (!ret->head_only && !g_str_equal(words[0], "GET"))
		return 405;
	words[1][strcspn(words[1], "?")] = 0;
	g_strlcpy(ret->path, words[1], sizeof(ret->path));
	return 200;
}

/* A body would have to be read: nobody sends one with GET. */
static int parse_field(char *field, struct http_head *ret)
{
	char *value = strchr(field, ':');

	if (!value)
		return 400;
	*value++ = 0;
	g_strstrip(value);
	if (!is_token(field))
		return 400;
	for (const char *c = value; *c; c++)
		if (g_ascii_iscntrl(*c) && *c != '\t')
			return 400;
	if (g_ascii_strcasecmp(field, "Transfer-Encoding") == 0 ||
	    (g_ascii_strcasecmp(field, "Content-Length") == 0 && !g_str_equal(value, "0")))
		return 400;
	if (g_ascii_strcasecmp(field, "Accept") == 0)
		ret->openmetrics |= strstr(value, "application/openmetrics-text") != NULL;
	return 200;
}

int http_head_parse(const char *data, size_t bytes, struct http_head *ret)
{
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;
	struct http_head head = { 0 };
	int status;

	if (bytes < 4 || memchr(data, 0, bytes))
		return 400;
	text = g_strndup(data, bytes - 4);	/* without the empty line */
	lines = g_strsplit(text, "\r\n", (int)FIELDS_MAX + 2);
	if (g_strv_length(lines) > FIELDS_MAX + 1)
		return 431;
	status = lines[0] ? parse_line(lines[0], &head) : 400;
	for (unsigned i = 1; status == 200 && lines[i]; i++)
		status = parse_field(lines[i], &head);
	if (status == 200)
		*ret = head;
	return status;
}
