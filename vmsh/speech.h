/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a console said, as lines, each with the time of its first byte. */
#pragma once

#include "vmsh/feed.h"

enum speech_kind { SPEECH_LINE, SPEECH_BOOT, SPEECH_MISSED };

struct speech_line {
	enum speech_kind kind;
	const struct feed_bit *bit;	/* that ended it; NULL: speech_flush() did */
	int64_t time_us;
	const char *text;		/* no newline, no CR at its end; bytes of any kind but 0 */
};

struct speech;

struct speech *speech_new(void (*fn)(const struct speech_line *line, void *opaque), void *opaque);
void speech_free(struct speech *s);
void speech_add(struct speech *s, const struct feed_bit *bit);
/* A line that has no end yet, if it was begun before then. */
void speech_flush(struct speech *s, int64_t before_us);
