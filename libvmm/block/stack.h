/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A disk at work gets another image on top: its head until now becomes the new
 * one's backing file and is never written again.
 *
 *	block_over_open	any thread	opens the new image, touches nothing else
 *	block_freeze	owner		the old head is complete as a file, others may read it
 *	block_push	owner		the new image is the head; can't fail
 *
 * The owner has drained the disk and submits nothing from freeze to push (or
 * thaw).  So several disks are switched together: freeze all, then push all;
 * when one can't be frozen, thaw the others.
 */
#pragma once

#include "libvmm/block/block.h"

struct block_over;

/*
 * opts: as the disk was opened, with the path of the new image, a qcow2
 * overlay.  Its backing file is opened by the name that it stores, so that
 * block_freeze() can tell that this is the disk's head.
 */
struct block_over *block_over_open(const struct block_opts *opts, GError **error);
void block_over_free(struct block_over *over);

/* False: the disk is as it was. */
bool block_freeze(struct block *b, struct block_over *over, GError **error);
/* As before; over is of no use any more. */
void block_thaw(struct block *b, struct block_over *over);
/* Takes over. */
void block_push(struct block *b, struct block_over *over);

const char *block_path(const struct block *b);	/* of the head */

/* Of a drained disk: a larger image, zeroes in what is new. */
bool block_grow(struct block *b, uint64_t bytes, GError **error);
