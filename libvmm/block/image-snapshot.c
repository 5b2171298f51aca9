/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image snapshot": snapshots inside a qcow2 image. */
#include "config.h"

#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/util/error.h"

static bool snapshot_do(const char *path, const char *format, const char *name,
			bool (*act)(struct qcow2 *q, const char *name, GError **error),
			GError **error)
{
	g_autoptr(block) b = NULL;

	if (!image_format_given(path, format, error) || !image_format(path, format, error))
		return false;
	if (strcmp(format, "qcow2"))
		return error_set(error, VMM_ERR_OPERATION_UNSUPPORTED,
				 "image '%s': a %s image can't have snapshots inside", path,
				 format);
	b = image_open_alone(path, format, false, error);
	return b && act(qcow2_of(block_top(b)), name, error);
}

bool image_snapshot_create(const char *path, const char *format, const char *name, GError **error)
{
	return snapshot_do(path, format, name, qcow2_snapshot_create, error);
}

bool image_snapshot_apply(const char *path, const char *format, const char *name_or_id,
			  GError **error)
{
	return snapshot_do(path, format, name_or_id, qcow2_snapshot_apply, error);
}

bool image_snapshot_apply_named(const char *path, const char *format, const char *name,
				GError **error)
{
	return snapshot_do(path, format, name, qcow2_snapshot_apply_named, error);
}

bool image_snapshot_delete_named(const char *path, const char *format, const char *name,
				 GError **error)
{
	return snapshot_do(path, format, name, qcow2_snapshot_delete_named, error);
}

bool image_snapshot_delete(const char *path, const char *format, const char *name_or_id,
			   GError **error)
{
	return snapshot_do(path, format, name_or_id, qcow2_snapshot_delete, error);
}
