/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Regular expressions in what a console says. */
#include "config.h"
#include "vmsh/match.h"

#include <string.h>

#include "vmsh/usage.h"

#define TEXT_MAX (1u << 20)
#define LINE_MAX_BYTES (16u << 10)	/* longer ones are looked at in pieces */
#define RECENT_BYTES 300

struct match {
	GString *text;		/* not looked at, but for the beginning of its last line */
	GString *recent;
};

struct match *match_new(void)
{
	struct match *m = g_new(struct match, 1);

	*m = (struct match){ g_string_new(NULL), g_string_new(NULL) };
	return m;
}

void match_free(struct match *m)
{
	if (!m)
		return;
	g_string_free(m->text, TRUE);
	g_string_free(m->recent, TRUE);
	g_free(m);
}

GRegex *match_regex(const char *pattern, GError **error)
{
	g_autoptr(GError) why = NULL;
	GRegex *regex = g_regex_new(pattern, G_REGEX_RAW | G_REGEX_OPTIMIZE, 0, &why);
	const char *text = why ? strrchr(why->message, ':') : NULL;

	if (!regex)
		usage_error(error, "'%s' is no regular expression%s", pattern, text ? text : "");
	return regex;
}

static void keep_last(GString *s, size_t max)
{
	if (s->len > max)
		g_string_erase(s, 0, (gssize)(s->len - max));
}

void match_add(struct match *m, const void *data, size_t len)
{
	const char *bytes = data;

	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\r' && bytes[i] != '\0')
			g_string_append_c(m->text, bytes[i]);
	}
	g_string_append_len(m->recent, bytes, (gssize)len);
	keep_last(m->recent, RECENT_BYTES);
	keep_last(m->text, TEXT_MAX);
}

/* The end of the leftmost hit in the line, or -1. */
static int line_find(const char *line, size_t len, GRegex *regex)
{
	g_autoptr(GMatchInfo) info = NULL;
	int end = -1;

	if (g_regex_match_full(regex, line, (gssize)len, 0, 0, &info, NULL))
		g_match_info_fetch_pos(info, 0, NULL, &end);
	return end;
}

int match_find(struct match *m, GRegex *const *regexes, unsigned n)
{
	size_t at = 0;

	while (at < m->text->len) {
		const char *line = m->text->str + at;
		const char *newline = memchr(line, '\n', m->text->len - at);
		size_t len = newline ? (size_t)(newline - line) : m->text->len - at;

		for (unsigned i = 0; i < n; i++) {
			int end = line_find(line, len, regexes[i]);

			if (end < 0)
				continue;
			g_string_erase(m->text, 0, (gssize)at + end);
			return (int)i;
		}
		if (!newline && len < LINE_MAX_BYTES)
			break;
		at += len + (newline != NULL);
	}
	g_string_erase(m->text, 0, (gssize)at);
	return -1;
}

char *match_recent(const struct match *m)
{
	char *text = g_strdup(m->recent->str), *at = text + strlen(text);
	unsigned lines = 0;

	g_strchomp(text);
	at = text + strlen(text);
	while (at > text && lines < 3)
		lines += *--at == '\n';
	if (*at == '\n')
		at++;
	memmove(text, at, strlen(at) + 1);
	return text;
}
