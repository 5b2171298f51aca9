/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes: the host's, and those that a mapped share keeps beside them. */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <sys/xattr.h>

#define SUID_BITS (S_ISUID | S_ISGID)

/* ---- user.virtfs.*: little-endian, of plain files and folders only ---- */

static int map_get32(int fd, const char *name, uint32_t *ret)
{
	struct fd_name n = fd_name(fd);
	uint32_t value;
	ssize_t r = getxattr(n.text, name, &value, sizeof(value));

	if (r == sizeof(value)) {
		*ret = GUINT32_FROM_LE(value);
		return 1;
	}
	/* of another length, or a file of the host that we may not read: as if it were not there */
	return r >= 0 || errno == ENODATA || errno == ERANGE || errno == EOPNOTSUPP ||
	       errno == EACCES || errno == EPERM ? 0 : share_errno();
}

static int map_set32(int fd, const char *name, uint32_t value)
{
	struct fd_name n = fd_name(fd);
	uint32_t le = GUINT32_TO_LE(value);

	return setxattr(n.text, name, &le, sizeof(le), 0) < 0 ? share_errno() : 0;
}

static bool map_has(const struct share *s, mode_t host)
{
	return s->owners == SHARE_MAPPED && (S_ISREG(host) || S_ISDIR(host));
}

/* The type that a marked file has: a folder stays one, and nothing else becomes one. */
static mode_t map_type(mode_t host, mode_t mapped)
{
	switch (mapped & S_IFMT) {
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return S_ISREG(host) ? mapped & S_IFMT : host & S_IFMT;
	default:
		return host & S_IFMT;
	}
}

static int map_show(int fd, struct stat *st)
{
	struct fd_name n = fd_name(fd);
	uint32_t mode = 0;
	uint64_t rdev;
	int r;

	if ((r = map_get32(fd, XATTR_OURS "uid", &st->st_uid)) < 0 ||
	    (r = map_get32(fd, XATTR_OURS "gid", &st->st_gid)) < 0 ||
	    (r = map_get32(fd, XATTR_OURS "mode", &mode)) < 0)
		return r;
	if (r > 0)
		st->st_mode = map_type(st->st_mode, mode) | (mode & 07777);
	if ((S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) &&
	    getxattr(n.text, XATTR_OURS "rdev", &rdev, sizeof(rdev)) == sizeof(rdev))
		st->st_rdev = GUINT64_FROM_LE(rdev);
	return 0;
}

int share_map(struct share *s, int fd, mode_t mode, dev_t rdev, const struct share_cred *cred)
{
	struct fd_name n = fd_name(fd);
	uint64_t le = GUINT64_TO_LE((uint64_t)rdev);
	int r = map_set32(fd, XATTR_OURS "uid", cred->uid);

	if (r == 0)
		r = map_set32(fd, XATTR_OURS "gid", cred->gid);
	if (r == 0)
		r = map_set32(fd, XATTR_OURS "mode", mode);
	if (r == 0 && rdev && setxattr(n.text, XATTR_OURS "rdev", &le, sizeof(le), 0) < 0)
		r = share_errno();
	return r;
}

/* ---- looking ---- */

static void owner_show(const struct share *s, struct stat *st)
{
	if (s->owners == SHARE_SQUASH)
		st->st_uid = st->st_gid = 0;
	if (s->ours_are && st->st_uid == s->our_uid)
		st->st_uid = s->uid;
	if (s->ours_are && st->st_gid == s->our_gid)
		st->st_gid = s->gid;
}

uid_t share_host_uid(const struct share *s, uid_t uid)
{
	return s->ours_are && uid == s->uid ? s->our_uid : uid;
}

gid_t share_host_gid(const struct share *s, gid_t gid)
{
	return s->ours_are && gid == s->gid ? s->our_gid : gid;
}

int share_stat_show(struct share *s, int fd, struct stat *st)
{
	int r = 0;

	owner_show(s, st);
	if (map_has(s, st->st_mode))
		r = map_show(fd, st);
	st->st_ino = share_ino(s, st->st_dev, st->st_ino);
	return r;
}

int share_stat(struct share *s, struct share_node *node, struct stat *ret)
{
	struct stat st;
	int r = share_fd_stat(node->fd, &st);

	if (r == 0)
		r = share_stat_show(s, node->fd, &st);
	if (r == 0)
		*ret = st;
	return r;
}

int share_statfs(struct share *s, struct share_node *node, struct statvfs *ret)
{
	return fstatvfs(node->fd, ret) < 0 ? share_errno() : 0;
}

/* ---- changing ---- */

