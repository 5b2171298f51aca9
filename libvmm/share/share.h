/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A folder of the host as a guest sees it: what virtio-fs and virtio-9p serve.
 *
 * Everything starts at one descriptor, the root.  A guest names one component
 * at a time below a node that it has been given: never a path, never "..", and
 * no symbolic link is followed here.  So there is nothing to climb, whatever
 * the guest or others on the host rename meanwhile.  What is mounted inside
 * the folder is not part of it (-EXDEV).  Only plain files and folders are ever
 * opened; a FIFO, socket or device of the host is something to look at.
 *
 * Owner: one thread, whose first call is share_enter(): it gives that thread a
 * working directory and a umask of its own.  Results are 0 or more, or -errno.
 * Nothing is allocated after share_new(), and nothing waits but for the host's
 * file system.
 */
#pragma once

#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

/* libvirt's accessmode. */
enum share_owner_mode {
	/* Owners and modes are the host's; a new file goes to who made it, or stays ours. */
	SHARE_PASSTHROUGH,
	/*
	 * The guest's owners, modes and device numbers are in extended attributes,
	 * as QEMU's 9p has them (user.virtfs.uid, gid, mode: 32 bits, rdev: 64, all
	 * little-endian); its symbolic links and special files are plain files so
	 * marked.  On the host all belongs to us, and to nobody else.
	 */
	SHARE_MAPPED,
	/* All is root's in the guest and ours here; a chown does nothing and succeeds. */
	SHARE_SQUASH,
};

struct share_opts {
	const char *name;		/* for errors */
	/*
	 * A folder; O_PATH will do.  Best a mount of its own (open_tree), from which
	 * ".." leads nowhere even for who has taken us over.  share_new() takes it.
	 */
	int root_fd;
	int proc_fd;			/* share_proc_open(); borrowed, outlives the share */
	enum share_owner_mode owners;
	/* What is ours as we see it (an idmapped mount) is these': to a guest, too. */
	bool ours_are;
	uid_t uid;
	gid_t gid;
	mode_t fmode, dmode;		/* mapped: of files and folders here; 0: 0600, 0700 */
	bool readonly;			/* -EROFS to all that would change something */
	unsigned nodes_max;		/* 0: what RLIMIT_NOFILE leaves */
	unsigned files_max;		/* 0: 4096 */
};

struct share;
struct share_node;			/* a file or folder that the guest knows: a descriptor */
struct share_file;			/* an open one */

#define SHARE_NAME_MAX 255		/* of a component */
#define SHARE_TARGET_MAX 4095		/* of a symbolic link */
#define SHARE_XATTR_NAME_MAX 255
#define SHARE_XATTR_MAX 65536		/* of a value, of a list of names */

/* /proc/self/fd, as a mount of its own where we may make one: ".." leads nowhere then. */
int share_proc_open(void);

struct share *share_new(const struct share_opts *opts, GError **error);
/* Closes all, too. */
void share_free(struct share *s);
typedef struct share share;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(share, share_free)

/* The first call of the thread that owns it. */
int share_enter(struct share *s);
/* All files, locks and nodes but the root are gone: a guest's reset. */
void share_reset(struct share *s);
bool share_is_readonly(const struct share *s);

/* --- nodes (share-node.c) --- */

/* Always there, without being looked up; a put of it does nothing. */
struct share_node *share_root(struct share *s);
/* How a protocol names a node: never 0, never again another node's.  NULL: there is none. */
uint64_t share_node_id(const struct share *s, const struct share_node *node);
struct share_node *share_node_by_id(struct share *s, uint64_t id);
/* The same for open files. */
uint64_t share_file_id(const struct share *s, const struct share_file *file);
struct share_file *share_file_by_id(struct share *s, uint64_t id);

/*
 * Each node that a call gives counts as one lookup; whoever forgets says how
 * many.  -ENFILE: the guest holds as many as the host has descriptors for.
 * A name is one component of 1 to 255 bytes; "/", "." and ".." are refused.
 */
int share_lookup(struct share *s, struct share_node *dir, const char *name,
		 struct share_node **ret, struct stat *ret_st);
void share_get(struct share *s, struct share_node *node);
void share_put(struct share *s, struct share_node *node, uint64_t lookups);

/* --- attributes (share-attr.c, share-xattr.c) --- */

/* st_ino is unique in the share, st_dev means nothing. */
int share_stat(struct share *s, struct share_node *node, struct stat *ret);
mode_t share_type(const struct share_node *node);	/* S_IFMT, on the host; no system call */

enum {
	SHARE_SET_MODE = 1 << 0,
	SHARE_SET_UID = 1 << 1,
	SHARE_SET_GID = 1 << 2,
	SHARE_SET_SIZE = 1 << 3,
	SHARE_SET_ATIME = 1 << 4,	/* tv_nsec may be UTIME_NOW */
	SHARE_SET_MTIME = 1 << 5,
	SHARE_SET_NO_SUID = 1 << 6,	/* clear set-user-ID and set-group-ID, as a write does */
};

struct share_change {
	unsigned set;
	mode_t mode;
	uid_t uid;
	gid_t gid;
	off_t size;
	struct timespec atime, mtime;
};

