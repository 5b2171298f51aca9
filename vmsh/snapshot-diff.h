/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What differs between the definitions of two snapshots. */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct xml_difference {
	char *field;			/* "devices/disk[1]/source@file" */
	char *before, *after;		/* NULL: it is not there */
};

/* Of struct xml_difference, in the order of the fields' names; NULL and *error: no snapshots. */
GPtrArray *xml_snapshot_differences(const char *xml_a, const char *xml_b, GError **error);