static int change_size(struct share *s, struct share_node *node, struct share_file *file,
		       off_t size)
{
	int r;

	if (!S_ISREG(node->type))
		return S_ISDIR(node->type) ? -EISDIR : -EINVAL;
	if (file && (file->flags & O_ACCMODE) != O_RDONLY)
		return ftruncate(file->fd, size) < 0 ? share_errno() : 0;
	auto_close int fd = share_reopen(s, node->fd, O_WRONLY);
	if (fd < 0)
		return fd;
	do {
		r = ftruncate(fd, size);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? share_errno() : 0;
}

/*
 * An attribute can't be set on a file that its owner has made read-only, and
 * here the guest's root is that owner.  So its mode is kept in its mark, as that
 * of a file that was made here, and on the host it is its owner's to write.
 */
static int map_take(struct share *s, struct share_node *node)
{
	struct fd_name n = fd_name(node->fd);
	struct stat host, shown;
	int r = share_fd_stat(node->fd, &host);

	if (r == 0)
		r = share_stat(s, node, &shown);
	if (r < 0)
		return r;
	host.st_mode |= S_ISDIR(host.st_mode) ? S_IRWXU : S_IRUSR | S_IWUSR;
	if (fchmodat(s->proc_fd, n.text, host.st_mode & 07777, 0) < 0)
		return share_errno();
	return map_set32(node->fd, XATTR_OURS "mode", shown.st_mode);
}

static int map_change32(struct share *s, struct share_node *node, const char *name, uint32_t value)
{
	int r = map_set32(node->fd, name, value);

	if (r != -EACCES || map_take(s, node) < 0)
		return r;
	return map_set32(node->fd, name, value);
}

static int change_owner(struct share *s, struct share_node *node, const struct share_change *c)
{
	uid_t uid = c->set & SHARE_SET_UID ? share_host_uid(s, c->uid) : (uid_t)-1;
	gid_t gid = c->set & SHARE_SET_GID ? share_host_gid(s, c->gid) : (gid_t)-1;
	int r = 0;	/* a mapped file keeps the guest's numbers as they are */

	if (s->owners == SHARE_SQUASH)
		return 0;
	if (!map_has(s, node->type))
		return fchownat(node->fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0
			? share_errno() : 0;
	if (c->set & SHARE_SET_UID)
		r = map_change32(s, node, XATTR_OURS "uid", c->uid);
	if (r == 0 && c->set & SHARE_SET_GID)
		r = map_change32(s, node, XATTR_OURS "gid", c->gid);
	return r;
}

/*
 * What a squashed or idmapped share makes is somebody's who has not made it: a
 * set-user-ID one would be a program of the guest's that others on the host run
 * as him.
 */
mode_t share_host_mode(const struct share *s, mode_t mode)
{
	bool lent = s->owners == SHARE_SQUASH || s->ours_are;

	return lent && !S_ISDIR(mode) ? mode & ~(mode_t)SUID_BITS : mode;
}

static int change_mode(struct share *s, struct share_node *node, mode_t mode)
{
	struct fd_name n = fd_name(node->fd);
	struct stat st;
	int r;

	mode &= 07777;
	if (!map_has(s, node->type)) {
		mode = share_host_mode(s, node->type | mode) & 07777;
		return fchmodat(s->proc_fd, n.text, mode, 0) < 0 ? share_errno() : 0;
	}
	r = share_stat(s, node, &st);
	return r < 0 ? r : map_change32(s, node, XATTR_OURS "mode", (st.st_mode & S_IFMT) | mode);
}

/* What a write or a change of owner takes from a program's mode. */
static int change_no_suid(struct share *s, struct share_node *node)
{
	struct stat st;
	mode_t mode;
	int r = share_stat(s, node, &st);

	if (r < 0 || !S_ISREG(st.st_mode))
		return r;
	mode = st.st_mode & ~(mode_t)S_ISUID;
	if (mode & S_IXGRP)
		mode &= ~(mode_t)S_ISGID;
	return mode == st.st_mode ? 0 : change_mode(s, node, mode);
}

static int change_times(struct share_node *node, const struct share_change *c)
{
	const struct timespec omit = { .tv_nsec = UTIME_OMIT };
	const struct timespec times[2] = {
		c->set & SHARE_SET_ATIME ? c->atime : omit,
		c->set & SHARE_SET_MTIME ? c->mtime : omit,
	};

	return utimensat(node->fd, "", times, AT_EMPTY_PATH) < 0 ? share_errno() : 0;
}

/* Each step undoes what a later one sets: size the times, the owner the mode. */
int share_change(struct share *s, struct share_node *node, struct share_file *file,
		 const struct share_change *c)
{
	bool owner = c->set & (SHARE_SET_UID | SHARE_SET_GID);
	int r = share_check_write(s);

	if (r == 0 && c->set & SHARE_SET_SIZE)
		r = change_size(s, node, file, c->size);
	if (r == 0 && owner)
		r = change_owner(s, node, c);
	if (r == 0 && (c->set & SHARE_SET_NO_SUID || (owner && s->owners == SHARE_MAPPED)))
		r = change_no_suid(s, node);
	if (r == 0 && c->set & SHARE_SET_MODE)
		r = change_mode(s, node, c->mode);
	if (r == 0 && c->set & (SHARE_SET_ATIME | SHARE_SET_MTIME))
		r = change_times(node, c);
	return r;
}
