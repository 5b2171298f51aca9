/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* 9P messages about names: where a fid leads, and names that come, go and move. */
#include "config.h"
#include "libvmm/device/ninep-priv.h"

#include <errno.h>
#include <sys/sysmacros.h>

#define AT_REMOVEDIR_9P 0x200
#define NO_UID UINT32_MAX

/* A fid that is a file or a folder. */
static struct ninep_fid *file_fid(struct ninep *p, uint32_t number)
{
	struct ninep_fid *f = ninep_fid(p, number);

	return f && f->kind == FID_FILE ? f : NULL;
}

/* ---- attach, walk ---- */

/* There is one tree, whatever user it is attached for. */
int ninep_attach(struct ninep *p, struct ninep_msg *m)
{
	uint32_t number = get_u32(m);
	char uname[NINEP_NAME_BYTES], aname[NINEP_NAME_BYTES];
	struct share_node *root = share_root(p->share);
	struct ninep_fid *f;
	struct stat st;
	uint32_t uid;
	int r;

	get_u32(m);	/* afid: nobody authenticates, vmmd has decided whose folder it is */
	r = msg_get_name(m, uname);
	r = r ?: msg_get_name(m, aname);
	uid = get_u32(m);
	if (r < 0 || m->bad)
		return r ?: -EINVAL;
	if (*aname && strcmp(aname, "/"))
		return -ENOENT;
	r = share_stat(p->share, root, &st);
	r = r < 0 ? r : ninep_fid_new(p, number, root, &f);
	if (r < 0)
		return r;
	share_get(p->share, root);
	f->uid = uid == NO_UID ? 0 : uid;
	msg_put_qid(m, &st);
	return 0;
}

/* Where a walk has come to; it holds one lookup of node, and of parent unless that is NULL. */
struct place {
	struct share_node *node, *parent;
	char name[NINEP_NAME_BYTES];
};

static void place_put(struct ninep *p, struct place *at)
{
	share_put(p->share, at->node, 1);
	if (at->parent)
		share_put(p->share, at->parent, 1);
}

static int place_step(struct ninep *p, struct ninep_msg *m, struct place *at)
{
	char name[NINEP_NAME_BYTES];
	struct share_node *node;
	struct stat st;
	int r = msg_get_name(m, name);

	r = r < 0 ? r : share_lookup(p->share, at->node, name, &node, &st);
	if (r < 0)
		return r;
	if (at->parent)
		share_put(p->share, at->parent, 1);
	at->parent = at->node;
	at->node = node;
	memcpy(at->name, name, sizeof(name));
	msg_put_qid(m, &st);
	return 0;
}

/* The walk is done: its end is newfid's; takes what `at` holds. */
static int walk_end(struct ninep *p, struct ninep_fid *from, uint32_t number, struct place *at)
{
	struct ninep_fid *f = from;
	int r = 0;

	if (number != from->fid)
		r = ninep_fid_new(p, number, at->node, &f);
	else if (from->file)
		r = -EINVAL;
	if (r < 0) {
		place_put(p, at);
		return r;
	}
	if (f == from) {
		ninep_fid_move(p, f, at->node, at->parent, at->name);
		if (at->parent)
			share_put(p->share, at->parent, 1);
		return 0;
	}
	f->uid = from->uid;
	f->parent = at->parent;
	memcpy(f->name, at->name, sizeof(f->name));
	return 0;
}

/* A walk that ends on its way says how far it came, and leaves newfid as it was. */
int ninep_walk(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *from = file_fid(p, get_u32(m));
	uint32_t number = get_u32(m);
	unsigned n = get_u16(m), done = 0;
	uint8_t *count = m->put;
	struct place at;
	int r = 0;

	if (m->bad || n > NINEP_WALK_MAX)
		return -EINVAL;
	if (!from || (number != from->fid && ninep_fid(p, number)))
		return -EBADF;
	at = (struct place){ .node = from->node, .parent = from->parent };
	memcpy(at.name, from->name, sizeof(at.name));
	share_get(p->share, at.node);
	if (at.parent)
		share_get(p->share, at.parent);
	msg_put(m, 0, 2);
	while (done < n && (r = place_step(p, m, &at)) == 0)
		done++;
	ninep_put_le(count, done, 2);
	if (done == n)
		return walk_end(p, from, number, &at);
	place_put(p, &at);
	return done ? 0 : r;
}

/* ---- making ---- */

/* What all of them begin with. */
struct making {
	struct ninep_fid *dir;
	char name[NINEP_NAME_BYTES];
	struct share_cred cred;
};

static int making_begin(struct ninep *p, struct ninep_msg *m, struct making *mk)
{
	int r;

	mk->dir = file_fid(p, get_u32(m));
	r = msg_get_name(m, mk->name);
	if (r < 0)
		return r;
	return mk->dir ? 0 : -EBADF;
}

/* The guest learns what it is; it walks there when it wants it. */
static int making_end(struct ninep *p, struct ninep_msg *m, int r, struct share_node *node,
		      const struct stat *st)
{
	if (r < 0)
		return r;
	share_put(p->share, node, 1);
	msg_put_qid(m, st);
	return 0;
}

