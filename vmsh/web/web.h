/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "web": the fleet and its terminals as pages for a browser. */
#pragma once

#include "vmsh/shell.h"

#define WEB_LISTEN "127.0.0.1:8000"

struct web_opts {
	const char *listen;		/* "ADDRESS:PORT"; port 0: any that is free */
	bool expose;			/* an address that others reach is meant */
	const char *const *names;	/* by which the pages are reached besides addresses */
};

/* Until ^C. */
bool web_run(struct shell *sh, const struct web_opts *opts, GError **error);
