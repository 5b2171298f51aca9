/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between graph.c (rows) and graph-check.c (what they forbid). */
#pragma once

#include "vmmd/graph.h"
#include "vmmd/imagehead.h"

struct graph {
	struct daemon *daemon;
	GHashTable *images;		/* path -> struct graph_image, owned */
};

/* What the file is now; the caller's.  NULL when it can't be opened. */
struct graph_image *graph_look(const char *path, enum graph_format format);
void graph_image_free(void *image);
enum graph_format graph_format_of(const struct disk_def *disk);
/* Replaces the row, in the database too. */
void graph_put(struct graph *graph, struct graph_image *image);
