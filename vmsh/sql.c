/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The live fleet as SQL tables.
 *
 * The tables are empty ones of a database in memory.  A query is prepared
 * first; SQLite's authorizer tells which columns it reads, and refuses all that
 * is no reading.  Then only those tables are filled, with few calls for all
 * domains, and the query runs.
 */
#include "config.h"
#include "vmsh/sql-priv.h"

#include <string.h>

#include "libvmm/util/error.h"
#include "libvmm/util/nearest.h"
#include "vmsh/options.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define STEPS_PER_LOOK 10000	/* of SQLite's machine, between two looks for ^C */

static const struct sql_table *table_find(const char *name, unsigned *ret_at)
{
	for (unsigned i = 0; name && sql_tables[i].name; i++) {
		if (g_ascii_strcasecmp(sql_tables[i].name, name) == 0) {
			*ret_at = i;
			return &sql_tables[i];
		}
	}
	return NULL;
}

static void note_column(struct sql *s, const char *name, const char *column)
{
	const struct sql_table *t;
	unsigned at;

	t = table_find(name, &at);
	if (!t)
		return;
	s->read |= 1u << at;
	s->needs |= t->need;
	for (const struct sql_column *c = t->columns; c->name; c++) {
		if (g_ascii_strcasecmp(c->name, column) == 0)
			s->needs |= c->need;
	}
}

static int on_authorize(void *opaque, int action, const char *a, const char *b, const char *db,
			const char *trigger)
{
	struct sql *s = opaque;

	if (s->filling)
		return SQLITE_OK;
	if (action == SQLITE_READ)
		note_column(s, a, b);
	return action == SQLITE_READ || action == SQLITE_SELECT || action == SQLITE_FUNCTION ||
			       action == SQLITE_RECURSIVE ?
		       SQLITE_OK :
		       SQLITE_DENY;
}

static int on_progress(void *opaque)
{
	const struct sql *s = opaque;

	return shell_interrupted(s->sh);
}

static bool create_tables(struct sql *s)
{
	bool ok = true;

	s->filling = true;
	for (const struct sql_table *t = sql_tables; ok && t->name; t++) {
		GString *text = g_string_new(NULL);

		g_string_append_printf(text, "CREATE TABLE %s (", t->name);
		for (const struct sql_column *c = t->columns; c->name; c++)
			g_string_append_printf(text, "%s%s", c == t->columns ? "" : ", ", c->name);
		g_string_append_c(text, ')');
		ok = sqlite3_exec(s->db, text->str, NULL, NULL, NULL) == SQLITE_OK;
		g_string_free(text, TRUE);
	}
	/* what declares its own table has to do so before only reading is allowed */
	ok = ok && sqlite3_exec(s->db, "SELECT 1 FROM json_each('[]')", NULL, NULL, NULL) ==
			   SQLITE_OK;
	s->filling = false;
	return ok;
}

static void sql_close(struct sql *s)
{
	g_clear_pointer(&s->stats, g_ptr_array_unref);
	g_clear_pointer(&s->xml, g_hash_table_unref);
	sqlite3_close(s->db);
}

static bool sql_open(struct sql *s, struct shell *sh, GError **error)
{
	*s = (struct sql){ .sh = sh, .conn = shell_connect(sh, error) };
	if (!s->conn)
		return false;
	if (sqlite3_open(":memory:", &s->db) == SQLITE_OK &&
	    sqlite3_set_authorizer(s->db, on_authorize, s) == SQLITE_OK && create_tables(s)) {
		sqlite3_progress_handler(s->db, STEPS_PER_LOOK, on_progress, s);
		return true;
	}
	error_set(error, VMM_ERR_INTERNAL, "make tables: %s", sqlite3_errmsg(s->db));
	sql_close(s);
	return false;
}

/* ---- queries ---- */

static const char *any_column(const void *unused, unsigned i)
{
	for (const struct sql_table *t = sql_tables; t->name; t++) {
		for (const struct sql_column *c = t->columns; c->name; c++) {
			if (i-- == 0)
				return c->name;
		}
	}
	return NULL;
}

const char *sql_domain_column(const void *unused, unsigned i)
{
	return sql_tables[0].columns[i].name;
}

