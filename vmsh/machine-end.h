/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What became of a machine whose guest has fallen silent. */
#pragma once

#include "vmsh/shell.h"

/*
 * "was shut off", "crashed" ...; NULL: it runs on, or nobody can tell.  Waits a moment, for a
 * guest that goes down ends what serves in it before the machine ends.
 */
const char *machine_end(struct shell *sh, vmm_domain *dom);
