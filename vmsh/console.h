/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's console on this terminal. */
#pragma once

#include "vmsh/feed.h"
#include "vmsh/shell.h"

enum console_flags {
	CONSOLE_FORCE = 1,
	CONSOLE_SAFE = 2,
	CONSOLE_READ_ONLY = 4,	/* send nothing */
};

struct console_opts {
	const char *device;	/* NULL: the first console */
	unsigned flags;
	const char *escape;	/* as escape.h reads it; NULL: the usual */
	bool journal;		/* show what was said first, by the next two; else the tail */
	int64_t since_us;
	int boot;
};

/* Until an escape is typed or the guest is gone.  opts NULL: the usual. */
bool console_run(struct shell *sh, vmm_domain *dom, const struct console_opts *opts,
		 GError **error);
