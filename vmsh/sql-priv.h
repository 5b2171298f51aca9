/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tables of sql.c, and how sql-fill.c fills those that a query reads. */
#pragma once

#include <sqlite3.h>

#include "vmsh/sql.h"

/* What a column costs: asked for only when a query reads it. */
enum sql_need {
	NEED_STATS = 1,		/* the cheap groups of statistics */
	NEED_DEVICES = 2,	/* those of disks and cards */
	NEED_XML = 4,		/* each domain's definition: a call for each */
	NEED_LISTS = 8,		/* which domains autostart, which are stored */
};

struct sql_column {
	const char *name;
	unsigned need;
};

struct sql;

struct sql_table {
	const char *name;
	const char *what;
	unsigned need;				/* of any of its rows */
	const struct sql_column *columns;	/* up to one without name */
	bool (*fill)(struct sql *s, const struct sql_table *of, GError **error);
};

/* Up to one without name; domains is the first. */
extern const struct sql_table sql_tables[];

struct sql {
	struct shell *sh;
	vmm_connect *conn;
	sqlite3 *db;
	bool filling;		/* the one time that something may be written */
	unsigned read;		/* tables that the query reads: bits by place */
	unsigned needs;
	GPtrArray *stats;	/* struct vmm_domain_stats */
	GHashTable *xml;	/* uuid -> XML */
};

/* ---- rows (sql-row.c) ---- */

#define SQL_NOT_KNOWN G_MAXUINT64

struct row {
	sqlite3_stmt *insert;
	int at;
};

bool row_open(struct row *r, struct sql *s, const struct sql_table *of, GError **error);
/* One column after the other: NULL, SQL_NOT_KNOWN and what is no int64_t are null. */
void put_text(struct row *r, const char *text);
void put_number(struct row *r, uint64_t n);
void put_scaled(struct row *r, uint64_t n, double unit);
void put_mb(struct row *r, uint64_t bytes);
void row_end(struct row *r);
void row_close(struct row *r);

/* ---- tables of sql-past.c ---- */

extern const struct sql_column sql_columns_ports[], sql_columns_boots[], sql_columns_events[];
bool sql_fill_ports(struct sql *s, const struct sql_table *of, GError **error);
bool sql_fill_boots(struct sql *s, const struct sql_table *of, GError **error);
bool sql_fill_events(struct sql *s, const struct sql_table *of, GError **error);

/* Fills the tables that s->read names. */
bool sql_fill(struct sql *s, GError **error);
