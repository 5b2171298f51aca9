/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of volumes. */
#pragma once

#include "vmmd/volume.h"

#define VOLUME_PART ".vmm-part"		/* in the name of what is not finished */

/* For reading.  -1 on failure. */
int volume_open(const struct pool *pool, const char *name, GError **error);
/* From now on the volume is busy, and its pool stays active; error: it is busy already. */
bool volume_hold(struct pool *pool, const char *name, GError **error);
void volume_release(struct pool *pool, const char *name);
