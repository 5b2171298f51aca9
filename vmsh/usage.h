/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of the person at the keyboard: exit status 2, and what was meant. */
#pragma once

#include <glib.h>

#define USAGE_ERROR (usage_error_quark())

GQuark usage_error_quark(void);

/* Sets *error and returns FALSE, as error_set() does. */
gboolean usage_error(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

/*
 * The name nearest to word, or NULL if none is near.  names is called with
 * 0, 1, ... until it returns NULL.
 */
const char *usage_nearest(const char *word, const char *(*names)(const void *arg, unsigned i),
			  const void *arg);