static bool sql_error(const struct sql *s, GError **error)
{
	static const char unknown[] = "no such column: ";
	const char *text = sqlite3_errmsg(s->db), *near = NULL;

	if (sqlite3_errcode(s->db) == SQLITE_AUTH)
		return usage_error(error, "sql only reads: a query begins with SELECT");
	if (sqlite3_errcode(s->db) == SQLITE_INTERRUPT)
		return error_set(error, VMM_ERR_ABORTED, "interrupted");
	if (g_str_has_prefix(text, unknown))
		near = nearest(text + strlen(unknown), any_column, NULL);
	if (near)
		return usage_error(error, "%s: did you mean '%s'?", text, near);
	return usage_error(error, "%s: sql --schema shows the tables and their columns", text);
}

static bool is_blank(const char *text)
{
	return text[strspn(text, " \t\n;")] == '\0';
}

/* The one statement of text, with its tables filled; NULL on error. */
static sqlite3_stmt *sql_prepare(struct sql *s, const char *text, GError **error)
{
	sqlite3_stmt *q = NULL;
	const char *rest = "";

	if (sqlite3_prepare_v2(s->db, text, -1, &q, &rest) != SQLITE_OK)
		sql_error(s, error);
	else if (!q || !is_blank(rest))
		usage_error(error, "sql takes one query at a time");
	else if (sql_fill(s, error))
		return q;
	sqlite3_finalize(q);
	return NULL;
}

static bool is_identifier(const char *text)
{
	return *text && text[strspn(text, "abcdefghijklmnopqrstuvwxyz_")] == '\0';
}

/* Each is a column of domains, so that it can stand in a query as it is. */
static bool check_columns(char *const *names, GError **error)
{
	for (unsigned i = 0; names[i]; i++) {
		const char *near, *each = NULL;

		for (unsigned k = 0; (each = sql_domain_column(NULL, k)); k++) {
			if (is_identifier(names[i]) && g_str_equal(each, names[i]))
				break;
		}
		if (each)
			continue;
		near = nearest(names[i], sql_domain_column, NULL);
		return usage_error(error, "there is no column '%s': %s%s%s", names[i],
				   near ? "did you mean '" : "sql --schema shows those of domains",
				   near ? near : "", near ? "'?" : "");
	}
	return true;
}

GPtrArray *sql_choose(struct shell *sh, const char *where, const char *order, GError **error)
{
	char *names[] = { (char *)(order ? order + (*order == '-') : "name"), NULL };
	g_autoptr(GPtrArray) uuids = g_ptr_array_new_with_free_func(g_free);
	g_autofree char *text = NULL;
	sqlite3_stmt *q;
	bool ok = false;
	struct sql s;
	int status;

	if (!check_columns(names, error) || !sql_open(&s, sh, error))
		return NULL;
	text = g_strdup_printf("SELECT uuid FROM domains WHERE (%s\n) ORDER BY %s %s, name",
			       where ? where : "1", names[0],
			       order && *order == '-' ? "DESC" : "");
	q = sql_prepare(&s, text, error);
	while (q && (status = sqlite3_step(q)) == SQLITE_ROW)
		g_ptr_array_add(uuids, g_strdup((const char *)sqlite3_column_text(q, 0)));
	if (q)
		ok = status == SQLITE_DONE || sql_error(&s, error);
	sqlite3_finalize(q);
	sql_close(&s);
	return ok ? g_steal_pointer(&uuids) : NULL;
}

/* ---- printing ---- */

static void print_value(struct table *t, sqlite3_stmt *q, int i)
{
	sqlite3_int64 n;

	switch (sqlite3_column_type(q, i)) {
	case SQLITE_NULL:
		table_none(t);
		break;
	case SQLITE_INTEGER:
		n = sqlite3_column_int64(q, i);
		if (n >= 0)
			table_number(t, (uint64_t)n, NULL);
		else
			table_real(t, (double)n, NULL);
		break;
	case SQLITE_FLOAT:
		table_real(t, sqlite3_column_double(q, i), NULL);
		break;
	default:
		table_text(t, (const char *)sqlite3_column_text(q, i));
	}
}

