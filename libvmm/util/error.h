/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The project's GError domain: codes are the numbers that the wire protocol carries. */
#pragma once

#include "libvmm/vmm.h"	/* VMM_ERROR, enum vmm_error: users see the same */

/*
 * Set *error (if error is not NULL) and return false, so that a function
 * can "return error_set(...)".
 */
gboolean error_set(GError **error, enum vmm_error code, const char *format, ...)
	G_GNUC_PRINTF(3, 4);

/*
 * The same for a failed system call: VMM_ERR_SYSTEM and "TEXT: strerror".
 * err is an errno value, positive or negative.
 */
gboolean error_errno(GError **error, int err, const char *format, ...) G_GNUC_PRINTF(3, 4);
