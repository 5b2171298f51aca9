/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names that come, go and move.
 *
 * What was made is looked up again to be given its owner.  In between somebody
 * else may have put another file in its place, so that one is given away only
 * if it can't be a link to a file that was there before.
 */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CREATE_TRIES 4

struct making {
	struct share_node *dir;
	const char *name;
	mode_t mode;			/* the guest's, with its type */
	dev_t rdev;
	struct share_cred cred;
	struct stat dir_st;		/* as the guest sees it */
};

static int making_begin(struct share *s, struct making *m)
{
	int r = share_check_write(s);

	if (r == 0)
		r = share_name_check(m->name);
	if (r == 0)
		r = share_stat(s, m->dir, &m->dir_st);
	if (r < 0)
		return r;
	if (!S_ISDIR(m->dir->type))
		return -ENOTDIR;
	if (m->dir_st.st_mode & S_ISGID) {	/* inherited, as System V has it */
		m->cred.gid = m->dir_st.st_gid;
		if (S_ISDIR(m->mode))
			m->mode |= S_ISGID;
	}
	return 0;
}

/* What the host's file gets. */
static mode_t host_mode(const struct share *s, const struct making *m)
{
	if (s->owners == SHARE_MAPPED)
		return S_ISDIR(m->mode) ? s->dmode : s->fmode;
	return share_host_mode(s, m->mode) & 07777;
}

/*
 * To who made it.  If we may not give it away, it is ours; but no program that
 * others run as us is made of a guest's bytes.
 */
