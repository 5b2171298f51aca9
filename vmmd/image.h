/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How large a disk's image is, for those who ask while nobody has it open. */
#pragma once

#include "libvmm/domain/domain.h"

struct image_size {
	uint64_t capacity, allocation, physical;	/* bytes */
};

bool image_size(const struct disk_def *disk, struct image_size *ret, GError **error);