/* file: an open one of the node, whose right to write a truncation uses; or NULL. */
int share_change(struct share *s, struct share_node *node, struct share_file *file,
		 const struct share_change *change);
int share_statfs(struct share *s, struct share_node *node, struct statvfs *ret);

/* Names "user.*" but our own; len 0 asks how long it is (-ERANGE: longer than len). */
ssize_t share_xattr_get(struct share *s, struct share_node *node, const char *name, void *value,
			size_t len);
ssize_t share_xattr_list(struct share *s, struct share_node *node, char *names, size_t len);
int share_xattr_set(struct share *s, struct share_node *node, const char *name,
		    const void *value, size_t len, int flags);
int share_xattr_remove(struct share *s, struct share_node *node, const char *name);

/* --- names (share-make.c) --- */

struct share_cred {			/* who asks, in the guest */
	uid_t uid;
	gid_t gid;
};

/* ret_file NULL: it is not opened.  Without O_EXCL a file that is there is taken as it is. */
int share_create(struct share *s, struct share_node *dir, const char *name, int flags, mode_t mode,
		 const struct share_cred *cred, struct share_node **ret,
		 struct share_file **ret_file, struct stat *ret_st);
int share_mkdir(struct share *s, struct share_node *dir, const char *name, mode_t mode,
		const struct share_cred *cred, struct share_node **ret, struct stat *ret_st);
/* Devices: only mapped ones, else -EPERM. */
int share_mknod(struct share *s, struct share_node *dir, const char *name, mode_t mode, dev_t rdev,
		const struct share_cred *cred, struct share_node **ret, struct stat *ret_st);
int share_symlink(struct share *s, struct share_node *dir, const char *name, const char *target,
		  const struct share_cred *cred, struct share_node **ret, struct stat *ret_st);
int share_link(struct share *s, struct share_node *node, struct share_node *dir, const char *name);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE. */
int share_rename(struct share *s, struct share_node *dir, const char *name,
		 struct share_node *to_dir, const char *to_name, unsigned flags);
int share_unlink(struct share *s, struct share_node *dir, const char *name, bool is_dir);
/* Not ended by a 0. */
ssize_t share_readlink(struct share *s, struct share_node *node, char *buf, size_t len);

/* --- open files (share-file.c) --- */

/*
 * Of flags, access mode, O_APPEND, O_TRUNC, O_SYNC, O_DSYNC and O_DIRECTORY
 * count.  Not a plain file or a folder: -ENXIO.
 */
int share_open(struct share *s, struct share_node *node, int flags, struct share_file **ret);
void share_close(struct share *s, struct share_file *file);
struct share_node *share_file_node(struct share *s, const struct share_file *file);
/* For what may take long, on another thread: its own descriptor, closed by the caller; -errno. */
int share_file_dup(struct share *s, struct share_file *file);
/* The same for syncfs(). */
int share_root_dup(struct share *s);

/* At most IOV_MAX pieces, which may be guest memory. */
ssize_t share_read(struct share *s, struct share_file *file, const struct iovec *iov, unsigned n,
		   off_t off);
ssize_t share_write(struct share *s, struct share_file *file, const struct iovec *iov, unsigned n,
		    off_t off);
off_t share_seek(struct share *s, struct share_file *file, off_t off, int whence);
/* At most 4 MiB a call. */
ssize_t share_copy(struct share *s, struct share_file *from, off_t from_off,
		   struct share_file *to, off_t to_off, size_t len);
/* The mode was looked at: 0, FALLOC_FL_KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE, COLLAPSE, INSERT. */
int share_fallocate(struct share *s, struct share_file *file, int mode, off_t off, off_t len);

struct share_entry {
	uint64_t ino;
	uint64_t cookie;		/* of what follows it; 0 is the beginning */
	unsigned type;			/* DT_*, DT_UNKNOWN where the host's is not the guest's */
	const char *name;		/* ends in a 0 */
	size_t name_len;
};

/* False: no more, and this one was not taken.  It may call all of the above but share_readdir(). */
typedef bool share_entry_fn(void *arg, const struct share_entry *entry);

/* From a cookie on, "." and ".." among them; 0 at the end or when fn has enough. */
int share_readdir(struct share *s, struct share_file *dir, uint64_t cookie, share_entry_fn *fn,
		  void *arg);

/* --- locks (share-lock.c): none waits, -EAGAIN --- */

/*
 * POSIX record locks, seen by the host's programs and other guests, too.  owner:
 * a process of the guest.  lock: l_type, l_start, l_len; l_whence is SEEK_SET.
 */
int share_lock(struct share *s, struct share_file *file, uint64_t owner,
	       const struct flock *lock);
/* l_type F_UNLCK: it could be had; else the lock that is in the way, l_pid 0. */
int share_lock_test(struct share *s, struct share_file *file, uint64_t owner, struct flock *lock);
/* The process closes the file: all of its locks there are gone. */
void share_lock_drop(struct share *s, struct share_node *node, uint64_t owner);
/* LOCK_SH, LOCK_EX, LOCK_UN. */
int share_flock(struct share *s, struct share_file *file, int op);
