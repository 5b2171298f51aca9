/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Extended attributes of what is packed and unpacked (tree.h). */
#pragma once

#include "images/agent/tree.h"

#define TREE_LATE_BYTES 8192 /* an ACL of 1000 lines; one is kept for each folder on the way down */

struct tree_attr {
	char name[TREE_NAME_MAX + 1];
	const uint8_t *value;
	size_t n;
};

/*
 * Those that mean the same on another system: user.*, a program's capabilities,
 * POSIX ACLs.  Others, as labels of SELinux, are their system's own.
 */
bool tree_attr_copied(const char *name);
/* False: it is none, or not one of those. */
bool tree_attr_read(const uint8_t *data, size_t n, struct tree_attr *ret);

/*
 * Set at once (user.*, which wants a file that we may write to), or kept in
 * `late`: a change of owner drops capabilities, one of mode changes ACLs, and a
 * folder's default ACL would be that of all that comes into it.  0, or errno.
 */
int tree_attr_take(struct tree_late *late, int fd, const struct tree_attr *a);
/* What is new has not the ACL that its folder gave it. */
void tree_late_begin(int fd);
/* 0, or errno of the first that can't be set, and which that is; the others are. */
int tree_late_set(struct tree_late *late, int fd, const char **ret_name);
void tree_late_clear(struct tree_late *late);

/* Tells it, once of each kind; *told: 0 at first. */
void tree_attr_lost(const struct tree_opts *opts, unsigned *told, const char *path,
		    const char *name, int error);
