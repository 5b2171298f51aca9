/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters that are being made. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/rpc/remote.h"

#define PARAM_STRINGS 4u		/* in flags: the client takes texts as values */

enum param_type {
	PARAM_INT = 1,
	PARAM_UINT = 2,
	PARAM_HYPER = 3,
	PARAM_UHYPER = 4,
	PARAM_BOOL = 6,
	PARAM_TEXT = 7
};

/* Of remote_param; frees its strings with it. */
GArray *params_new(void);
/* Names are formatted, so that "net.%u.rx.bytes" needs no buffer. */
void params_int(GArray *params, int value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_uint(GArray *params, unsigned value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_hyper(GArray *params, int64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_uhyper(GArray *params, uint64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_bool(GArray *params, bool value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_text(GArray *params, const char *value, const char *format, ...) G_GNUC_PRINTF(3, 4);

/* Of any type of number; VMM_ERR_INVALID_ARG if it is none. */
bool param_number(const remote_param *param, uint64_t *ret, GError **error);
