/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The live fleet as SQL tables, to look at and to choose from. */
#pragma once

#include "vmsh/shell.h"

extern const struct option_def options_sql[];

bool cmd_sql(struct shell *sh, struct command_args *args, GError **error);

/*
 * Uuids of the domains for which `where` holds (NULL: all), ordered by column
 * `order` of table domains, descending if it begins with "-" (NULL: by name).
 */
GPtrArray *sql_choose(struct shell *sh, const char *where, const char *order, GError **error);

/* columns: "name,state": of table domains, for each uuid a row.  Prints it. */
bool sql_print_columns(struct shell *sh, const struct command_args *args, const char *columns,
		       const GPtrArray *uuids, GError **error);

/* The names of the columns of table domains; NULL behind the last. */
const char *sql_domain_column(const void *unused, unsigned i);
