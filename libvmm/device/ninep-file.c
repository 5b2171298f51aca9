/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 9P messages about open files. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>
#include <unistd.h>

#define ENTRY_HDR (13 + 8 + 1 + 2)

enum { LOCK_DONE, LOCK_BLOCKED };	/* of Rlock */

/* ---- open, close ---- */

static struct ninep_fid *open_fid(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));

	return f && f->file ? f : NULL;
}

/* iounit 0: as much at a time as msize allows. */
static void put_opened(struct ninep_msg *m, const struct stat *st)
{
	msg_put_qid(m, st);
	msg_put(m, 0, 4);
}

int ninep_lopen(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	uint32_t flags = get_u32(m);	/* 9P2000.L's are Linux's own */
	struct stat st;
	int r;

	if (m->bad)
		return -EINVAL;
	if (!f || f->kind != FID_FILE || f->file)
		return -EBADF;
	r = share_open(p->share, f->node, (int)flags, &f->file);
	if (r < 0) {
		f->file = NULL;
		return r;
	}
	r = share_stat(p->share, f->node, &st);
	if (r < 0) {
		share_close(p->share, f->file);
		f->file = NULL;
		return r;
	}
	put_opened(m, &st);
	return 0;
}

/* The fid was the folder's and is the new file's, open. */
int ninep_lcreate(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	char name[NINEP_NAME_BYTES];
	int r = msg_get_name(m, name);
	uint32_t flags = get_u32(m), mode = get_u32(m), gid = get_u32(m);
	struct share_node *node;
	struct share_file *file;
	struct share_cred cred;
	struct stat st;

	if (r < 0 || m->bad)
		return r ?: -EINVAL;
	if (!f || f->kind != FID_FILE || f->file)
		return -EBADF;
	cred = (struct share_cred){ f->uid, gid };
	r = share_create(p->share, f->node, name, (int)flags, mode & 07777, &cred, &node, &file,
			 &st);
	if (r < 0)
		return r;
	ninep_fid_move(p, f, node, f->node, name);
	f->file = file;
	put_opened(m, &st);
	return 0;
}

/* An attribute that was written is set now, and only now can it fail. */
int ninep_clunk(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	int r;

	if (m->bad || !f)
		return m->bad ? -EINVAL : -EBADF;
	r = f->kind == FID_XATTR_NEW ? ninep_xattr_commit(p, f) : 0;
	ninep_fid_free(p, f);
	return r;
}

/* ---- bytes ---- */

int ninep_read(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	uint64_t off = get_u64(m);
	uint32_t count = get_u32(m);
	unsigned pieces;
	ssize_t n;

	if (m->bad || off > INT64_MAX)
		return -EINVAL;
	if (!f)
		return -EBADF;
	count = (uint32_t)MIN(count, m->in_bytes - NINEP_READ_HDR);
	if (f->kind == FID_XATTR)
		return ninep_xattr_read(p, m, f, off, count);
	if (!f->file)
		return -EBADF;
	if (S_ISDIR(share_type(f->node)))
		return -EISDIR;
	pieces = chain_pieces(m->chain->in, m->chain->n_in, NINEP_READ_HDR, count, p->data);
	n = pieces ? share_read(p->share, f->file, p->data, pieces, (off_t)off) : 0;
	if (n < 0)
		return (int)n;
	msg_put(m, (uint64_t)n, 4);
	m->direct = (size_t)n;
	return 0;
}

int ninep_write(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	uint64_t off = get_u64(m);
	uint32_t count = get_u32(m);
	unsigned pieces;
	ssize_t n;

	if (m->bad || off > INT64_MAX)
		return -EINVAL;
	if (!f)
		return -EBADF;
	if (count > m->size - NINEP_WRITE_HDR)
		return -EINVAL;
	if (f->kind == FID_XATTR_NEW)
		return ninep_xattr_write(p, m, f, off, count);
	if (!f->file)
		return -EBADF;
	pieces = chain_pieces(m->chain->out, m->chain->n_out, NINEP_WRITE_HDR, count, p->data);
	n = pieces ? share_write(p->share, f->file, p->data, pieces, (off_t)off) : 0;
	if (n < 0)
		return (int)n;
	msg_put(m, (uint64_t)n, 4);
	return 0;
}

