/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The project's GError domain: codes are the numbers that the wire protocol carries. */
#pragma once

#include <glib.h>

#define VMM_ERROR (error_quark())

enum vmm_error {
	VMM_ERR_INTERNAL = 1,
	VMM_ERR_NO_SUPPORT = 3,		/* a known procedure that we do not have */
	VMM_ERR_INVALID_ARG = 8,
	VMM_ERR_OPERATION_FAILED = 9,	/* also: name or uuid already taken */
	VMM_ERR_XML = 27,		/* not well-formed, or not valid */
	VMM_ERR_OPERATION_DENIED = 29,	/* read-only connection */
	VMM_ERR_SYSTEM = 38,		/* a system call failed */
	VMM_ERR_RPC = 39,
	VMM_ERR_NO_DOMAIN = 42,
	VMM_ERR_NO_NETWORK = 43,
	VMM_ERR_AUTH_FAILED = 45,
	VMM_ERR_NO_POOL = 49,
	VMM_ERR_NO_VOLUME = 50,
	VMM_ERR_NO_NODE_DEVICE = 53,
	VMM_ERR_OPERATION_INVALID = 55,	/* the object is in the wrong state */
	VMM_ERR_CONFIG_UNSUPPORTED = 67,/* valid XML that this machine cannot be */
	VMM_ERR_TIMEOUT = 68,
	VMM_ERR_NO_SNAPSHOT = 72,
	VMM_ERR_ARG_UNSUPPORTED = 74,
	VMM_ERR_ABORTED = 78,
	VMM_ERR_NO_METADATA = 80,
	VMM_ERR_OPERATION_UNSUPPORTED = 84,
	VMM_ERR_AGENT = 86,
	VMM_ERR_ACCESS_DENIED = 88,
	VMM_ERR_XML_SCHEMA = 92,
	VMM_ERR_DEVICE_MISSING = 99,
};

GQuark error_quark(void);

/* Set *error (if error is not NULL) and return false, so that a function can "return error_set(...)". */
gboolean error_set(GError **error, enum vmm_error code, const char *format, ...) G_GNUC_PRINTF(3, 4);

/*
 * The same for a failed system call: VMM_ERR_SYSTEM and "TEXT: strerror".
 * err is an errno value, positive or negative.
 */
gboolean error_errno(GError **error, int err, const char *format, ...) G_GNUC_PRINTF(3, 4);
