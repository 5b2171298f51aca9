/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of the person at the keyboard: exit status 2. */
#pragma once

#include <glib.h>

#define USAGE_ERROR (usage_error_quark())

GQuark usage_error_quark(void);

/* Sets *error and returns FALSE, as error_set() does. */
gboolean usage_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);
