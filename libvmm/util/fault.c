/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The product's fault points: none.  Alone in its object, so that a test can link its own. */
#include "config.h"
#include "libvmm/util/fault.h"

void fault_point(const char *name)
{
}

int fault_errno(const char *name)
{
	return 0;
}
