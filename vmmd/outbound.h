/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The outbound proxy of a machine that runs, started anew.  The first one is
 * its worker's; once in its jail the worker can start none, and asks us.
 */
#pragma once

#include "vmmd/domain.h"

/*
 * The end of the new proxy's life line, for the worker; -1.  *at_us: when it
 * was last tried, 0 at first: who asks again at once is refused.
 */
int outbound_again(struct domain *dom, int64_t *at_us, GError **error);
