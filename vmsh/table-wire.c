/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables from one vmsh to another, as a GVariant: columns, then cells. */
#include "config.h"
#include "vmsh/table-priv.h"

#define COLUMNS_MAX 200
#define FORMAT "(a(ssu)a(uutds))"

GBytes *table_to_bytes(const struct table *t)
{
	g_autoptr(GVariant) v = NULL;
	GVariantBuilder columns, cells;

	g_variant_builder_init(&columns, G_VARIANT_TYPE("a(ssu)"));
	for (unsigned i = 0; i < t->n_columns; i++)
		g_variant_builder_add(&columns, "(ssu)", t->columns[i].title, t->columns[i].key,
				      t->columns[i].flags);
	g_variant_builder_init(&cells, G_VARIANT_TYPE("a(uutds)"));
	for (unsigned i = 0; i < t->cells->len; i++) {
		const struct cell *c = &g_array_index(t->cells, struct cell, i);
		g_autofree char *text = g_utf8_make_valid(c->text, -1);

		g_variant_builder_add(&cells, "(uutds)", c->kind, c->colour, c->number, c->real,
				      text);
	}
	v = g_variant_ref_sink(g_variant_new(FORMAT, &columns, &cells));
	return g_variant_get_data_as_bytes(v);
}

static struct table *table_of(GVariant *columns, const struct column *first)
{
	size_t n = g_variant_n_children(columns);
	struct column *own = g_new0(struct column, n + 2);
	struct table *t;

	own[0] = (struct column){ g_strdup(first->title), g_strdup(first->key), first->flags };
	for (size_t i = 0; i < n; i++)
		g_variant_get_child(columns, i, "(ssu)", &own[i + 1].title, &own[i + 1].key,
				    &own[i + 1].flags);
	t = table_new(own);
	t->own = own;
	return t;
}

static bool columns_agree(const struct table *t, GVariant *columns)
{
	bool same = t->n_columns == g_variant_n_children(columns) + 1;

	for (unsigned i = 1; same && i < t->n_columns; i++) {
		const char *title, *key;
		unsigned flags;

		g_variant_get_child(columns, i - 1, "(&s&su)", &title, &key, &flags);
		same = g_str_equal(title, t->columns[i].title);
	}
	return same;
}

static bool cells_append(struct table *t, GVariant *cells, const char *head)
{
	size_t n = g_variant_n_children(cells);

	if (n % (t->n_columns - 1) != 0)
		return false;
	for (size_t i = 0; i < n; i++) {
		struct cell c = { 0 };

		if (i % (t->n_columns - 1) == 0)
			table_text(t, head);
		g_variant_get_child(cells, i, "(uutds)", &c.kind, &c.colour, &c.number, &c.real,
				    &c.text);
		c.kind = MIN(c.kind, CELL_BOOL);
		c.colour = MIN(c.colour, COLOUR_BOLD);
		g_array_append_val(t->cells, c);
	}
	return true;
}

bool table_append_bytes(struct table **t, const struct column *first, const char *head,
			GBytes *bytes)
{
	g_autoptr(GVariant) v = g_variant_ref_sink(
		g_variant_new_from_bytes(G_VARIANT_TYPE(FORMAT), bytes, FALSE));
	g_autoptr(GVariant) columns = NULL, cells = NULL;

	if (!g_variant_is_normal_form(v))
		return false;
	columns = g_variant_get_child_value(v, 0);
	cells = g_variant_get_child_value(v, 1);
	if (g_variant_n_children(columns) == 0 || g_variant_n_children(columns) > COLUMNS_MAX)
		return false;
	if (!*t)
		*t = table_of(columns, first);
	return columns_agree(*t, columns) && cells_append(*t, cells, head);
}
