/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between image-tool.c (options, answers) and image-bytes.c (work on a file's own bytes). */
#pragma once

#include "libvmm/block/image.h"
#include "vmmd/worker/image-tool.h"

struct image_tool {
	char *path, *format, *target, *target_format, *backing, *backing_format;
	char *compat, *preallocation, *compression_type, *repair, *tag;
	gint64 bytes, offset;
	int cluster_bytes;
	gboolean extended_l2, lazy_refcounts, chain, shrink, unsafe, keep, compress, share;
	gboolean exclusive, sparse;
	char **allow_read, **allow_write;
	enum image_prealloc prealloc;
	GVariantBuilder result;		/* a{sv} */
};

/* The last_us of a run; on SIGTERM the next call of it cancels. */
struct image_progress image_tool_progress(gint64 *last_us);

bool image_tool_wipe(struct image_tool *t, GError **error);
bool image_tool_upload(struct image_tool *t, GError **error);
bool image_tool_download(struct image_tool *t, GError **error);
