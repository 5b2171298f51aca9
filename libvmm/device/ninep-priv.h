/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between the files of virtio-9p.
 *
 * A request is copied out of guest memory once, all but the bytes of a write;
 * handlers take its fields from the copy, one after the other, and put those
 * of the answer into a buffer.  File contents go between guest memory and the
 * file directly.  Each request is answered before the next one is looked at,
 * but an fsync, which threads do (syncer.h): a flush answers it at once, and a
 * new session or a reset forgets it.
 */
#pragma once

#include <string.h>

#include "libvmm/device/ninep.h"
#include "libvmm/device/syncer.h"
#include "libvmm/device/virtio.h"
#include "libvmm/share/share.h"

#define NINEP_CHAIN_IOV 1024
#define NINEP_HDR_BYTES 7		/* size[4] type[1] tag[2] */
#define NINEP_READ_HDR (NINEP_HDR_BYTES + 4)
#define NINEP_WRITE_HDR (NINEP_HDR_BYTES + 4 + 8 + 4)
#define NINEP_MSG_MAX 8192		/* without the bytes of a read or write */
#define NINEP_WALK_MAX 16
#define NINEP_FIDS_MAX 65536u
#define NINEP_FID_BUCKETS 16384u
#define NINEP_XATTRS_MAX 64u		/* being read or written at one time */
#define NINEP_NAME_BYTES (SHARE_NAME_MAX + 1)

enum ninep_type {			/* of the request; an answer is one more */
	T_LERROR = 6, T_STATFS = 8, T_LOPEN = 12, T_LCREATE = 14, T_SYMLINK = 16, T_MKNOD = 18,
	T_RENAME = 20, T_READLINK = 22, T_GETATTR = 24, T_SETATTR = 26, T_XATTRWALK = 30,
	T_XATTRCREATE = 32, T_READDIR = 40, T_FSYNC = 50, T_LOCK = 52, T_GETLOCK = 54, T_LINK = 70,
	T_MKDIR = 72, T_RENAMEAT = 74, T_UNLINKAT = 76, T_VERSION = 100, T_AUTH = 102,
	T_ATTACH = 104, T_FLUSH = 108, T_WALK = 110, T_READ = 116, T_WRITE = 118, T_CLUNK = 120,
	T_REMOVE = 122,
};

enum {
	NINEP_LATER = -100000,		/* no errno: the chain is kept */
};

enum fid_kind {
	FID_FREE,
	FID_FILE,
	FID_XATTR,			/* a value, or the list of names, to be read */
	FID_XATTR_NEW,			/* a value that is being written: set when it is clunked */
};

/* An attribute, as large as one may be. */
struct ninep_xattr {
	bool used;
	uint32_t size, filled;
	int flags;
	char name[SHARE_XATTR_NAME_MAX + 1];
	uint8_t value[SHARE_XATTR_MAX];
};

struct ninep_fid {
	uint32_t fid;
	uint32_t next;			/* in its bucket, or among the free; 0: the last */
	enum fid_kind kind;
	uint32_t uid;			/* of who attached */
	struct share_node *node;	/* one lookup; XATTR: of the file */
	struct share_file *file;	/* when it is open */
	struct ninep_xattr *xattr;
	/* Where it was found, for Tremove and Trename; NULL: it is the root. */
	struct share_node *parent;
	char name[NINEP_NAME_BYTES];
};

struct ninep {
	struct virtio_device vdev;
	struct share *share;
	uint32_t msize;			/* 0: no Tversion yet */

	struct ninep_fid *fids;		/* from 1 on */
	uint32_t fids_top, fids_free, n_fids;
	uint32_t *buckets;
	struct ninep_xattr *xattrs;

	uint8_t request[NINEP_MSG_MAX], answer[NINEP_MSG_MAX];
	struct iovec iov[NINEP_CHAIN_IOV];	/* a chain's */
	struct iovec data[NINEP_CHAIN_IOV];	/* where of it a file's bytes are */

	struct syncer *syncer;
	struct iovec later[NINEP_CHAIN_IOV];	/* of a chain that is answered later */
};

