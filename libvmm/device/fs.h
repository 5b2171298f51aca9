/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-fs (virtio 1.2, 5.11): a shared folder by the FUSE protocol, which the
 * guest's kernel speaks: "mount -t virtiofs TAG /mnt".
 */
#pragma once

#include <glib.h>
#include <stdint.h>

#define FS_TAG_BYTES 36			/* 5.11.4: not ended by a 0 when it has all of them */

struct guest_memory;
struct share;
struct virtio_device;

/* What the guest may believe without asking again. */
enum fs_cache {
	FS_CACHE_AUTO,			/* for a second; bytes until a file is opened again */
	FS_CACHE_NONE,			/* nothing: a read or write there is one here */
	FS_CACHE_ALWAYS,		/* all, for a day; writes are kept back */
	N_FS_CACHES
};

struct fs_opts {
	const char *name;		/* alias: "fs0" */
	const char *tag;		/* 1 to FS_TAG_BYTES bytes */
	struct share *share;		/* taken, also on failure; the device's owner enters it */
	enum fs_cache cache;
	unsigned queue_size;		/* a power of two; 0: 1024 */
};

struct virtio_device *fs_new(const struct fs_opts *opts, struct guest_memory *mem,
			     GMainContext *ctx, GError **error);
