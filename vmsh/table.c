/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rows of cells as columns, lines or JSON. */
#include "config.h"
#include "vmsh/table-priv.h"

#include <string.h>

#include "vmsh/json.h"
#include "vmsh/size.h"

#define COLUMN_GAP 3
#define SHRINK_TO 8

static void cell_clear(void *cell)
{
	g_free(((struct cell *)cell)->text);
}

struct table *table_new(const struct column *columns)
{
	struct table *t = g_new0(struct table, 1);

	t->columns = columns;
	while (columns[t->n_columns].title)
		t->n_columns++;
	t->cells = g_array_new(FALSE, FALSE, sizeof(struct cell));
	g_array_set_clear_func(t->cells, cell_clear);
	return t;
}

void table_free(struct table *t)
{
	if (!t)
		return;
	g_array_unref(t->cells);
	for (unsigned i = 0; t->own && i < t->n_columns; i++) {
		g_free((char *)t->own[i].title);
		g_free((char *)t->own[i].key);
	}
	g_free(t->own);
	g_free(t);
}

static void add(struct table *t, enum cell_kind kind, uint64_t number, const char *text)
{
	struct cell c = { .kind = kind, .number = number, .text = g_strdup(text) };

	g_array_append_val(t->cells, c);
}

void table_text(struct table *t, const char *text)
{
	if (text)
		add(t, CELL_TEXT, 0, text);
	else
		table_none(t);
}

void table_number(struct table *t, uint64_t n, const char *shown)
{
	g_autofree char *digits = g_strdup_printf("%" G_GUINT64_FORMAT, n);

	add(t, CELL_NUMBER, n, shown ? shown : digits);
}

void table_size(struct table *t, uint64_t bytes)
{
	g_autofree char *shown = size_text(bytes);

	table_number(t, bytes, shown);
}

void table_real(struct table *t, double n, const char *shown)
{
	g_autofree char *digits = g_strdup_printf("%.15g", n);

	add(t, CELL_REAL, 0, shown ? shown : digits);
	g_array_index(t->cells, struct cell, t->cells->len - 1).real = n;
}

void table_bool(struct table *t, bool b, const char *shown)
{
	add(t, CELL_BOOL, b, shown ? shown : b ? "yes" : "no");
}

void table_none(struct table *t)
{
	add(t, CELL_NONE, 0, "-");
}

void table_colour(struct table *t, enum colour colour)
{
	g_assert(t->cells->len > 0);
	g_array_index(t->cells, struct cell, t->cells->len - 1).colour = colour;
}

static unsigned table_rows(const struct table *t)
{
	return t->cells->len / t->n_columns;
}

static const struct cell *cell_at(const struct table *t, unsigned row, unsigned column)
{
	return &g_array_index(t->cells, struct cell, row * t->n_columns + column);
}

/* ---- text ---- */

static unsigned char_width(gunichar c)
{
	if (g_unichar_iszerowidth(c))
		return 0;
	return g_unichar_iswide(c) ? 2 : 1;
}

/* Most of what is shown, and a long list is shown soon. */
static bool is_plain(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return *text == '\0';
}

unsigned text_width(const char *text)
{
	unsigned n = 0;

	if (is_plain(text))
		return (unsigned)strlen(text);
	for (const char *p = text; *p; p = g_utf8_next_char(p))
		n += char_width(g_utf8_get_char(p));
	return n;
}

char *text_harmless(const char *text)
{
	g_autofree char *valid = NULL;
	GString *s;

	if (is_plain(text))
		return g_strdup(text);
	valid = g_utf8_make_valid(text, -1);
	s = g_string_new(NULL);
	for (const char *p = valid; *p; p = g_utf8_next_char(p)) {
		gunichar c = g_utf8_get_char(p);

		if (g_unichar_iscntrl(c) || g_unichar_type(c) == G_UNICODE_FORMAT)
			g_string_append_c(s, g_unichar_isspace(c) ? ' ' : '?');
		else
			g_string_append_unichar(s, c);
	}
	return g_string_free(s, FALSE);
}

char *text_coloured(const char *text, enum colour colour, const struct screen *screen)
{
	static const char *const codes[] = {
		[COLOUR_GREEN] = "32", [COLOUR_YELLOW] = "33", [COLOUR_RED] = "31",
		[COLOUR_DIM] = "2",    [COLOUR_BOLD] = "1",
	};

	if (!screen->colour || colour == COLOUR_NONE)
		return g_strdup(text);
	return g_strdup_printf("\033[%sm%s\033[0m", codes[colour], text);
}

/* At most `width` columns of text, with an ellipsis where it was cut. */
static char *text_cut(const char *text, unsigned width, bool utf8)
{
	const char *dots = utf8 ? "\u2026" : "...";
	unsigned room = width - MIN(width, utf8 ? 1u : 3u), used = 0;
	const char *p = text;

	if (text_width(text) <= width)
		return g_strdup(text);
	while (*p && used + char_width(g_utf8_get_char(p)) <= room) {
		used += char_width(g_utf8_get_char(p));
		p = g_utf8_next_char(p);
	}
	return g_strdup_printf("%.*s%s", (int)(p - text), text, dots);
}

void text_append_wrapped(GString *s, const char *text, unsigned indent, unsigned width)
{
	g_auto(GStrv) words = g_strsplit(text, " ", 0);
	unsigned column = indent;

	for (unsigned i = 0; words[i]; i++) {
		unsigned n = text_width(words[i]);

		if (i > 0 && column + 1 + n > width) {
			g_string_append_printf(s, "\n%*s", (int)indent, "");
			column = indent;
		} else if (i > 0) {
			g_string_append_c(s, ' ');
			column++;
		}
		g_string_append(s, words[i]);
		column += n;
	}
	g_string_append_c(s, '\n');
}

