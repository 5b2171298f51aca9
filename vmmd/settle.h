/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* After much has been allocated and freed: the system gets back what is between what stayed. */
#pragma once

#include "vmmd/daemon.h"

/* In a quiet moment soon; once, however often it is asked for. */
void settle_soon(struct daemon *daemon);
void settle_end(struct daemon *daemon);