/* Numbers to the right: as the first row has them. */
static struct column *columns_of(sqlite3_stmt *q, GPtrArray *names, bool row)
{
	int n = sqlite3_column_count(q);
	struct column *columns = g_new0(struct column, (size_t)n + 1);

	for (int i = 0; i < n; i++) {
		int type = row ? sqlite3_column_type(q, i) : SQLITE_NULL;

		g_ptr_array_add(names, g_strdup(sqlite3_column_name(q, i)));
		columns[i].title = columns[i].key = names->pdata[i];
		columns[i].flags = type == SQLITE_INTEGER || type == SQLITE_FLOAT ? COLUMN_RIGHT :
										    COLUMN_SHRINK;
	}
	return columns;
}

static bool print_query(struct sql *s, const struct command_args *args, sqlite3_stmt *q,
			GError **error)
{
	g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
	int status = sqlite3_step(q);
	g_autofree struct column *columns = columns_of(q, names, status == SQLITE_ROW);
	g_autoptr(table) t = table_new(columns);

	for (; status == SQLITE_ROW; status = sqlite3_step(q)) {
		for (unsigned i = 0; i < names->len; i++)
			print_value(t, q, (int)i);
	}
	if (status != SQLITE_DONE)
		return sql_error(s, error);
	shell_print_table(s->sh, args, t);
	return true;
}

bool sql_print_columns(struct shell *sh, const struct command_args *args, const char *columns,
		       const GPtrArray *uuids, GError **error)
{
	g_auto(GStrv) names = g_strsplit(columns, ",", 0);
	GString *list = g_string_new("[");
	g_autofree char *text = NULL;
	sqlite3_stmt *q = NULL;
	struct sql s;
	bool ok;

	for (unsigned i = 0; i < uuids->len; i++)
		g_string_append_printf(list, "%s\"%s\"", i > 0 ? "," : "",
				       (char *)uuids->pdata[i]);
	g_string_append_c(list, ']');
	ok = check_columns(names, error) && sql_open(&s, sh, error);
	if (ok) {
		text = g_strdup_printf("SELECT %s FROM json_each(?) AS wanted JOIN domains "
				       "ON domains.uuid = wanted.value ORDER BY wanted.key",
				       columns);
		q = sql_prepare(&s, text, error);
		ok = q && sqlite3_bind_text(q, 1, list->str, -1, SQLITE_STATIC) == SQLITE_OK &&
		     print_query(&s, args, q, error);
		sqlite3_finalize(q);
		sql_close(&s);
	}
	g_string_free(list, TRUE);
	return ok;
}

static bool print_schema(struct shell *sh, const struct command_args *args)
{
	static const struct column columns[] = {
		{ "Table", "table", 0 }, { "Column", "column", 0 }, { "Of", "of", COLUMN_SHRINK },
		{ 0 },
	};
	g_autoptr(table) t = table_new(columns);

	for (const struct sql_table *each = sql_tables; each->name; each++) {
		for (const struct sql_column *c = each->columns; c->name; c++) {
			table_text(t, each->name);
			table_text(t, c->name);
			table_text(t, each->what);
		}
	}
	shell_print_table(sh, args, t);
	return true;
}

bool cmd_sql(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "query");
	GString *text;
	sqlite3_stmt *q;
	struct sql s;
	bool ok;

	if (args_given(args, "schema"))
		return print_schema(sh, args);
	if (words->len == 0)
		return usage_error(error, "sql: QUERY is missing: sql \"select name from domains "
					  "where state = 'running'\"");
	if (!sql_open(&s, sh, error))
		return false;
	text = g_string_new(NULL);
	for (unsigned i = 0; i < words->len; i++)
		g_string_append_printf(text, "%s ", words_text(words, i));
	q = sql_prepare(&s, text->str, error);
	ok = q && print_query(&s, args, q, error);
	sqlite3_finalize(q);
	sql_close(&s);
	g_string_free(text, TRUE);
	return ok;
}

const struct option_def options_sql[] = {
	{ .name = "query", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY, .value = "QUERY",
	  .help = "of SQLite's SQL: one SELECT" },
	OPTION_FLAG("schema", "show the tables and their columns"),
	{ 0 },
};
