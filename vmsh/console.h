/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A guest's console on this terminal. */
#pragma once

#include "vmsh/shell.h"

enum console_flags {
	CONSOLE_FORCE = 1,
	CONSOLE_SAFE = 2,
	CONSOLE_READ_ONLY = 4,	/* send nothing */
};

/* Until Ctrl-] is typed or the guest is gone.  device NULL: the first console. */
bool console_run(struct shell *sh, vmm_domain *dom, const char *device, unsigned flags,
		 GError **error);
