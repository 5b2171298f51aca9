/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What fs.c (life, queues), fs-call.c (requests), fs-name.c, fs-file.c, fs-attr.c
 * (what they ask for) and fs-wait.c (those that are answered later) share.
 *
 * All of it belongs to the device's owner.  Nothing is allocated after fs_new().
 *
 * A request is copied once into `in`, all but the bytes of a write; those and
 * the bytes of a read go between guest memory and the file directly.  A call
 * returns how many bytes of `out` are its answer, or -errno, or FS_LATER when
 * it has kept the chain: by its head, for virtqueue_repop() to find it again.
 */
#pragma once

#include <linux/fuse.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "libvmm/device/fs.h"
#include "libvmm/device/syncer.h"
#include "libvmm/device/virtio.h"
#include "libvmm/share/share.h"
#include "libvmm/util/cleanup.h"

static_assert(sizeof(struct fuse_in_header) == 40, "FUSE 7");
static_assert(sizeof(struct fuse_out_header) == 16, "FUSE 7");
static_assert(sizeof(struct fuse_entry_out) == 128, "FUSE 7.9");
static_assert(sizeof(struct fuse_attr) == 88, "FUSE 7.9");
static_assert(sizeof(struct fuse_init_out) == 64, "FUSE 7.23");

#define FS_HIPRIO 0			/* queues: 5.11.2 */
#define FS_REQUESTS 1

#define FS_CHAIN_IOV 1024
#define FS_MAX_PAGES 256		/* of one request's bytes: the most that Linux asks for */
#define FS_PAGE 4096u
#define FS_IN_BYTES (72u << 10)		/* a value of 64 KiB with its name, and what is about it */
#define FS_OUT_BYTES (64u << 10)
#define FS_WAITERS_MAX 128		/* locks that are waited for */

enum {
	FS_LATER = -1000,		/* the chain is kept */
	FS_NO_ANSWER = -1001,
};

struct fs_waiter {			/* a lock, until it can be had */
	bool used;
	uint16_t head;
	unsigned queue;
	uint64_t unique, file_id, owner;
	struct flock lock;
	int flock_op;			/* 0: a record lock */
};

struct fs {
	struct virtio_device vdev;
	struct share *share;
	enum fs_cache cache;
	uint64_t valid_s;		/* how long names and attributes are believed */
	bool started;			/* by FUSE_INIT */
	uint64_t flags;			/* negotiated there */

	struct iovec iov[FS_CHAIN_IOV], data[FS_CHAIN_IOV];
	uint8_t *in, *out;		/* FS_IN_BYTES and a 0, FS_OUT_BYTES; aligned to 8 */

	struct fs_waiter waiters[FS_WAITERS_MAX];
	unsigned n_waiters;
	bool lock_freed;		/* in this turn: waiters are tried at its end */
	GSource *tick;

	struct syncer *syncer;
};

struct fs_call {
	struct fs *fs;
	unsigned queue;
	struct virtqueue_chain *chain;
	struct fuse_in_header h;
	const void *args;		/* the opcode's struct, in fs->in */
	const char *text;		/* what is behind it: names, values */
	size_t text_len;
	struct share_node *node;
	struct share_file *file;
	struct share_cred cred;
};

static inline struct fs *fs_of(struct virtio_device *dev)
{
	return container_of(dev, struct fs, vdev);
}

typedef int fs_op(struct fs_call *c);

/* --- fs-call.c --- */

/* One request from the queue, answered or kept. */
void fs_call(struct fs *fs, unsigned queue, struct virtqueue_chain *chain);
/* The answer to a chain; payload is in fs->out.  error: 0 or -errno. */
void fs_answer(struct fs *fs, unsigned queue, const struct virtqueue_chain *chain, uint64_t unique,
	       int error, size_t payload);
/* The same to one that was kept, without a payload. */
void fs_answer_later(struct fs *fs, unsigned queue, uint16_t head, uint64_t unique, int error);
/* The next text of a request, ended by a 0; NULL: there is none. */
const char *fs_text(struct fs_call *c);
struct share_node *fs_node(struct fs *fs, uint64_t id);

/* --- fs-attr.c --- */

/* A node that the guest learns of. */
int fs_entry(struct fs_call *c, struct share_node *node, const struct stat *st);
void fs_entry_fill(struct fs *fs, struct fuse_entry_out *out, struct share_node *node,
		   const struct stat *st);
fs_op fs_init, fs_destroy, fs_statfs;
fs_op fs_getattr, fs_setattr, fs_getxattr, fs_setxattr, fs_listxattr, fs_removexattr;

/* --- fs-name.c --- */

fs_op fs_lookup, fs_forget, fs_batch_forget, fs_readlink, fs_symlink, fs_mknod, fs_mkdir, fs_unlink,
	fs_rmdir, fs_rename, fs_rename2, fs_link, fs_create;

/* --- fs-file.c --- */

fs_op fs_open, fs_opendir, fs_release, fs_flush, fs_read, fs_write, fs_readdir, fs_readdirplus,
	fs_lseek, fs_fallocate, fs_copy_file_range;
/* open()'s flags as the host is to have them, FOPEN_* for the guest. */
int fs_open_flags(const struct fs *fs, uint32_t flags);
uint32_t fs_fopen_flags(const struct fs *fs);

/* --- fs-wait.c --- */

void fs_wait_init(struct fs *fs);
void fs_wait_done(struct fs *fs);
/* Nothing that waits is answered any more. */
void fs_wait_forget(struct fs *fs);
/* Locks were freed, or the machine goes on: who waits is tried again. */
void fs_wait_retry(struct fs *fs);
fs_op fs_fsync, fs_syncfs, fs_getlk, fs_setlk, fs_setlkw, fs_interrupt;
