/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* JSON as XML or CSV: every command writes JSON, and this makes the others of it. */
#pragma once

#include <glib.h>
#include <stdbool.h>

/*
 * json: one value, or one a line.  name: of the outermost element.  A list's
 * members are <item>; what is no element's name is <entry name='...'>.
 */
char *convert_to_xml(const char *json, const char *name, GError **error);
/* A row for each member of the list, a column for each "key" or "key.0.inner". */
char *convert_to_csv(const char *json, GError **error);
