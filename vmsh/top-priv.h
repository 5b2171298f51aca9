/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What top.c, the keys, and top-view.c, the picture, share. */
#pragma once

#include "vmsh/top-sample.h"
#include "vmsh/top.h"

#define TOP_LINES_AROUND 5	/* summary, blank, titles and their line; the message */

extern const char *const top_sort_names[N_SORTS];

struct top {
	struct shell *sh;
	struct top_sample *sample;
	enum top_sort sort;
	bool reverse, all, help;
	unsigned first;		/* row at the top of the screen */
	unsigned at;		/* the selected row */
	char *selected;		/* and its uuid, which it keeps when rows move; NULL */
	char *message;
	GThreadPool *actions;
	GAsyncQueue *ended;	/* struct action */
	unsigned pending;
};

extern const struct column top_columns[];

void top_add_row(struct table *t, const struct top_row *r, bool coloured);
/* The first line: all together. */
char *top_summary(const struct top *top);
void top_draw(struct top *top);