/* One request and its answer.  A field that is not all there sets `bad` and gives zeroes. */
struct ninep_msg {
	const uint8_t *at, *end;
	bool bad;
	uint8_t type;
	uint16_t tag;
	uint8_t *put, *put_end;
	struct virtqueue_chain *chain;
	size_t size;			/* of the request, as it says itself */
	size_t in_bytes;		/* what an answer may have: the chain, and msize */
	size_t direct;			/* bytes of the answer that are in the chain already */
};

static inline struct ninep *ninep_of(struct virtio_device *dev)
{
	return (struct ninep *)((char *)dev - offsetof(struct ninep, vdev));
}

/* --- fields (ninep-wire.c); numbers are little-endian --- */

uint64_t msg_get(struct ninep_msg *m, unsigned bytes);
static inline uint8_t get_u8(struct ninep_msg *m) { return (uint8_t)msg_get(m, 1); }
static inline uint16_t get_u16(struct ninep_msg *m) { return (uint16_t)msg_get(m, 2); }
static inline uint32_t get_u32(struct ninep_msg *m) { return (uint32_t)msg_get(m, 4); }
static inline uint64_t get_u64(struct ninep_msg *m) { return msg_get(m, 8); }
/* size counts the 0 behind it.  A longer one: -ENAMETOOLONG; one with a 0 in it: -EINVAL. */
int msg_get_text(struct ninep_msg *m, char *text, size_t size);
int msg_get_name(struct ninep_msg *m, char name[NINEP_NAME_BYTES]);
void msg_put(struct ninep_msg *m, uint64_t value, unsigned bytes);
void msg_put_text(struct ninep_msg *m, const char *text, size_t len);
void msg_put_qid(struct ninep_msg *m, const struct stat *st);
void ninep_put_le(uint8_t *at, uint64_t value, unsigned bytes);
uint8_t ninep_qid_type(mode_t mode);

/* --- fids (ninep-fid.c) --- */

bool ninep_fids_init(struct ninep *p, GError **error);
void ninep_fids_done(struct ninep *p);
/* All are gone, and with them all that the guest holds of the share. */
void ninep_fids_drop(struct ninep *p);
struct ninep_fid *ninep_fid(struct ninep *p, uint32_t fid);	/* NULL: not in use */
/* Takes one lookup of node.  -EBADF: it is in use; -ENFILE: too many. */
int ninep_fid_new(struct ninep *p, uint32_t fid, struct share_node *node, struct ninep_fid **ret);
void ninep_fid_free(struct ninep *p, struct ninep_fid *f);
/* Its node and place are another's from now on; takes one lookup. */
void ninep_fid_move(struct ninep *p, struct ninep_fid *f, struct share_node *node,
		    struct share_node *parent, const char *name);
struct ninep_xattr *ninep_xattr_new(struct ninep *p);		/* NULL: all are in use */

/* --- what a message does: 0 and an answer, or -errno --- */

typedef int ninep_fn(struct ninep *p, struct ninep_msg *m);

/* ninep-name.c */
ninep_fn ninep_attach, ninep_walk, ninep_mkdir, ninep_symlink, ninep_mknod, ninep_link,
	ninep_rename, ninep_renameat, ninep_unlinkat, ninep_remove, ninep_readlink;
/* ninep-file.c */
ninep_fn ninep_lopen, ninep_lcreate, ninep_read, ninep_write, ninep_readdir,
	ninep_lock, ninep_getlock, ninep_clunk;
/* ninep-sync.c */
ninep_fn ninep_fsync, ninep_flush;
/* Those that are done get their answer; all others, that they were interrupted. */
void ninep_sync_answer(void *opaque);
void ninep_sync_abort(struct ninep *p);
/* ninep-attr.c */
ninep_fn ninep_statfs, ninep_getattr, ninep_setattr, ninep_xattrwalk, ninep_xattrcreate;
/* Of a fid of that kind. */
int ninep_xattr_read(struct ninep *p, struct ninep_msg *m, struct ninep_fid *f, uint64_t off,
		     uint32_t count);
int ninep_xattr_write(struct ninep *p, struct ninep_msg *m, struct ninep_fid *f, uint64_t off,
		      uint32_t count);
int ninep_xattr_commit(struct ninep *p, struct ninep_fid *f);
