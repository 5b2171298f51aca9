/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder of the host, opened for a machine that runs as somebody else.
 *
 * A machine's process has a uid that owns nothing, so in the folder as it is
 * it could hardly do more than read.  Where the file system can, it gets the
 * folder as a mount of its own (attached nowhere, gone with the descriptor) in
 * which the folder's owner and the machine's user have changed places: there
 * the machine has the owner's rights, and what it makes is the owner's on the
 * disk.  Nobody runs as the owner for that, nor as root.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

struct folder_opts {
	const char *path;		/* absolute and canonical */
	bool readonly;
	uid_t machine;			/* uid and gid of the process it is for; 0: our own */
	const char *const *ours;	/* neither within nor around it, up to a NULL; or NULL */
};

struct folder {
	int fd;				/* O_PATH; the caller's */
	bool mapped;			/* what is the machine's there is these' on the disk: */
	uid_t uid;
	gid_t gid;
};

/*
 * Refused: a symbolic link in the folder's place, a file system that is the
 * kernel's own (proc, sysfs, ...), and what the machine could not use as it is
 * meant.  Mounts within the folder are not part of a mapped one.
 */
bool folder_open(const struct folder_opts *opts, struct folder *ret, GError **error);
