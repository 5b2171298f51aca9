/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* XML that a command is to send. */
#pragma once

#include <glib.h>

/* The whole file, "-" for standard input; what the daemon could not take is refused here. */
char *xml_file_read(const char *path, GError **error);
