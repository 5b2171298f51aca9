/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bytes to lines. */
#include "config.h"
#include "vmsh/speech.h"

#include <string.h>

#define LINE_BYTES_MAX (16u << 10)	/* a longer one is several */

struct speech {
	void (*fn)(const struct speech_line *line, void *opaque);
	void *opaque;
	GString *line;
	int64_t line_us;
	uint64_t boot;
};

struct speech *speech_new(void (*fn)(const struct speech_line *line, void *opaque), void *opaque)
{
	struct speech *s = g_new0(struct speech, 1);

	s->fn = fn;
	s->opaque = opaque;
	s->line = g_string_new(NULL);
	return s;
}

void speech_free(struct speech *s)
{
	if (!s)
		return;
	g_string_free(s->line, TRUE);
	g_free(s);
}

static void line_end(struct speech *s, const struct feed_bit *bit)
{
	const struct speech_line line = { SPEECH_LINE, bit, s->line_us, s->line->str };

	while (s->line->len && s->line->str[s->line->len - 1] == '\r')
		g_string_truncate(s->line, s->line->len - 1);
	s->fn(&line, s->opaque);
	g_string_truncate(s->line, 0);
}

void speech_flush(struct speech *s, int64_t before_us)
{
	if (s->line->len && s->line_us < before_us)
		line_end(s, NULL);
}

static void mark(struct speech *s, enum speech_kind kind, const struct feed_bit *bit)
{
	const struct speech_line line = { kind, bit, bit->time_us, "" };

	speech_flush(s, G_MAXINT64);
	s->fn(&line, s->opaque);
}

void speech_add(struct speech *s, const struct feed_bit *bit)
{
	const char *data = bit->data;

	if (bit->boot && bit->boot != s->boot)
		mark(s, SPEECH_BOOT, bit);
	s->boot = bit->boot ? bit->boot : s->boot;
	if (bit->missed)
		mark(s, SPEECH_MISSED, bit);
	for (size_t i = 0; i < bit->len; i++) {
		if (!s->line->len)
			s->line_us = bit->time_us;
		if (data[i] == '\n' || s->line->len >= LINE_BYTES_MAX)
			line_end(s, bit);
		if (data[i] != '\n' && data[i] != '\0')
			g_string_append_c(s->line, data[i]);
	}
}
