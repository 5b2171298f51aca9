/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Typed parameters, as daemons list them, in what commands print. */
#pragma once

#include "libvmm/vmm.h"
#include "vmsh/json.h"

void json_param(struct json *j, const struct vmm_param *p);
/* Its value as it came; NULL: of a type that nobody knows. */
char *param_text(const struct vmm_param *p);