/* ---- folders ---- */

struct listing {
	struct ninep_msg *m;
	size_t room;
	bool full;
};

static mode_t mode_of(unsigned type)
{
	return type == DT_DIR ? S_IFDIR : type == DT_LNK ? S_IFLNK : S_IFREG;
}

/* Each entry into the chain, behind the answer's head. */
static bool entry_put(void *arg, const struct share_entry *e)
{
	struct listing *l = arg;
	uint8_t head[ENTRY_HDR] = { 0 };
	size_t at = NINEP_READ_HDR + l->m->direct;

	if (ENTRY_HDR + e->name_len > l->room) {
		l->full = true;
		return false;
	}
	head[0] = ninep_qid_type(mode_of(e->type));
	ninep_put_le(head + 5, e->ino, 8);
	ninep_put_le(head + 13, e->cookie, 8);
	head[21] = (uint8_t)e->type;
	ninep_put_le(head + 22, e->name_len, 2);
	chain_write(l->m->chain, at, head, sizeof(head));
	chain_write(l->m->chain, at + ENTRY_HDR, e->name, e->name_len);
	l->m->direct += ENTRY_HDR + e->name_len;
	l->room -= ENTRY_HDR + e->name_len;
	return true;
}

int ninep_readdir(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = open_fid(p, m);
	uint64_t cookie = get_u64(m);
	uint32_t count = get_u32(m);
	struct listing l = { .m = m };
	int r;

	if (m->bad)
		return -EINVAL;
	if (!f)
		return -EBADF;
	l.room = MIN(count, m->in_bytes - NINEP_READ_HDR);
	r = share_readdir(p->share, f->file, cookie, entry_put, &l);
	if (r < 0)
		return r;
	if (l.full && m->direct == 0)
		return -EINVAL;		/* none at all would be the folder's end */
	msg_put(m, m->direct, 4);
	return 0;
}

/* ---- locks ---- */

struct lock {
	struct flock range;
	uint64_t owner;
	uint32_t pid;
	char client[NINEP_NAME_BYTES];
};

/* All clients are the one guest; still, two names of it are two owners. */
static int lock_get(struct ninep_msg *m, bool flags, struct lock *l)
{
	uint8_t type = get_u8(m);
	uint64_t start, length;
	int r;

	if (flags)
		get_u32(m);	/* none waits: the client asks again */
	start = get_u64(m);
	length = get_u64(m);
	l->pid = get_u32(m);
	r = msg_get_name(m, l->client);
	if (r < 0)
		return r;
	if (type > F_UNLCK || start > INT64_MAX || length > INT64_MAX - start)
		return -EINVAL;
	l->range = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)start,
				   .l_len = (off_t)length };
	l->owner = l->pid | (uint64_t)g_str_hash(l->client) << 32;
	return 0;
}

int ninep_lock(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = open_fid(p, m);
	struct lock l;
	int r = lock_get(m, true, &l);

	if (r < 0 || !f)
		return r ?: -EBADF;
	r = share_lock(p->share, f->file, l.owner, &l.range);
	if (r < 0 && r != -EAGAIN && r != -EACCES)
		return r;
	msg_put(m, r < 0 ? LOCK_BLOCKED : LOCK_DONE, 1);
	return 0;
}

int ninep_getlock(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = open_fid(p, m);
	struct lock l;
	int r = lock_get(m, false, &l);

	if (r < 0 || !f)
		return r ?: -EBADF;
	r = share_lock_test(p->share, f->file, l.owner, &l.range);
	if (r < 0)
		return r;
	msg_put(m, (uint64_t)l.range.l_type, 1);
	msg_put(m, (uint64_t)l.range.l_start, 8);
	msg_put(m, (uint64_t)l.range.l_len, 8);
	msg_put(m, l.range.l_type == F_UNLCK ? l.pid : 0, 4);
	msg_put_text(m, l.client, strlen(l.client));
	return 0;
}
