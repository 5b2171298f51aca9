/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lists of typed parameters that are being made. */
#pragma once

#include <glib.h>
#include <stdint.h>

#include "libvmm/rpc/remote.h"

/* Of remote_param; frees its strings with it. */
GArray *params_new(void);
/* Names are formatted, so that "net.%u.rx.bytes" needs no buffer. */
void params_int(GArray *params, int value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_uint(GArray *params, unsigned value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_uhyper(GArray *params, uint64_t value, const char *format, ...) G_GNUC_PRINTF(3, 4);
void params_text(GArray *params, const char *value, const char *format, ...) G_GNUC_PRINTF(3, 4);
