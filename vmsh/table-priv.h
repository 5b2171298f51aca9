/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between table.c (what tables look like) and table-wire.c (tables on their way). */
#pragma once

#include "vmsh/table.h"

enum cell_kind { CELL_NONE, CELL_TEXT, CELL_NUMBER, CELL_REAL, CELL_BOOL };

struct cell {
	enum cell_kind kind;
	enum colour colour;
	uint64_t number;
	double real;
	char *text;		/* as shown; CELL_TEXT: as given */
};

struct table {
	const struct column *columns;
	unsigned n_columns;
	GArray *cells;		/* row by row */
	struct column *own;	/* columns, if they are the table's, with their texts; else NULL */
};
