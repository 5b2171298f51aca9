/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Work on image files that no machine uses at the moment: what "vmsh image"
 * calls.  Names and JSON meanings are those of qemu-img, which can be used in
 * turn on the same files.
 *
 * Formats are "raw" or "qcow2".  NULL is accepted for an image that is only
 * read, and then image_probe() decides; a format is never guessed for writing
 * (a guest may have written a qcow2 header into its raw disk), nor that of a
 * backing file: it must stand in its overlay.
 *
 * All of this blocks.  Long operations report progress and can be cancelled by
 * it; a cancelled or failed one leaves its input as it was and no output.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#include "libvmm/block/block.h"

/* Return false to cancel: the operation fails with VMM_ERR_ABORTED.  total is never 0. */
typedef bool image_progress_fn(void *opaque, uint64_t done, uint64_t total);

struct image_progress {
	image_progress_fn *fn;	/* NULL: nobody wants to know */
	void *opaque;
};

enum image_prealloc {
	IMAGE_PREALLOC_OFF,
	IMAGE_PREALLOC_METADATA,	/* qcow2: tables complete, data sparse */
	IMAGE_PREALLOC_FALLOC,		/* host space reserved */
	IMAGE_PREALLOC_FULL,		/* host space written */
};

/* "qcow2" if the file says so, else "raw".  NULL and *error when it cannot be read. */
const char *image_probe(const char *path, GError **error);
/* "off", "metadata", "falloc", "full". */
bool image_prealloc_from_name(const char *name, enum image_prealloc *ret, GError **error);

/* ---- create ---- */

struct image_create_opts {
	const char *path;		/* must not be in use; replaced when it exists */
	const char *format;		/* never NULL */
	uint64_t bytes;			/* 0 with a backing file: as large as that */
	uint32_t cluster_bytes;		/* cluster_size; 0: 65536 */
	const char *compat;		/* "1.1" (NULL) or "0.10" */
	bool lazy_refcounts;
	bool extended_l2;
	unsigned refcount_bits;		/* 0: 16 */
	const char *compression_type;	/* "zlib" (NULL) or "zstd" */
	enum image_prealloc preallocation;
	/* as it is to be stored: relative to the overlay's folder */
	const char *backing_file;
	const char *backing_format;	/* required with backing_file */
	bool backing_unchecked;		/* -u: do not open the backing file; needs bytes */
	bool exclusive;			/* fail if path exists already */
};

bool image_create(const struct image_create_opts *opts, GError **error);

/* ---- info ---- */

struct image_snapshot {
	char *id, *name;
	uint64_t vm_state_bytes;
	int64_t date_sec;
	uint32_t date_nsec;
	uint64_t vm_clock_ns;
	bool has_icount;
	uint64_t icount;
	uint64_t virtual_bytes;
};

struct image_bitmap {
	char *name;
	uint64_t granularity;
	bool in_use;	/* in-use: inconsistent, not to be trusted */
	bool automatic; /* auto */
};

struct image_info {
	char *filename;
	char *format;
	uint64_t virtual_bytes;		/* virtual-size */
	uint64_t actual_bytes;		/* actual-size: what it occupies on the host */
	uint64_t file_bytes;		/* length of the file */
	uint32_t cluster_bytes;		/* cluster-size; 0 for raw */
	bool dirty;			/* dirty-flag */
	/* format-specific data of qcow2 */
	const char *compat;		/* "0.10", "1.1"; NULL for raw */
	const char *compression_type;	/* "zlib", "zstd" */
	bool lazy_refcounts;
	bool corrupt;
	bool extended_l2;
	unsigned refcount_bits;
	bool encrypted;
	char *data_file;		/* external data file, if it has one */
	bool data_file_raw;
	struct image_bitmap *bitmaps;
	unsigned n_bitmaps;
	char *backing_filename;		/* as stored */
	char *full_backing_filename;	/* as it would be opened */
	char *backing_format;		/* backing-filename-format; NULL if not stored */
	struct image_snapshot *snapshots;
	unsigned n_snapshots;
	struct image_info *backing;	/* next in the chain, when the chain was asked for */
};

/* Takes no lock: works on an image that a machine uses.  format may be NULL. */
struct image_info *image_info_new(const char *path, const char *format, bool chain, GError **error);
void image_info_free(struct image_info *info);
typedef struct image_info image_info;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(image_info, image_info_free)

/* ---- check ---- */

enum image_repair {
	IMAGE_REPAIR_NONE,
	IMAGE_REPAIR_LEAKS,
	IMAGE_REPAIR_ALL,
};

struct image_check {
	uint64_t corruptions, corruptions_fixed;
	uint64_t leaks, leaks_fixed;		/* what remains is in corruptions and leaks */
	uint64_t check_errors;			/* could not be read */
	uint64_t image_end_offset;
	uint64_t total_clusters, allocated_clusters, fragmented_clusters, compressed_clusters;
};

/* One line for each finding; NULL: counts only. */
typedef void image_report_fn(void *opaque, const char *line);

struct image_check_opts {
	enum image_repair repair;
	image_report_fn *report;
	void *opaque;		/* report's */
	struct image_progress progress;
};

/*
 * False only when the check could not be made (raw has none: VMM_ERR_OPERATION_UNSUPPORTED).
 * opts NULL: look, say nothing.
 */
bool image_check(const char *path, const char *format, const struct image_check_opts *opts,
		 struct image_check *ret, GError **error);

/* ---- map ---- */

