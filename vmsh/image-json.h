/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the image commands print, for people and as JSON with qemu-img's field names. */
#pragma once

#include "libvmm/block/image.h"
#include "vmsh/json.h"

char *image_info_json(const struct image_info *info, bool chain);
char *image_info_text(const struct image_info *info);

/* The snapshots alone. */
char *image_snapshots_json(const struct image_info *info);
char *image_snapshots_text(const struct image_info *info);

char *image_check_json(const struct image_check *check, const char *path, const char *format);
char *image_check_text(const struct image_check *check);

char *image_measure_json(const struct image_measure *measure);
char *image_measure_text(const struct image_measure *measure);

char *image_compare_json(const struct image_compare *compare);

void image_extent_json(struct json *j, const struct image_extent *extent);
/* NULL for what has no bytes of its own. */
char *image_extent_text(const struct image_extent *extent);
