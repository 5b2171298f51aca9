/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on images by a child: vmm-worker --image.
 *
 * vmmd parses no image; a hostile one can hurt only the child, which is in a
 * jail of its own: it sees nothing but the paths named here (and what their
 * headers name as backing files, read-only), has no network, little memory, and
 * dies with vmmd.  It may be killed at any moment: the block layer orders its
 * writes so that an image is the old one or the new one, and convert's target
 * appears when it is complete.
 *
 *	struct imagejob_opts opts = { .op = IMAGEJOB_COMMIT, .path = overlay, .format = "qcow2" };
 *	imagejob *job = imagejob_start(daemon, &opts, on_done, on_progress, me, &error);
 *
 * done() is called exactly once, from the main loop, never from within
 * imagejob_start() or imagejob_cancel(); the job is gone when it returns.
 * The child's answer is a GVariant dictionary (a{sv}; GLib reads it with a type
 * check, so no JSON library is needed) or an error of the block layer's with
 * its own code and text.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmmd/daemon.h"

enum imagejob_op {
	/*
	 * path, format, chain -> "images": aa{sv}, the image first, each with
	 * "filename" s, "format" s, "virtual-size" t, "actual-size" t, "file-size" t,
	 * "cluster-size" u, "dirty" b, "corrupt" b, "encrypted" b, "compat" s,
	 * "refcount-bits" u, "lazy-refcounts" b, "extended-l2" b, "compression-type" s,
	 * "backing-filename" s, "full-backing-filename" s, "backing-format" s,
	 * "data-file" s, "snapshots" u,
	 * "tags" as (their names).  Absent keys are what the image does not have.
	 * Takes no lock: for images in use, too.
	 */
	IMAGEJOB_INFO,
	/* path, format, bytes, backing, backing_format, ... -> nothing */
	IMAGEJOB_CREATE,
	/* path, format, repair -> "corruptions", "corruptions-fixed", "leaks", "leaks-fixed",
	 * "check-errors", "image-end-offset", "allocated-clusters", "total-clusters": t */
	IMAGEJOB_CHECK,
	/* path, format -> "extents": a(ttubbb): start, length, depth, present, zero, data;
	 * "truncated" b: there were more than a million */
	IMAGEJOB_MAP,
	/* path, format, target, target_format, backing..., bytes, compress, share -> nothing.
	 * Progress. */
	IMAGEJOB_CONVERT,
	/* path, format, bytes, shrink, preallocation -> nothing */
	IMAGEJOB_RESIZE,
	/* path, format, backing (NULL: none any more), backing_format, unsafe.  Progress. */
	IMAGEJOB_REBASE,
	/* path, format, keep: into the backing file.  Progress. */
	IMAGEJOB_COMMIT,
	/* path, format: overwrites all; a qcow2 image is then a new one of its size.  Progress. */
	IMAGEJOB_WIPE,
	/*
	 * path, format, tag: a snapshot inside a qcow2 image is made; the disk
	 * becomes what it was; it goes (that it is not there is no failure).
	 */
	IMAGEJOB_TAG,
	IMAGEJOB_TAG_APPLY,
	IMAGEJOB_UNTAG,
	/* path, data_fd, offset, bytes (0: all): the file's own bytes, out of and into data_fd.
	 * The image is locked meanwhile.  An upload that brings more than bytes fails. */
	IMAGEJOB_UPLOAD,
	IMAGEJOB_DOWNLOAD,
	N_IMAGEJOBS,
};

/* As in libvmm/block/image.h; what the operation has no use for is ignored. */
struct imagejob_opts {
	enum imagejob_op op;
	const char *path;		/* absolute */
	const char *format;		/* "raw", "qcow2"; NULL for info only: what the file says */
	const char *target, *target_format;
	const char *backing;		/* as it is to be stored in the image */
	const char *backing_format;
	uint64_t bytes;			/* 0: not given */
	uint64_t offset;
	int data_fd;			/* of upload and download; stays the caller's */
	uint32_t cluster_bytes;
	const char *compat;		/* "0.10", "1.1" */
	const char *preallocation;	/* "off", "metadata", "falloc", "full" */
	const char *compression_type;
	const char *repair;		/* "leaks", "all" */
	const char *tag;
	bool extended_l2, lazy_refcounts;
	bool chain, shrink, unsafe, keep, compress, share, exclusive, sparse;
};

struct imagejob;

/* One of the two is NULL; both belong to the caller of done(). */
typedef void imagejob_done(GVariant *result, const GError *error, void *opaque);
typedef void imagejob_progress(uint64_t done, uint64_t total, void *opaque);

/* progress may be NULL.  NULL and *error when no child could be started. */
struct imagejob *imagejob_start(struct daemon *daemon, const struct imagejob_opts *opts,
				imagejob_done *done, imagejob_progress *progress, void *opaque,
				GError **error);
/* done() follows, with VMM_ERR_ABORTED unless the work was just finished. */
void imagejob_cancel(struct imagejob *job);
/* vmmd ends: all children are killed, each done() comes at once, no other job starts. */
void imagejobs_end(struct daemon *daemon);
