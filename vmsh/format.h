/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which format a disk image has when nobody says. */
#pragma once

#include <glib.h>

/*
 * "raw" or "qcow2", by the name's suffix where the file's first bytes agree.
 * Bytes alone do not count: a guest can write a header into its raw disk.
 * Otherwise *error says that `flag` ("-F FORMAT") must be given.
 */
const char *format_of_disk(const char *path, const char *flag, GError **error);

/* By the suffix alone, for a file that is yet to be made; "raw" if it says nothing. */
const char *format_of_name(const char *path);
