/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors of the person at the keyboard. */
#include "config.h"
#include "vmsh/usage.h"

G_DEFINE_QUARK(vmsh-usage-error-quark, usage_error)

gboolean usage_error(GError **error, const char *format, ...)
{
	va_list ap;

	if (!error)
		return FALSE;
	va_start(ap, format);
	g_propagate_error(error, g_error_new_valist(USAGE_ERROR, 0, format, ap));
	va_end(ap);
	return FALSE;
}