/* ---- layout ---- */

static unsigned layout_total(const unsigned *width, unsigned n)
{
	unsigned total = 1;

	for (unsigned c = 0; c < n; c++)
		total += width[c] ? width[c] + (c > 0 ? COLUMN_GAP : 0) : 0;
	return total;
}

/* Takes one column from the widest that may shrink; false when none may. */
static bool layout_shrink(const struct table *t, unsigned *width)
{
	unsigned widest = t->n_columns;

	for (unsigned c = 0; c < t->n_columns; c++) {
		if (!(t->columns[c].flags & COLUMN_SHRINK) || width[c] <= SHRINK_TO)
			continue;
		if (widest == t->n_columns || width[c] > width[widest])
			widest = c;
	}
	if (widest == t->n_columns)
		return false;
	width[widest]--;
	return true;
}

static bool layout_drop(const struct table *t, unsigned *width)
{
	for (unsigned c = t->n_columns; c-- > 0;) {
		if ((t->columns[c].flags & COLUMN_DROP) && width[c]) {
			width[c] = 0;
			return true;
		}
	}
	return false;
}

/* Columns' widths; 0 for one that is left out. */
static unsigned *layout(const struct table *t, const struct screen *screen)
{
	unsigned *width = g_new0(unsigned, t->n_columns);

	for (unsigned c = 0; c < t->n_columns; c++) {
		if (t->columns[c].flags & COLUMN_JSON)
			continue;
		width[c] = text_width(t->columns[c].title);
		for (unsigned r = 0; r < table_rows(t); r++) {
			g_autofree char *shown = text_harmless(cell_at(t, r, c)->text);

			width[c] = MAX(width[c], text_width(shown));
		}
	}
	while (screen->width && layout_total(width, t->n_columns) > screen->width) {
		if (!layout_shrink(t, width) && !layout_drop(t, width))
			break;
	}
	return width;
}

static void append_cell(GString *s, const char *text, enum colour colour, bool right,
			unsigned width, const struct screen *screen)
{
	g_autofree char *harmless = text_harmless(text);
	g_autofree char *cut = text_cut(harmless, width, screen->utf8);
	g_autofree char *coloured = text_coloured(cut, colour, screen);
	int pad = width - MIN(width, text_width(cut));

	g_string_append_printf(s, "%*s%s%*s", right ? pad : 0, "", coloured, right ? 0 : pad, "");
}

static void strip_right(GString *s)
{
	while (s->len > 0 && s->str[s->len - 1] == ' ')
		g_string_truncate(s, s->len - 1);
}

static void append_row(GString *s, const struct table *t, int row, const unsigned *width,
		       const struct screen *screen)
{
	bool first = true;

	g_string_append_c(s, ' ');
	for (unsigned c = 0; c < t->n_columns; c++) {
		const struct cell *cell = row < 0 ? NULL : cell_at(t, row, c);

		if (!width[c])
			continue;
		g_string_append_printf(s, "%*s", first ? 0 : COLUMN_GAP, "");
		append_cell(s, cell ? cell->text : t->columns[c].title,
			    cell ? cell->colour : COLOUR_BOLD, t->columns[c].flags & COLUMN_RIGHT,
			    width[c], screen);
		first = false;
	}
	strip_right(s);
	g_string_append_c(s, '\n');
}

char *table_render(const struct table *t, const struct screen *screen)
{
	g_autofree unsigned *width = layout(t, screen);
	unsigned total = layout_total(width, t->n_columns) + 1;
	GString *s = g_string_new(NULL);

	append_row(s, t, -1, width, screen);
	if (screen->width)
		total = MIN(total, screen->width);
	for (unsigned i = 0; i < total; i++)
		g_string_append_c(s, '-');
	g_string_append_c(s, '\n');
	for (unsigned r = 0; r < table_rows(t); r++)
		append_row(s, t, r, width, screen);
	return g_string_free(s, FALSE);
}

char *table_render_record(const struct table *t, const struct screen *screen)
{
	GString *s = g_string_new(NULL);
	unsigned widest = 0;

	for (unsigned c = 0; c < t->n_columns; c++)
		widest = MAX(widest, text_width(t->columns[c].title));
	for (unsigned c = 0; c < t->n_columns; c++) {
		const struct cell *cell = cell_at(t, 0, c);
		g_autofree char *harmless = text_harmless(cell->text);
		g_autofree char *shown = text_coloured(harmless, cell->colour, screen);
		int pad = widest - text_width(t->columns[c].title);

		g_string_append_printf(s, "%s:%*s %s\n", t->columns[c].title, pad, "", shown);
	}
	return g_string_free(s, FALSE);
}

static void json_row(struct json *j, const struct table *t, unsigned row)
{
	json_begin_object(j, NULL);
	for (unsigned c = 0; c < t->n_columns; c++) {
		const struct cell *cell = cell_at(t, row, c);
		const char *key = t->columns[c].key;

		switch (cell->kind) {
		case CELL_NONE:
			json_null(j, key);
			break;
		case CELL_TEXT:
			json_string(j, key, cell->text);
			break;
		case CELL_NUMBER:
			json_number(j, key, cell->number);
			break;
		case CELL_REAL:
			json_double(j, key, cell->real);
			break;
		case CELL_BOOL:
			json_bool(j, key, cell->number);
			break;
		}
	}
	json_end(j);
}

char *table_render_json(const struct table *t, bool single)
{
	struct json *j = json_new();

	if (single) {
		json_row(j, t, 0);
		return json_finish(j);
	}
	json_begin_array(j, NULL);
	for (unsigned r = 0; r < table_rows(t); r++)
		json_row(j, t, r);
	json_end(j);
	return json_finish(j);
}
