/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a worker may have opened for it: what its definition names, /dev/kvm,
 * and, read-only, the images that those images say they are based on.
 */
#pragma once

#include "libvmm/domain/domain.h"
#include "libvmm/util/folder.h"

struct daemon;
struct permit;

/* scratch: the folder in which files of transient disks take their room. */
struct permit *permit_new(const domain_def *live, const char *scratch);
void permit_free(struct permit *permit);
/* flags: those of open(2), or WORKER_OPEN_LISTEN.  -1 on failure. */
int permit_open(struct permit *permit, const char *path, unsigned flags, GError **error);
/*
 * An image of a running domain that is given to its worker unasked; the caller
 * has seen that it is the domain's.  A file or a block device; -1.
 */
int permit_open_image(const char *path, int flags, GError **error);
/* The folder of a <filesystem>, seen as its machine may see it. */
bool permit_open_folder(struct permit *permit, const struct daemon *daemon, const char *alias,
			struct folder *ret, GError **error);
bool permit_open_tap(struct permit *permit, const char *alias, unsigned queues, int *fds,
		     char **ret_ifname, GError **error);