int ninep_mkdir(struct ninep *p, struct ninep_msg *m)
{
	struct making mk;
	struct share_node *node;
	struct stat st;
	mode_t mode;
	int r = making_begin(p, m, &mk);

	mode = get_u32(m) & 07777;
	if (r < 0 || m->bad)
		return r ?: -EINVAL;
	mk.cred = (struct share_cred){ mk.dir->uid, get_u32(m) };
	if (m->bad)
		return -EINVAL;
	r = share_mkdir(p->share, mk.dir->node, mk.name, mode, &mk.cred, &node, &st);
	return making_end(p, m, r, node, &st);
}

int ninep_symlink(struct ninep *p, struct ninep_msg *m)
{
	struct making mk;
	char target[SHARE_TARGET_MAX + 1];
	struct share_node *node;
	struct stat st;
	int r = making_begin(p, m, &mk);

	r = r ?: msg_get_text(m, target, sizeof(target));
	if (r < 0)
		return r;
	mk.cred = (struct share_cred){ mk.dir->uid, get_u32(m) };
	if (m->bad)
		return -EINVAL;
	r = share_symlink(p->share, mk.dir->node, mk.name, target, &mk.cred, &node, &st);
	return making_end(p, m, r, node, &st);
}

int ninep_mknod(struct ninep *p, struct ninep_msg *m)
{
	struct making mk;
	struct share_node *node;
	struct stat st;
	int r = making_begin(p, m, &mk);
	mode_t mode = get_u32(m);
	unsigned major = get_u32(m), minor = get_u32(m);

	if (r < 0)
		return r;
	mk.cred = (struct share_cred){ mk.dir->uid, get_u32(m) };
	if (m->bad)
		return -EINVAL;
	r = share_mknod(p->share, mk.dir->node, mk.name, mode, makedev(major, minor), &mk.cred,
			&node, &st);
	return making_end(p, m, r, node, &st);
}

int ninep_link(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *dir = file_fid(p, get_u32(m)), *f = file_fid(p, get_u32(m));
	char name[NINEP_NAME_BYTES];
	int r = msg_get_name(m, name);

	if (r < 0)
		return r;
	return dir && f ? share_link(p->share, f->node, dir->node, name) : -EBADF;
}

int ninep_readlink(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = file_fid(p, get_u32(m));
	char target[SHARE_TARGET_MAX];
	ssize_t len;

	if (m->bad || !f)
		return m->bad ? -EINVAL : -EBADF;
	len = share_readlink(p->share, f->node, target, sizeof(target));
	if (len < 0)
		return (int)len;
	msg_put_text(m, target, (size_t)len);
	return 0;
}

/* ---- moving, removing ---- */

/* Has somebody renamed or replaced it behind this fid's back? */
static int still_there(struct ninep *p, const struct ninep_fid *f)
{
	struct share_node *node;
	struct stat st;
	int r;

	if (!f->parent)
		return -EBUSY;	/* the root */
	r = share_lookup(p->share, f->parent, f->name, &node, &st);
	if (r < 0)
		return r;
	share_put(p->share, node, 1);
	return node == f->node ? 0 : -ESTALE;
}

int ninep_rename(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = file_fid(p, get_u32(m)), *dir = file_fid(p, get_u32(m));
	char name[NINEP_NAME_BYTES];
	int r = msg_get_name(m, name);

	if (r < 0)
		return r;
	if (!f || !dir)
		return -EBADF;
	r = still_there(p, f);
	r = r < 0 ? r : share_rename(p->share, f->parent, f->name, dir->node, name, 0);
	if (r < 0)
		return r;
	share_get(p->share, f->node);
	ninep_fid_move(p, f, f->node, dir->node, name);
	return 0;
}

int ninep_renameat(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *from = file_fid(p, get_u32(m)), *to;
	char name[NINEP_NAME_BYTES], to_name[NINEP_NAME_BYTES];
	int r = msg_get_name(m, name);

	to = file_fid(p, get_u32(m));
	r = r ?: msg_get_name(m, to_name);
	if (r < 0)
		return r;
	return from && to ? share_rename(p->share, from->node, name, to->node, to_name, 0) :
			    -EBADF;
}

int ninep_unlinkat(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *dir = file_fid(p, get_u32(m));
	char name[NINEP_NAME_BYTES];
	int r = msg_get_name(m, name);
	uint32_t flags = get_u32(m);

	if (r < 0 || m->bad)
		return r ?: -EINVAL;
	return dir ? share_unlink(p->share, dir->node, name, flags & AT_REMOVEDIR_9P) : -EBADF;
}

/* The fid is gone in any case. */
int ninep_remove(struct ninep *p, struct ninep_msg *m)
{
	struct ninep_fid *f = ninep_fid(p, get_u32(m));
	int r;

	if (m->bad || !f)
		return m->bad ? -EINVAL : -EBADF;
	r = f->kind == FID_FILE ? still_there(p, f) : -EINVAL;
	if (r == 0)
		r = share_unlink(p->share, f->parent, f->name, S_ISDIR(share_type(f->node)));
	ninep_fid_free(p, f);
	return r;
}
