/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 9P messages about attributes, the file system's and extended ones. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define V9FS_MAGIC 0x01021997
#define GETATTR_BASIC 0x7ff

enum {
	SET_MODE = 1 << 0, SET_UID = 1 << 1, SET_GID = 1 << 2, SET_SIZE = 1 << 3,
	SET_ATIME = 1 << 4, SET_MTIME = 1 << 5, SET_ATIME_TO = 1 << 7, SET_MTIME_TO = 1 << 8,
};

static struct ninep_fid *file_fid(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));

	return f && f->kind == FID_FILE ? f : NULL;
}

int ninep_statfs(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = file_fid(p, m);
	struct statvfs fs;
	int r;

	if (m->bad || !f)
		return m->bad ? -EINVAL : -EBADF;
	r = share_statfs(p->share, f->node, &fs);
	if (r < 0)
		return r;
	msg_put(m, V9FS_MAGIC, 4);
	msg_put(m, fs.f_bsize, 4);
	msg_put(m, fs.f_blocks, 8);
	msg_put(m, fs.f_bfree, 8);
	msg_put(m, fs.f_bavail, 8);
	msg_put(m, fs.f_files, 8);
	msg_put(m, fs.f_ffree, 8);
	msg_put(m, 0, 8);
	msg_put(m, SHARE_NAME_MAX, 4);
	return 0;
}

static void put_time(struct ninep_msg *m, const struct timespec *t)
{
	msg_put(m, (uint64_t)t->tv_sec, 8);
	msg_put(m, (uint64_t)t->tv_nsec, 8);
}

int ninep_getattr(struct ninep *p, struct ninep_msg *m)
{
	static const struct timespec never;
	struct ninep_fid *f = file_fid(p, m);
	struct stat st;
	int r;

	get_u64(m);	/* what is wished; it gets all that there is */
	if (m->bad || !f)
		return m->bad ? -EINVAL : -EBADF;
	r = share_stat(p->share, f->node, &st);
	if (r < 0)
		return r;
	msg_put(m, GETATTR_BASIC, 8);
	msg_put_qid(m, &st);
	msg_put(m, st.st_mode, 4);
	msg_put(m, st.st_uid, 4);
	msg_put(m, st.st_gid, 4);
	msg_put(m, st.st_nlink, 8);
	msg_put(m, st.st_rdev, 8);
	msg_put(m, (uint64_t)st.st_size, 8);
	msg_put(m, (uint64_t)st.st_blksize, 8);
	msg_put(m, (uint64_t)st.st_blocks, 8);
	put_time(m, &st.st_atim);
	put_time(m, &st.st_mtim);
	put_time(m, &st.st_ctim);
	put_time(m, &never);	/* of birth */
	msg_put(m, 0, 8);	/* generation, data version: not valid */
	msg_put(m, 0, 8);
	return 0;
}

static struct timespec get_time(struct ninep_msg *m, bool given)
{
	struct timespec t;

	t.tv_sec = (time_t)get_u64(m);
	t.tv_nsec = (long)get_u64(m);
	return given ? t : (struct timespec){ .tv_nsec = UTIME_NOW };
}

int ninep_setattr(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = file_fid(p, m);
	uint32_t valid = get_u32(m);
	struct share_change c = {
		.set = (valid & SET_MODE ? SHARE_SET_MODE : 0) |
		       (valid & SET_UID ? SHARE_SET_UID : 0) |
		       (valid & SET_GID ? SHARE_SET_GID : 0) |
		       (valid & SET_SIZE ? SHARE_SET_SIZE : 0) |
		       (valid & SET_ATIME ? SHARE_SET_ATIME : 0) |
		       (valid & SET_MTIME ? SHARE_SET_MTIME : 0),
	};
	uint64_t size;

	c.mode = get_u32(m) & 07777;
	c.uid = get_u32(m);
	c.gid = get_u32(m);
	size = get_u64(m);
	c.atime = get_time(m, valid & SET_ATIME_TO);
	c.mtime = get_time(m, valid & SET_MTIME_TO);
	if (m->bad || (valid & SET_SIZE && size > INT64_MAX) ||
	    (valid & SET_ATIME_TO && (unsigned long)c.atime.tv_nsec >= 1000000000) ||
	    (valid & SET_MTIME_TO && (unsigned long)c.mtime.tv_nsec >= 1000000000))
		return -EINVAL;
	if (!f)
		return -EBADF;
	c.size = (off_t)size;
	return share_change(p->share, f->node, f->file, &c);
}