static int give_away(struct share *s, const struct making *m, int fd, const struct stat *st)
{
	uid_t uid = share_host_uid(s, m->cred.uid);
	gid_t gid = share_host_gid(s, m->cred.gid);
	mode_t mode = share_host_mode(s, m->mode) & 07777;
	struct fd_name n = fd_name(fd);

	if ((st->st_uid != uid || st->st_gid != gid) &&
	    fchownat(fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0) {
		if (errno != EPERM)
			return share_errno();
		if (!S_ISDIR(m->mode))
			mode &= ~(mode_t)(S_ISUID | S_ISGID);
	}
	/* a change of owner takes these bits away */
	if (m->mode & (S_ISUID | S_ISGID) && !S_ISLNK(m->mode) &&
	    fchmodat(s->proc_fd, n.text, mode, 0) < 0)
		return share_errno();
	return 0;
}

static int give(struct share *s, const struct making *m, int fd, const struct stat *st)
{
	if (!S_ISDIR(st->st_mode) && st->st_nlink != 1)
		return -ESTALE;
	if (s->owners == SHARE_MAPPED)
		return share_map(s, fd, m->mode, m->rdev, &m->cred);
	return s->owners == SHARE_PASSTHROUGH ? give_away(s, m, fd, st) : 0;
}

/* Takes fd, an O_PATH one; on failure what was made is gone again. */
static int making_end(struct share *s, struct making *m, int fd, struct share_node **ret,
		      struct stat *ret_st)
{
	auto_close int path_fd = fd;
	struct stat st, shown;
	int r = fd < 0 ? fd : share_fd_stat(fd, &st);

	if (r == 0)
		r = give(s, m, fd, &st);
	if (r == 0)
		r = share_fd_stat(fd, &shown);
	if (r == 0)
		r = share_stat_show(s, fd, &shown);
	if (r == 0)
		r = share_node_take(s, TAKE_FD(path_fd), &st, ret);
	if (r == 0)
		*ret_st = shown;
	else
		unlinkat(m->dir->fd, m->name, S_ISDIR(m->mode) ? AT_REMOVEDIR : 0);
	return r;
}

static int making_end_by_name(struct share *s, struct making *m, struct share_node **ret,
			      struct stat *ret_st)
{
	return making_end(s, m, share_open_at(m->dir->fd, m->name, O_PATH, 0), ret, ret_st);
}

/* ---- files ---- */

static int open_flags(int flags)
{
	return flags & (O_ACCMODE | O_APPEND | O_SYNC | O_DSYNC);
}

/* A plain file that was not there: 0 and an open descriptor. */
static int file_make(struct share *s, struct making *m, int flags, struct share_node **ret,
		     int *ret_fd, struct stat *ret_st)
{
	auto_close int fd = share_open_at(m->dir->fd, m->name,
					  open_flags(flags) | O_CREAT | O_EXCL | O_NONBLOCK,
					  host_mode(s, m));
	int r;

	if (fd < 0)
		return fd;
	r = making_end(s, m, share_reopen(s, fd, O_PATH), ret, ret_st);
	if (r == 0)
		*ret_fd = TAKE_FD(fd);
	return r;
}

static int create_once(struct share *s, struct making *m, int flags, struct share_node **ret,
		       struct share_file **ret_file, struct stat *ret_st)
{
	struct share_node *node;
	auto_close int fd = -1;
	int r = file_make(s, m, flags, &node, &fd, ret_st);

	if (r == 0 && ret_file) {
		r = share_file_new(s, node, TAKE_FD(fd), flags, ret_file);
		if (r < 0)
			unlinkat(m->dir->fd, m->name, 0);
	} else if (r == -EEXIST && !(flags & O_EXCL)) {
		r = share_lookup(s, m->dir, m->name, &node, ret_st);
		if (r < 0)
			return r;
		if (ret_file)
			r = share_open(s, node, flags, ret_file);
		if (r == 0 && flags & O_TRUNC)
			r = share_stat(s, node, ret_st);
	} else if (r < 0) {
		return r;
	}
	if (r < 0)
		share_put(s, node, 1);
	else
		*ret = node;
	return r;
}

int share_create(struct share *s, struct share_node *dir, const char *name, int flags, mode_t mode,
		 const struct share_cred *cred, struct share_node **ret,
		 struct share_file **ret_file, struct stat *ret_st)
{
	struct making m = { dir, name, S_IFREG | (mode & 07777), 0, *cred, { 0 } };
	int r = making_begin(s, &m);

	if (r < 0)
		return r;
	/* one that comes and goes between our two looks: not for ever */
	for (unsigned i = 0; i < CREATE_TRIES; i++) {
		r = create_once(s, &m, flags, ret, ret_file, ret_st);
		if (r != -ENOENT)
			break;
	}
	return r;
}

int share_mkdir(struct share *s, struct share_node *dir, const char *name, mode_t mode,
		const struct share_cred *cred, struct share_node **ret, struct stat *ret_st)
{
	struct making m = { dir, name, S_IFDIR | (mode & 07777), 0, *cred, { 0 } };
	int r = making_begin(s, &m);

	if (r < 0)
		return r;
	if (mkdirat(dir->fd, name, host_mode(s, &m)) < 0)
		return share_errno();
	return making_end_by_name(s, &m, ret, ret_st);
}

/* A plain file that stands for what it is marked to be. */
static int make_marked(struct share *s, struct making *m, const char *text, struct share_node **ret,
		       struct stat *ret_st)
{
	auto_close int fd = -1;
	size_t len = strlen(text);
	int r = file_make(s, m, O_WRONLY, ret, &fd, ret_st);

	if (r < 0 || len == 0)
		return r;
	if (write(fd, text, len) != (ssize_t)len) {
		r = errno ? share_errno() : -ENOSPC;
		unlinkat(m->dir->fd, m->name, 0);
		share_put(s, *ret, 1);
		return r;
	}
	ret_st->st_size = (off_t)len;
	return 0;
}

int share_mknod(struct share *s, struct share_node *dir, const char *name, mode_t mode, dev_t rdev,
		const struct share_cred *cred, struct share_node **ret, struct stat *ret_st)
{
	struct making m = { dir, name, mode & (S_IFMT | 07777), 0, *cred, { 0 } };
	int r = making_begin(s, &m);

	if (r < 0)
		return r;
	switch (mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		if (s->owners != SHARE_MAPPED)
			return -EPERM;
		m.rdev = rdev;
		return make_marked(s, &m, "", ret, ret_st);
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -EINVAL;
	}
	if (s->owners == SHARE_MAPPED)
		return make_marked(s, &m, "", ret, ret_st);
	if (mknodat(dir->fd, name, (mode & S_IFMT) | host_mode(s, &m), 0) < 0)
		return share_errno();
	return making_end_by_name(s, &m, ret, ret_st);
}

/* ---- links ---- */

int share_symlink(struct share *s, struct share_node *dir, const char *name, const char *target,
		  const struct share_cred *cred, struct share_node **ret, struct stat *ret_st)
{
	struct making m = { dir, name, S_IFLNK | 0777, 0, *cred, { 0 } };
	int r = making_begin(s, &m);

	if (r < 0)
		return r;
	if (target[0] == 0)
		return -ENOENT;
	if (strnlen(target, SHARE_TARGET_MAX + 1) > SHARE_TARGET_MAX)
		return -ENAMETOOLONG;
	if (s->owners == SHARE_MAPPED)
		return make_marked(s, &m, target, ret, ret_st);
	if (symlinkat(target, dir->fd, name) < 0)
		return share_errno();
	return making_end_by_name(s, &m, ret, ret_st);
}

ssize_t share_readlink(struct share *s, struct share_node *node, char *buf, size_t len)
{
	struct stat st;
	ssize_t n;
	int r;

	if (S_ISLNK(node->type)) {
		n = readlinkat(node->fd, "", buf, len);
		return n < 0 ? share_errno() : n;
	}
	r = share_stat(s, node, &st);
	if (r < 0)
		return r;
	if (!S_ISLNK(st.st_mode) || !S_ISREG(node->type))
		return -EINVAL;
	auto_close int fd = share_reopen(s, node->fd, O_RDONLY);
	if (fd < 0)
		return fd;
	n = pread(fd, buf, MIN(len, SHARE_TARGET_MAX), 0);
	return n < 0 ? share_errno() : n;
}

/* By /proc: AT_EMPTY_PATH alone wants a capability. */
int share_link(struct share *s, struct share_node *node, struct share_node *dir, const char *name)
{
	struct fd_name n = fd_name(node->fd);
	int r = share_check_write(s);

	if (r == 0)
		r = share_name_check(name);
	if (r < 0)
		return r;
	if (S_ISDIR(node->type))
		return -EPERM;
	return linkat(s->proc_fd, n.text, dir->fd, name, AT_SYMLINK_FOLLOW) < 0 ? share_errno() : 0;
}

int share_rename(struct share *s, struct share_node *dir, const char *name,
		 struct share_node *to_dir, const char *to_name, unsigned flags)
{
	int r = share_check_write(s);

	if (r == 0)
		r = share_name_check(name);
	if (r == 0)
		r = share_name_check(to_name);
	if (r == 0 && flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		r = -EINVAL;
	if (r == 0 && renameat2(dir->fd, name, to_dir->fd, to_name, flags) < 0)
		r = share_errno();
	return r;
}

int share_unlink(struct share *s, struct share_node *dir, const char *name, bool is_dir)
{
	int r = share_check_write(s);

	if (r == 0)
		r = share_name_check(name);
	if (r == 0 && unlinkat(dir->fd, name, is_dir ? AT_REMOVEDIR : 0) < 0)
		r = share_errno();
	return r;
}
