/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files and folders. */
#include "config.h"
#include "libvmm/share/share-priv.h"

#include <dirent.h>
#include <limits.h>
#include <linux/falloc.h>
#include <string.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COPY_BYTES (4u << 20)

/* man 2 getdents64 */
struct host_entry {
	uint64_t ino;
	int64_t off;
	uint16_t len;
	uint8_t type;
	char name[];
};

static_assert(offsetof(struct host_entry, name) == 19, "man 2 getdents64");

static uint32_t slot_of(const struct share *s, const struct share_file *file)
{
	return (uint32_t)(file - s->files);
}

/* Takes fd. */
int share_file_new(struct share *s, struct share_node *node, int fd, int flags,
		   struct share_file **ret)
{
	uint32_t i = s->files_free;

	if (i)
		s->files_free = s->files[i].next;
	else if (s->files_top <= s->files_max)
		i = s->files_top++;
	if (!i) {
		fd_close(&fd);
		return -ENFILE;
	}
	struct share_file *f = &s->files[i];
	f->fd = fd;
	f->node = (uint32_t)(node - s->nodes);
	f->flags = flags & O_ACCMODE;
	f->dir_pos = 0;
	share_node_opened(node);
	*ret = f;
	return 0;
}

int share_open(struct share *s, struct share_node *node, int flags, struct share_file **ret)
{
	int host = flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC);
	int fd;

	if (s->readonly && ((flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC))
		return -EROFS;
	if (S_ISDIR(node->type))
		host = O_RDONLY | O_DIRECTORY;
	else if (!S_ISREG(node->type))
		return -ENXIO;
	else if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (S_ISDIR(node->type) && (flags & O_ACCMODE) != O_RDONLY)
		return -EISDIR;
	fd = share_reopen(s, node->fd, host);
	return fd < 0 ? fd : share_file_new(s, node, fd, flags, ret);
}

void share_close(struct share *s, struct share_file *file)
{
	struct share_node *node = &s->nodes[file->node];

	fd_close(&file->fd);
	file->life++;
	file->next = s->files_free;
	s->files_free = slot_of(s, file);
	share_node_closed(s, node);
}

uint64_t share_file_id(const struct share *s, const struct share_file *file)
{
	return (uint64_t)file->life << 32 | slot_of(s, file);
}

struct share_file *share_file_by_id(struct share *s, uint64_t id)
{
	uint32_t i = (uint32_t)id;

	if (i == 0 || i >= s->files_top || s->files[i].fd < 0 || s->files[i].life != id >> 32)
		return NULL;
	return &s->files[i];
}

struct share_node *share_file_node(struct share *s, const struct share_file *file)
{
	return &s->nodes[file->node];
}

int share_file_dup(struct share *s, struct share_file *file)
{
	int fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 ? share_errno() : fd;
}

int share_root_dup(struct share *s)
{
	return share_reopen(s, share_root(s)->fd, O_RDONLY | O_DIRECTORY);
}

/* ---- bytes ---- */

ssize_t share_read(struct share *s, struct share_file *file, const struct iovec *iov, unsigned n,
		   off_t off)
{
	ssize_t r;

	do {
		r = preadv(file->fd, iov, (int)MIN(n, IOV_MAX), off);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? share_errno() : r;
}

ssize_t share_write(struct share *s, struct share_file *file, const struct iovec *iov, unsigned n,
		    off_t off)
{
	ssize_t r;

	do {
		r = pwritev(file->fd, iov, (int)MIN(n, IOV_MAX), off);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? share_errno() : r;
}

off_t share_seek(struct share *s, struct share_file *file, off_t off, int whence)
{
	off_t r;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return -EINVAL;
	if (!S_ISREG(s->nodes[file->node].type))
		return -EISDIR;
	r = lseek(file->fd, off, whence);
	return r < 0 ? share_errno() : r;
}

ssize_t share_copy(struct share *s, struct share_file *from, off_t from_off,
		   struct share_file *to, off_t to_off, size_t len)
{
	off64_t in = from_off, out = to_off;
	ssize_t r;

	do {
		r = copy_file_range(from->fd, &in, to->fd, &out, MIN(len, COPY_BYTES), 0);
	} while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EXDEV)
		return -EOPNOTSUPP;	/* the guest sees one file system */
	return r < 0 ? share_errno() : r;
}

int share_fallocate(struct share *s, struct share_file *file, int mode, off_t off, off_t len)
{
	const int known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE |
			  FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE;
	int r;

	if (mode & ~known)
		return -EOPNOTSUPP;
	do {
		r = fallocate(file->fd, mode, off, len);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? share_errno() : 0;
}

/* ---- folders ---- */

/* The kernel's entry in what is left; NULL: it is not whole. */
static const struct host_entry *entry_at(const char *bytes, size_t left)
{
	const struct host_entry *e = (const void *)bytes;

	if (left < offsetof(struct host_entry, name) + 2 || e->len > left ||
	    e->len < offsetof(struct host_entry, name) + 2)
		return NULL;
	return e;
}

static struct share_entry entry_show(struct share *s, const struct share_node *dir,
				     const struct host_entry *e)
{
	struct share_entry shown = {
		.ino = share_ino(s, dir->dev, e->ino),
		.cookie = (uint64_t)e->off,
		.type = e->type,
		.name = e->name,
		.name_len = strnlen(e->name, e->len - offsetof(struct host_entry, name)),
	};

	if (dir == share_root(s) && !strcmp(e->name, ".."))
		shown.ino = share_ino(s, dir->dev, dir->ino);	/* the root has nothing above it */
	if (s->owners == SHARE_MAPPED && e->type == DT_REG)
		shown.type = DT_UNKNOWN;
	return shown;
}

/* 1: go on; 0: the end, or enough; or an error. */
static int readdir_some(struct share *s, struct share_file *dir, share_entry_fn *fn, void *arg)
{
	const struct share_node *node = &s->nodes[dir->node];
	ssize_t n = syscall(SYS_getdents64, dir->fd, s->dir_bytes, SHARE_DIR_BYTES);
	const struct host_entry *e;

	if (n <= 0)
		return n < 0 ? share_errno() : 0;
	for (size_t at = 0; (e = entry_at(s->dir_bytes + at, (size_t)n - at)); at += e->len) {
		struct share_entry shown = entry_show(s, node, e);

		if (!fn(arg, &shown)) {
			dir->dir_pos = -1;
			return 0;
		}
		dir->dir_pos = e->off;
	}
	return 1;
}

int share_readdir(struct share *s, struct share_file *dir, uint64_t cookie, share_entry_fn *fn,
		  void *arg)
{
	int r;

	if (!S_ISDIR(s->nodes[dir->node].type))
		return -ENOTDIR;
	if (cookie > INT64_MAX)
		return -EINVAL;
	if (dir->dir_pos != (int64_t)cookie || cookie == 0) {
		if (lseek(dir->fd, (off_t)cookie, SEEK_SET) < 0)
			return share_errno();
		dir->dir_pos = (int64_t)cookie;
	}
	do {
		r = readdir_some(s, dir, fn, arg);
	} while (r > 0);
	return r;
}
