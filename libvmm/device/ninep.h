/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-9p: a folder of the host by 9P2000.L (virtio id 9).
 *
 * Linux mounts it by its tag: mount -t 9p -o trans=virtio TAG /mnt.
 */
#pragma once

#include <glib.h>
#include <stdint.h>

struct guest_memory;
struct share;
struct virtio_device;

#define NINEP_TAG_MAX 255		/* a bound of ours: the field has 16 bits */
#define NINEP_MSIZE_MIN 4096u
#define NINEP_MSIZE_MAX (512u * 1024)	/* what a chain of Linux's holds */

struct ninep_opts {
	const char *name;		/* alias: "fs0" */
	const char *tag;
	struct share *share;		/* ninep_new() takes it, if it fails, too */
};

/* ctx: the share's thread. */
struct virtio_device *ninep_new(const struct ninep_opts *opts, struct guest_memory *mem,
				GMainContext *ctx, GError **error);
/* How many the guest holds; the owner's thread. */
unsigned ninep_fids(struct virtio_device *dev);
