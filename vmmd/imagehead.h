/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The little that vmmd itself reads of an image: the header of a qcow2 file.
 * One bounded read, no table is followed, nothing is believed that is used as
 * an offset or a size.  All else about images is asked of a child (imagejob.h).
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct imagehead {
	bool qcow2;		/* else raw: no field below but bytes is set */
	uint64_t bytes;		/* what a guest sees */
	char *backing;		/* as stored, without "file:"; NULL: none */
	bool backing_is_raw;	/* the header says so: that file has no header to read */
	bool backing_is_named;	/* the header says a format at all */
	unsigned version;	/* 2, 3 */
	uint32_t cluster_bytes;	/* 0: none that can be */
	bool lazy_refcounts, extended_l2;
	/* of what an overlay depends on: size, backing file and its format, table places */
	uint64_t digest;
};

/* False when the file can't be read.  raw: a guest may have written what looks like a header. */
bool imagehead_read(int fd, bool raw, struct imagehead *ret, GError **error);
/* The same of the file at a path. */
bool imagehead_look(const char *path, bool raw, struct imagehead *ret);
/* The backing file's path, for an image at this path; NULL: none, or not a local file's name. */
char *imagehead_backing_path(const struct imagehead *head, const char *path);
void imagehead_clear(struct imagehead *head);

/*
 * The paths of an image and of all that is behind it, canonical, as far as they
 * can be read; at most IMAGEHEAD_CHAIN_MAX, so a chain that loops ends.
 */
#define IMAGEHEAD_CHAIN_MAX 256
GPtrArray *imagehead_chain(const char *path, bool raw);
