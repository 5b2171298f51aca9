/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a command prints: rows of cells.  The same rows come out as columns
 * that fit the terminal, as "Title: value" lines, or as JSON.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum column_flags {
	COLUMN_RIGHT = 1,	/* numbers */
	COLUMN_SHRINK = 2,	/* may be cut with an ellipsis */
	COLUMN_DROP = 4,	/* left out when even that is too wide, the last one first */
	COLUMN_JSON = 8,	/* in JSON only */
};

struct column {
	const char *title;
	const char *key;	/* in JSON */
	unsigned flags;
};

enum colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_DIM, COLOUR_BOLD };

/* What the output can do. */
struct screen {
	unsigned width;		/* columns; 0: no limit */
	bool colour;
	bool utf8;
};

struct table;

/* columns end with one that has no title; they must outlive the table. */
struct table *table_new(const struct column *columns);
void table_free(struct table *t);
typedef struct table table;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(table, table_free)

/* Cells from left to right; a full row begins the next. */
void table_text(struct table *t, const char *text);		/* NULL as table_none() */
void table_number(struct table *t, uint64_t n, const char *shown);	/* shown NULL: the number */
void table_size(struct table *t, uint64_t bytes);		/* JSON has the bytes */
void table_real(struct table *t, double n, const char *shown);
void table_bool(struct table *t, bool b, const char *shown);
void table_none(struct table *t);				/* "-", null */
void table_colour(struct table *t, enum colour colour);		/* of the last cell */

char *table_render(const struct table *t, const struct screen *screen);
/* One row, a line for each column. */
char *table_render_record(const struct table *t, const struct screen *screen);
/* An array of objects, or with `single` the first row's object. */
char *table_render_json(const struct table *t, bool single);

/* For another vmsh. */
GBytes *table_to_bytes(const struct table *t);
/*
 * Adds the rows of such a table, each with `head` in the first column.  *t
 * NULL: it is made, with that column before the others.  False: bytes are no
 * table, or one with other columns.
 */
bool table_append_bytes(struct table **t, const struct column *first, const char *head,
			GBytes *bytes);

/* text for a terminal: what others wrote cannot move the cursor or change colours. */
char *text_harmless(const char *text);
/* text in colour, if the screen has any. */
char *text_coloured(const char *text, enum colour colour, const struct screen *screen);
/*
 * text from column `indent` on, broken at spaces so that no line is wider than
 * width if that can be; later lines are indented as much.  Ends with a newline.
 */
void text_append_wrapped(GString *s, const char *text, unsigned indent, unsigned width);
/* Columns that text takes. */
unsigned text_width(const char *text);
