/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Errors with the wire's numbers. */
#include "config.h"
#include "libvmm/util/error.h"

#include <stdlib.h>

G_DEFINE_QUARK(vmm-error-quark, vmm_error)

gboolean error_set(GError **error, enum vmm_error code, const char *format, ...)
{
	va_list ap;

	if (!error)
		return FALSE;
	va_start(ap, format);
	g_propagate_error(error, g_error_new_valist(VMM_ERROR, code, format, ap));
	va_end(ap);
	return FALSE;
}

gboolean error_errno(GError **error, int err, const char *format, ...)
{
	g_autofree char *text = NULL;
	va_list ap;

	if (!error)
		return FALSE;
	va_start(ap, format);
	text = g_strdup_vprintf(format, ap);
	va_end(ap);
	g_set_error(error, VMM_ERROR, VMM_ERR_SYSTEM, "%s: %s", text, g_strerror(abs(err)));
	return FALSE;
}
