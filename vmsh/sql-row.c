/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Writing a row of a table. */
#include "config.h"
#include "vmsh/sql-priv.h"

#include "libvmm/util/error.h"

bool row_open(struct row *r, struct sql *s, const struct sql_table *of, GError **error)
{
	GString *text = g_string_new(NULL);
	int status;

	g_string_append_printf(text, "INSERT INTO %s VALUES (", of->name);
	for (const struct sql_column *c = of->columns; c->name; c++)
		g_string_append(text, c == of->columns ? "?" : ", ?");
	g_string_append_c(text, ')');
	*r = (struct row){ 0 };
	status = sqlite3_prepare_v2(s->db, text->str, -1, &r->insert, NULL);
	g_string_free(text, TRUE);
	return status == SQLITE_OK ||
	       error_set(error, VMM_ERR_INTERNAL, "fill %s: %s", of->name,
			 sqlite3_errmsg(s->db));
}

void put_text(struct row *r, const char *text)
{
	sqlite3_bind_text(r->insert, ++r->at, text, -1, SQLITE_TRANSIENT);	/* NULL: null */
}

void put_number(struct row *r, uint64_t n)
{
	r->at++;
	if (n <= G_MAXINT64)
		sqlite3_bind_int64(r->insert, r->at, (sqlite3_int64)n);
}

void put_scaled(struct row *r, uint64_t n, double unit)
{
	r->at++;
	if (n != SQL_NOT_KNOWN)
		sqlite3_bind_double(r->insert, r->at, (double)n / unit);
}

void put_mb(struct row *r, uint64_t bytes)
{
	put_number(r, bytes == SQL_NOT_KNOWN ? bytes : bytes >> 20);
}

void row_end(struct row *r)
{
	sqlite3_step(r->insert);
	sqlite3_reset(r->insert);
	sqlite3_clear_bindings(r->insert);
	r->at = 0;
}

void row_close(struct row *r)
{
	sqlite3_finalize(r->insert);
}
