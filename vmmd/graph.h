/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The images that vmmd knows, and which of them stands on which.
 *
 * Each is a row of the database: path, inode, size, modification time, a digest
 * of its header, format, parent, and when it was last seen like that.  An image
 * that has overlays must not change: the overlays say where theirs differs, so a
 * changed base is silent damage in all of them.  So
 *
 *	a start is refused when a base is not as it was seen, or when the
 *	domain would write into a base of others;
 *	what would change or remove an image asks graph_may_change() first;
 *	whoever has changed an image tells it by graph_changed().
 *
 * All of it is stat() and one header per image: no child, no table.
 */
#pragma once

#include <sys/stat.h>

#include "libvmm/domain/domain.h"
#include "vmmd/daemon.h"

enum graph_format { GRAPH_UNKNOWN, GRAPH_RAW, GRAPH_QCOW2 };

struct graph_image {
	char *path;			/* absolute, canonical */
	uint64_t inode, size, digest;
	int64_t mtime_ns, seen_s;
	enum graph_format format;
	char *parent;			/* its backing file's path; NULL */
	bool unsettled;			/* a machine may have written to it since */
};

struct graph;

struct graph *graph_open(struct daemon *daemon, GError **error);
void graph_free(struct graph *graph);

/*
 * Notes an image and all that is behind it.  What is new is taken as it is; of
 * a base that has overlays already, what was seen first stays.  Never fails: what
 * can't be read has no row.
 */
void graph_learn(struct daemon *daemon, const char *path, enum graph_format format);
void graph_learn_def(struct daemon *daemon, const domain_def *def);
/* We have changed it: as it is now it is right. */
void graph_changed(struct daemon *daemon, const char *path);
/*
 * The machine of this definition has ended: what became a base while it ran is
 * what it has left, for it may have written the last of its tables only now.
 */
void graph_settle(struct daemon *daemon, const domain_def *live);
/* A machine writes into it from now on, though others stand on it: what it leaves is right. */
void graph_unsettle(struct daemon *daemon, const char *path);
void graph_forget(struct daemon *daemon, const char *path);

/* May a domain start that is defined like this?  The error says what to do. */
bool graph_check_start(struct daemon *daemon, const domain_def *def, GError **error);
/*
 * May this image be changed ("resize") or go ("delete")?  Not while other
 * images stand on it, nor while a running domain uses it; if it goes, nor while
 * a domain that is off names it.  The error names them.
 */
bool graph_may_change(struct daemon *daemon, const char *path, const char *verb, bool goes,
		      GError **error);
/* What the image is now is right; false when it is not known or can't be read. */
bool graph_accept(struct daemon *daemon, const char *path, GError **error);

/* Paths of the images that stand on it directly: checked, not only remembered. */
GPtrArray *graph_overlays(struct daemon *daemon, const char *path);
/* "web (vda)": domains with a disk whose chain has this image; the images above it count. */
GPtrArray *graph_users(struct daemon *daemon, const char *path);
/* Only those that run. */
GPtrArray *graph_running(struct daemon *daemon, const char *path);
/* All rows (struct graph_image), by path; the array is the caller's, the rows are not. */
GPtrArray *graph_list(struct daemon *daemon);
const struct graph_image *graph_find(struct daemon *daemon, const char *path);
/* What is wrong with a base: "size 10 -> 20, written 2026-..."; NULL: it is as it was seen. */
char *graph_difference(struct daemon *daemon, const char *path);