/* ---- extended attributes ---- */

static ssize_t xattr_fetch(struct ninep *p, struct share_node *node, struct ninep_xattr *x)
{
	return x->name[0] ? share_xattr_get(p->share, node, x->name, x->value, sizeof(x->value)) :
			    share_xattr_list(p->share, node, (char *)x->value, sizeof(x->value));
}

/* A value, or, without a name, all names: they are taken now, and newfid reads what was taken. */
int ninep_xattrwalk(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *from = file_fid(p, m), *f;
	uint32_t number = get_u32(m);
	struct ninep_xattr *x;
	char name[SHARE_XATTR_NAME_MAX + 1];
	int r = msg_get_text(m, name, sizeof(name));
	ssize_t n;

	if (r < 0 || !from)
		return r ?: -EBADF;
	x = ninep_xattr_new(p);
	if (!x)
		return -ENOMEM;
	memcpy(x->name, name, sizeof(x->name));
	n = xattr_fetch(p, from->node, x);
	r = n < 0 ? (int)n : ninep_fid_new(p, number, from->node, &f);
	if (r < 0) {
		x->used = false;
		return r;
	}
	share_get(p->share, from->node);
	x->size = x->filled = (uint32_t)n;
	f->kind = FID_XATTR;
	f->xattr = x;
	msg_put(m, (uint64_t)n, 8);
	return 0;
}

/* The fid is the attribute's from here on. */
int ninep_xattrcreate(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = file_fid(p, m);
	char name[SHARE_XATTR_NAME_MAX + 1];
	int r = msg_get_text(m, name, sizeof(name));
	uint64_t size = get_u64(m);
	uint32_t flags = get_u32(m);
	struct ninep_xattr *x;

	if (r < 0 || m->bad)
		return r ?: -EINVAL;
	if (!f || f->file)
		return -EBADF;
	if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > SHARE_XATTR_MAX)
		return -E2BIG;
	if (share_is_readonly(p->share))
		return -EROFS;
	x = ninep_xattr_new(p);
	if (!x)
		return -ENOMEM;
	memcpy(x->name, name, sizeof(x->name));
	x->size = (uint32_t)size;
	x->flags = (int)flags;
	f->kind = FID_XATTR_NEW;
	f->xattr = x;
	return 0;
}

/* Linux removes an attribute by replacing it with nothing. */
int ninep_xattr_commit(struct ninep *p, struct ninep_fid *f)
{
	const struct ninep_xattr *x = f->xattr;

	if (x->filled < x->size)
		return -EINVAL;
	if (x->size == 0 && x->flags == XATTR_REPLACE)
		return share_xattr_remove(p->share, f->node, x->name);
	return share_xattr_set(p->share, f->node, x->name, x->value, x->size, x->flags);
}

int ninep_xattr_read(struct ninep *p, struct ninep_msg *m, struct ninep_fid *f, uint64_t off,
		     uint32_t count)
{
	const struct ninep_xattr *x = f->xattr;
	size_t n = off < x->filled ? MIN(count, x->filled - off) : 0;

	(void)p;
	chain_write(m->chain, NINEP_READ_HDR, x->value + MIN(off, x->filled), n);
	msg_put(m, n, 4);
	m->direct = n;
	return 0;
}

/* In order, from its beginning on. */
int ninep_xattr_write(struct ninep *p, struct ninep_msg *m, struct ninep_fid *f, uint64_t off,
		      uint32_t count)
{
	struct ninep_xattr *x = f->xattr;

	(void)p;
	if (off != x->filled)
		return -EINVAL;
	if (count > x->size - x->filled)
		return -ENOSPC;
	chain_read(m->chain, NINEP_WRITE_HDR, x->value + off, count);
	x->filled += count;
	msg_put(m, count, 4);
	return 0;
}
