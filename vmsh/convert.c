/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON as XML or CSV.
 *
 * SQLite's json_tree() parses: a row for each value, parents before their
 * children, in the text's order.
 */
#include "config.h"
#include "vmsh/convert.h"

#include <sqlite3.h>
#include <string.h>

#include "libvmm/util/error.h"

#define DEPTH_MAX 64

enum tree_column { TREE_ID, TREE_PARENT, TREE_KEY, TREE_TYPE, TREE_ATOM };

struct tree {
	sqlite3 *db;
	sqlite3_stmt *rows;
};

static void tree_close(struct tree *t)
{
	sqlite3_finalize(t->rows);
	sqlite3_close(t->db);
}

static bool is_json(sqlite3 *db, const char *text)
{
	sqlite3_stmt *q = NULL;
	bool ok = sqlite3_prepare_v2(db, "SELECT json_valid(?)", -1, &q, NULL) == SQLITE_OK &&
		  sqlite3_bind_text(q, 1, text, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_step(q) == SQLITE_ROW && sqlite3_column_int(q, 0);

	sqlite3_finalize(q);
	return ok;
}

/* A value a line becomes one list. */
static char *as_list(const char *text)
{
	g_autofree char *stripped = g_strstrip(g_strdup(text));
	g_auto(GStrv) lines = g_strsplit(stripped, "\n", 0);
	g_autofree char *joined = g_strjoinv(",", lines);

	return g_strdup_printf("[%s]", joined);
}

static bool tree_open(struct tree *t, const char *text, GError **error)
{
	g_autofree char *list = NULL;

	*t = (struct tree){ 0 };
	if (sqlite3_open(":memory:", &t->db) != SQLITE_OK)
		goto fail;
	if (!is_json(t->db, text))
		text = list = as_list(text);
	if (sqlite3_prepare_v2(t->db, "SELECT id, parent, key, type, atom FROM json_tree(?)", -1,
			       &t->rows, NULL) == SQLITE_OK &&
	    sqlite3_bind_text(t->rows, 1, text, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
	    is_json(t->db, text))
		return true;
fail:
	error_set(error, VMM_ERR_INTERNAL, "this command has no other output than text");
	tree_close(t);
	return false;
}

static const char *column(const struct tree *t, enum tree_column c)
{
	const char *text = (const char *)sqlite3_column_text(t->rows, c);

	return text ? text : "";
}

static bool is_container(const char *type)
{
	return g_str_equal(type, "object") || g_str_equal(type, "array");
}

/* The value's text; NULL for null. */
static const char *atom(const struct tree *t)
{
	const char *type = column(t, TREE_TYPE);

	if (g_str_equal(type, "null"))
		return NULL;
	if (g_str_equal(type, "true") || g_str_equal(type, "false"))
		return type;
	return column(t, TREE_ATOM);
}

/* ---- the way from the outermost value to the row's ---- */

struct level {
	sqlite3_int64 id;
	bool is_array;
	char *name;		/* the element's, or the path up to here */
};

struct path {
	struct level levels[DEPTH_MAX];
	unsigned depth;
};

/* False: it is as deep as can be. */
static bool path_push(struct path *p, const struct tree *t, const char *name)
{
	if (p->depth == DEPTH_MAX)
		return false;
	p->levels[p->depth++] = (struct level){
		.id = sqlite3_column_int64(t->rows, TREE_ID),
		.is_array = g_str_equal(column(t, TREE_TYPE), "array"),
		.name = g_strdup(name),
	};
	return true;
}

static bool path_is_above(const struct path *p, const struct tree *t)
{
	return p->depth == 0 ||
	       (sqlite3_column_type(t->rows, TREE_PARENT) != SQLITE_NULL &&
		p->levels[p->depth - 1].id == sqlite3_column_int64(t->rows, TREE_PARENT));
}

static const struct level *path_top(const struct path *p)
{
	return p->depth > 0 ? &p->levels[p->depth - 1] : NULL;
}

static void path_pop(struct path *p)
{
	g_free(p->levels[--p->depth].name);
}

/* ---- XML ---- */

static bool is_element_name(const char *key)
{
	if (!g_ascii_isalpha(key[0]) && key[0] != '_')
		return false;
	for (const char *p = key; *p; p++) {
		if (!g_ascii_isalnum(*p) && !strchr("_-.", *p))
			return false;
	}
	return true;
}

/* XML has no way to write most control characters. */
static char *escape(const char *text)
{
	g_autofree char *clean = g_strdup(text);

	for (char *p = clean; *p; p++) {
		if ((unsigned char)*p < 0x20 && !strchr("\t\n\r", *p))
			*p = '?';
	}
	return g_markup_escape_text(clean, -1);
}

static void xml_close(GString *out, struct path *p)
{
	g_string_append_printf(out, "%*s</%s>\n", 2 * (int)(p->depth - 1), "",
			       path_top(p)->name);
	path_pop(p);
}

static bool xml_row(GString *out, struct path *p, const struct tree *t, const char *root)
{
	const char *key = p->depth == 0 ? root : path_top(p)->is_array ? "item" :
									 column(t, TREE_KEY);
	g_autofree char *value = NULL, *attribute = NULL;
	const char *name = key;

	if (!is_element_name(key)) {
		g_autofree char *escaped = escape(key);

		attribute = g_strdup_printf(" name='%s'", escaped);
		name = "entry";
	}
	g_string_append_printf(out, "%*s<%s%s", 2 * (int)p->depth, "", name,
			       attribute ? attribute : "");
	if (is_container(column(t, TREE_TYPE))) {
		g_string_append(out, ">\n");
		return path_push(p, t, name);
	}
	value = atom(t) ? escape(atom(t)) : NULL;
	if (value)
		g_string_append_printf(out, ">%s</%s>\n", value, name);
	else
		g_string_append(out, "/>\n");
	return true;
}

char *convert_to_xml(const char *json, const char *name, GError **error)
{
	GString *out = g_string_new(NULL);
	struct path path = { 0 };
	bool ok = true;
	struct tree t;

	if (!tree_open(&t, json, error)) {
		g_string_free(out, TRUE);
		return NULL;
	}
	while (ok && sqlite3_step(t.rows) == SQLITE_ROW) {
		while (!path_is_above(&path, &t))
			xml_close(out, &path);
		ok = xml_row(out, &path, &t, name);
	}
	while (path.depth > 0)
		xml_close(out, &path);
	tree_close(&t);
	if (!ok)
		error_set(error, VMM_ERR_INTERNAL, "the output is too deep to be XML");
	return g_string_free(out, !ok);
}

/* ---- CSV ---- */

struct csv {
	GPtrArray *columns;	/* names, as they were met */
	GHashTable *index;	/* name -> 1 + its place */
	GPtrArray *rows;	/* of GPtrArray of texts by place */
};

static void csv_put(struct csv *c, const char *name, const char *text)
{
	GPtrArray *row = c->rows->pdata[c->rows->len - 1];
	unsigned at = GPOINTER_TO_UINT(g_hash_table_lookup(c->index, name));

	if (at == 0) {
		g_ptr_array_add(c->columns, g_strdup(name));
		at = c->columns->len;
		g_hash_table_insert(c->index, c->columns->pdata[at - 1], GUINT_TO_POINTER(at));
	}
	if (row->len < at)
		g_ptr_array_set_size(row, at);
	g_free(row->pdata[at - 1]);
	row->pdata[at - 1] = g_strdup(text);
}

static void csv_cell(GString *out, const char *text)
{
	if (!text)
		return;
	if (!strpbrk(text, ",\"\r\n")) {
		g_string_append(out, text);
		return;
	}
	g_string_append_c(out, '"');
	for (; *text; text++)
		g_string_append(out, *text == '"' ? "\"\"" : (char[]){ *text, '\0' });
	g_string_append_c(out, '"');
}

static char *csv_text(const struct csv *c)
{
	GString *out = g_string_new(NULL);

	for (unsigned r = 0; c->columns->len > 0 && r <= c->rows->len; r++) {
		const GPtrArray *row = r == 0 ? c->columns : c->rows->pdata[r - 1];

		for (unsigned i = 0; i < c->columns->len; i++) {
			g_string_append(out, i > 0 ? "," : "");
			csv_cell(out, i < row->len ? row->pdata[i] : NULL);
		}
		g_string_append_c(out, '\n');
	}
	return g_string_free(out, FALSE);
}

/* The outermost list is no part of a name, nor is the place in it. */
static bool csv_row(struct csv *c, struct path *p, const struct tree *t)
{
	const struct level *above = path_top(p);
	bool container = is_container(column(t, TREE_TYPE));
	bool is_list = p->depth == 0 && g_str_equal(column(t, TREE_TYPE), "array");
	bool is_record = p->depth == 0 ? !is_list : p->depth == 1 && above->is_array;
	g_autofree char *name = NULL;

	if (is_record)
		g_ptr_array_add(c->rows, g_ptr_array_new_with_free_func(g_free));
	if (!is_list && !is_record)
		name = g_strdup_printf("%s%s%s", above->name, *above->name ? "." : "",
				       column(t, TREE_KEY));
	if (container)
		return path_push(p, t, name ? name : "");
	csv_put(c, name ? name : "value", atom(t));
	return true;
}

char *convert_to_csv(const char *json, GError **error)
{
	struct path path = { 0 };
	struct csv c;
	bool ok = true;
	struct tree t;
	char *text;

	if (!tree_open(&t, json, error))
		return NULL;
	c.columns = g_ptr_array_new_with_free_func(g_free);
	c.index = g_hash_table_new(g_str_hash, g_str_equal);
	c.rows = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	while (ok && sqlite3_step(t.rows) == SQLITE_ROW) {
		while (!path_is_above(&path, &t))
			path_pop(&path);
		ok = csv_row(&c, &path, &t);
	}
	while (path.depth > 0)
		path_pop(&path);
	tree_close(&t);
	text = ok ? csv_text(&c) : NULL;
	if (!ok)
		error_set(error, VMM_ERR_INTERNAL, "the output is too deep to be CSV");
	g_hash_table_unref(c.index);
	g_ptr_array_unref(c.columns);
	g_ptr_array_unref(c.rows);
	return text;
}
