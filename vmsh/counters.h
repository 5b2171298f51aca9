/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Figures with names, of a device or of a whole domain. */
#pragma once

#include "vmsh/command.h"

struct counter {
	const char *name;
	int64_t value;		/* negative: not known */
};

/* A line each, as scripts expect it: "vda rd_req 5"; device NULL: "rd_req 5". */
void counters_print(const struct command_args *args, const char *device,
		    const struct counter *counters, unsigned n);