struct image_extent {
	uint64_t start, length;
	unsigned depth;		/* 0: the image itself; 1: its backing file ... */
	bool present;		/* some image of the chain says what is here */
	bool zero;		/* reads as zeroes */
	bool data;		/* bytes are allocated */
	bool compressed;
	bool has_offset;
	uint64_t offset;	/* in filename, if has_offset */
	const char *filename;	/* of the image at this depth; valid during the call */
};

/* Return false to stop early (no error). */
typedef bool image_map_fn(void *opaque, const struct image_extent *extent);

bool image_map(const char *path, const char *format, image_map_fn *fn, void *opaque,
	       GError **error);

/* ---- convert ---- */

struct image_convert_opts {
	const char *source;
	const char *source_format;		/* NULL: probed */
	struct image_create_opts target;	/* bytes 0: as the source */
	/* with target.backing_file: an overlay of it, with what differs */
	bool share_source;			/* -U: read it though it is in use */
	bool compress;				/* -c: compressed clusters (qcow2) */
	bool no_create;				/* -n: into an image that is there */
	bool full;				/* -S 0: zeroes are data, nothing is left out */
	uint32_t sparse_bytes;			/* -S: so many zeroes are a hole; 0: 4096 */
	unsigned requests;			/* -m: at a time; 0: as many as are good */
	bool any_order;				/* -W: write what is there first */
	bool part;				/* "dd": only so many bytes, from there on */
	uint64_t skip, count;
	struct image_progress progress;
};

#define IMAGE_REQUESTS_MAX 16u

/*
 * The target appears under its name when it is complete and on the disk, not
 * before; but with no_create, where it is half written until then.
 */
bool image_convert(const struct image_convert_opts *opts, GError **error);

/* ---- measure ---- */

struct image_measure_opts {
	struct image_create_opts target;	/* bytes: without a source */
	const char *source, *source_format;	/* NULL: target.bytes; NULL: probed */
	bool share_source;
	struct image_progress progress;
};

/* Bytes of a file that image_convert() would make at most; and when all of it were written. */
struct image_measure {
	uint64_t required, fully_allocated;
	bool has_bitmaps;
	uint64_t bitmaps;	/* what those of the source would need */
};

bool image_measure(const struct image_measure_opts *opts, struct image_measure *ret,
		   GError **error);

/* ---- compare ---- */

struct image_compare {
	bool equal;
	uint64_t offset;	/* of the first difference */
	/* tolerated (equal stays true) where the longer one reads as zeroes */
	bool sizes_differ;
};

bool image_compare(const char *a, const char *a_format, const char *b, const char *b_format,
		   bool strict, const struct image_progress *progress, struct image_compare *ret,
		   GError **error);

/* ---- snapshots inside a qcow2 image; image_info lists them ---- */

/*
 * After a crash at any instant there is the state before or the state after.
 * The name is unique; apply gives the disk the contents and the size that it
 * had, what it has now is lost.
 */
bool image_snapshot_create(const char *path, const char *format, const char *name, GError **error);
bool image_snapshot_apply(const char *path, const char *format, const char *name_or_id,
			  GError **error);
bool image_snapshot_delete(const char *path, const char *format, const char *name_or_id,
			   GError **error);
/* By the name alone, whatever ids there are; that it is not there is no failure of deleting. */
bool image_snapshot_apply_named(const char *path, const char *format, const char *name,
				GError **error);
bool image_snapshot_delete_named(const char *path, const char *format, const char *name,
				 GError **error);

/* ---- resize, rebase, commit ---- */

struct image_resize_opts {
	const char *path;
	const char *format;
	uint64_t bytes;
	bool shrink;			/* without it a smaller size is refused */
	enum image_prealloc preallocation;
};

bool image_resize(const struct image_resize_opts *opts, GError **error);

struct image_rebase_opts {
	const char *path;
	const char *format;
	const char *backing_file;	/* NULL or "": no backing file any more */
	const char *backing_format;	/* required with backing_file */
	bool unsafe;			/* -u: change the name only, copy nothing */
	struct image_progress progress;
};

bool image_rebase(const struct image_rebase_opts *opts, GError **error);

struct image_commit_opts {
	const char *path;
	const char *format;
	const char *base;		/* -b: into this one of the chain; NULL: the next */
	bool keep;			/* -d: do not empty the overlay afterwards */
	struct image_progress progress;
};

/*
 * The overlay's contents go into its backing file; with base also those of the
 * images between, which are of no use afterwards, and the overlay is kept.
 */
bool image_commit(const struct image_commit_opts *opts, GError **error);

/* ---- bench ---- */

struct image_bench_opts {
	const char *path;
	const char *format;		/* NULL: probed, for reading only */
	bool write;			/* -w; the image's contents are lost */
	uint64_t count;			/* requests */
	unsigned depth;			/* of them at a time */
	uint32_t buffer_bytes;		/* of one request */
	uint64_t step, offset;		/* 0: one behind the other; from the first on */
	uint64_t flush_interval;	/* a flush after so many writes; 0: none */
	bool no_drain;			/* the flush does not wait, nor is it waited for */
	uint8_t pattern;
	bool share;
	enum block_cache cache;
};

/* Of the requests alone: opening, and the last flush of closing, are not in it. */
struct image_bench_figures {
	double seconds;
	double cpu_seconds;		/* of this process, the kernel's part and all threads */
};

bool image_bench(const struct image_bench_opts *opts, struct image_bench_figures *ret,
		 GError **error);
