/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which image files the worker of a domain has been given.
 *
 * A worker that was taken over by its guest writes what it likes into its
 * disk's header.  So a file is only given for writing by that header's word, or
 * made the disk's head, when it is one that the worker was given before: by its
 * inode, not by its name.  The list is a file in the run folder, where the
 * worker can't get at it, and the next vmmd can.
 */
#pragma once

#include <stdbool.h>

#include "vmmd/domain.h"

/* What is no file or block device is of no interest.  False: it may not be given. */
bool handed_note(const struct domain *dom, int fd, GError **error);
/* As this file is now: has the worker had it, and for writing? */
bool handed_has(const struct domain *dom, int fd, bool for_writing);
