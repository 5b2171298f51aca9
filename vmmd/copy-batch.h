/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that are replaced together: each is whole and on the disk before it has its name.  One
 * after the other would wait for the disk twice for each; these are waited for side by side.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>

struct copy_batch;

/* Of the file called name, which belongs to key; failed: the errno why it is as it was, or 0. */
typedef void copy_batch_fn(GBytes *key, const char *name, int failed, void *opaque);

struct copy_batch *copy_batch_new(int folder_fd, copy_batch_fn *done, void *opaque);
void copy_batch_free(struct copy_batch *b);
/* name is not in this batch yet.  May end the batch so far. */
void copy_batch_add(struct copy_batch *b, GBytes *key, const char *name, const char *text);
/* When it returns done has been called for each. */
void copy_batch_end(struct copy_batch *b);
/* Is it a file that a batch has left behind? */
bool copy_batch_is_litter(const char *file);
