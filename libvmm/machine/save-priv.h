/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Names and versions of sections: between save.c and restore.c. */
#pragma once

#include "libvmm/device/device.h"

#define MACHINE_VERSION 1
#define DEFINITION_VERSION 1
#define DEVICE_VERSION 1
#define MEMORY_VERSION 1

#define SECTION_MEMORY "memory"	/* how it is packed; only with STATE_PACKED */

static inline char *device_section(const struct device *dev)
{
	return g_strconcat("device/", dev->name, NULL);
}
