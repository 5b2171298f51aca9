/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of share/ have in common.
 *
 * Nodes, files and locks are slots of arrays that are mapped once; their pages
 * are there only while they are used.  A node lives while the guest has looked
 * it up or has it open; a lock lives while its node is open at all.
 *
 * An O_PATH descriptor can't do everything.  What wants another kind of
 * descriptor, or a path, goes by the process's own /proc/self/fd: NUMBER there
 * is that very file, whatever its name is by now.  The calls that know no
 * folder (extended attributes) find it in the working directory: share_enter().
 */
#pragma once

#include "libvmm/share/share.h"

#include <errno.h>

#include "libvmm/util/cleanup.h"

#define SHARE_FILES_DEFAULT 4096
#define SHARE_LOCKS_MAX 1024
#define SHARE_DEVS_MAX 127
#define SHARE_DIR_BYTES 32768
#define SHARE_FDS_LEFT 512		/* descriptors of the process that are not for us */
#define SHARE_NODES_MAX (1u << 20)

#define XATTR_OURS "user.virtfs."	/* QEMU's names, of which the guest sees nothing */

struct share_lock {
	uint64_t owner;
	int fd;
	uint32_t next;			/* of its node, or free */
};

struct share_node {
	int fd;				/* -1: a free slot */
	uint32_t life;			/* how often it was used */
	uint32_t next;			/* in its bucket, or free */
	uint32_t n_files;
	uint32_t locks;			/* the first; 0: none */
	mode_t type;			/* S_IFMT */
	dev_t dev;
	ino_t ino;
	uint64_t lookups;
};

struct share_file {
	int fd;				/* -1: a free slot */
	uint32_t life;
	uint32_t next;			/* free */
	uint32_t node;
	int flags;			/* O_ACCMODE */
	int64_t dir_pos;		/* where a folder's descriptor stands; -1: anywhere */
};

struct share {
	char *name;
	int proc_fd;
	enum share_owner_mode owners;
	bool readonly, ours_are;
	uid_t our_uid, uid;		/* here; for the guest */
	gid_t our_gid, gid;
	mode_t fmode, dmode;

	uint32_t nodes_max, nodes_top, nodes_free;	/* slot 0 is nobody, 1 the root */
	uint32_t n_buckets;
	uint32_t *buckets;
	struct share_node *nodes;

	uint32_t files_max, files_top, files_free;	/* slot 0 is nobody */
	struct share_file *files;

	uint32_t locks_top, locks_free;
	struct share_lock *locks;	/* SHARE_LOCKS_MAX, slot 0 is nobody */

	dev_t devs[SHARE_DEVS_MAX];	/* [0]: the root's */
	unsigned n_devs;

	char *dir_bytes;		/* SHARE_DIR_BYTES */
	char *xattr_bytes;		/* SHARE_XATTR_MAX */
	void *memory;			/* what the arrays are in */
	size_t memory_bytes;
};

/* The name of a descriptor in proc_fd and in the owner's working directory. */
struct fd_name {
	char text[12];
};

struct fd_name fd_name(int fd);

/* -errno of the call that has failed; too many descriptors are always -ENFILE. */
int share_errno(void);
int share_name_check(const char *name);
/* Below a folder, one component; *nothing* is followed. */
int share_open_at(int dir_fd, const char *name, int flags, mode_t mode);
/* The same object again, of a plain file or folder. */
int share_reopen(struct share *s, int fd, int flags);
uint64_t share_ino(struct share *s, dev_t dev, ino_t ino);

static inline int share_check_write(const struct share *s)
{
	return s->readonly ? -EROFS : 0;
}

/* --- share-node.c --- */

bool share_root_set(struct share *s, int fd, GError **error);
int share_fd_stat(int fd, struct stat *ret);
/* Takes fd, an O_PATH one whose host's attributes are *st; one more lookup. */
int share_node_take(struct share *s, int fd, const struct stat *st, struct share_node **ret);
void share_node_opened(struct share_node *node);
void share_node_closed(struct share *s, struct share_node *node);

/* --- share-attr.c --- */

/* The host's attributes of fd become the guest's. */
int share_stat_show(struct share *s, int fd, struct stat *st);
/* Passthrough: an owner of the guest's as we see it. */
uid_t share_host_uid(const struct share *s, uid_t uid);
gid_t share_host_gid(const struct share *s, gid_t gid);
/* Of what is made here: without the bits that it must not have. */
mode_t share_host_mode(const struct share *s, mode_t mode);
/* Mapped: the attributes of what was just made.  rdev 0: none. */
int share_map(struct share *s, int fd, mode_t mode, dev_t rdev, const struct share_cred *cred);

/* --- share-file.c --- */

int share_file_new(struct share *s, struct share_node *node, int fd, int flags,
		   struct share_file **ret);

/* --- share-lock.c --- */

void share_locks_close(struct share *s, struct share_node *node);
