/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-fs: open files and folders. */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

#define READ_BYTES_MAX (1u << 30)

/* ---- open ---- */

/*
 * A kernel that keeps writes back fills pages of which a program has written a
 * part, so it reads where the program may only write, and it knows the end.
 */
int fs_open_flags(const struct fs *fs, uint32_t flags)
{
	int host = (int)(flags & (O_ACCMODE | O_APPEND | O_TRUNC | O_SYNC | O_DSYNC));

	if (fs->flags & FUSE_WRITEBACK_CACHE) {
		if ((host & O_ACCMODE) == O_WRONLY)
			host = (host & ~O_ACCMODE) | O_RDWR;
		host &= ~O_APPEND;
	}
	return host;
}

uint32_t fs_fopen_flags(const struct fs *fs)
{
	switch (fs->cache) {
	case FS_CACHE_NONE:
		return FOPEN_DIRECT_IO;
	case FS_CACHE_ALWAYS:
		return FOPEN_KEEP_CACHE;
	default:
		return 0;
	}
}

static int open_reply(struct fs_call *c, struct share_file *file, uint32_t open_flags)
{
	struct fuse_open_out out = { .fh = share_file_id(c->fs->share, file),
				     .open_flags = open_flags };

	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

static int no_suid(struct fs_call *c)
{
	const struct share_change change = { .set = SHARE_SET_NO_SUID };

	return share_change(c->fs->share, c->node, NULL, &change);
}

int fs_open(struct fs_call *c)
{
	const struct fuse_open_in *in = c->args;
	int flags = fs_open_flags(c->fs, in->flags);
	struct share_file *file;
	int r;

	if (share_type(c->node) == S_IFDIR)
		return -EISDIR;
	r = share_open(c->fs->share, c->node, flags, &file);
	/* what may write only is opened so, even if the kernel's cache would read, too */
	if (r == -EACCES && (in->flags & O_ACCMODE) == O_WRONLY)
		r = share_open(c->fs->share, c->node, (flags & ~O_ACCMODE) | O_WRONLY, &file);
	if (r < 0)
		return r;
	if (in->open_flags & FUSE_OPEN_KILL_SUIDGID)
		no_suid(c);
	return open_reply(c, file, fs_fopen_flags(c->fs));
}

int fs_opendir(struct fs_call *c)
{
	struct share_file *file;
	int r = share_open(c->fs->share, c->node, O_RDONLY | O_DIRECTORY, &file);

	if (r < 0)
		return r;
	return open_reply(c, file,
			  c->fs->cache == FS_CACHE_ALWAYS ? FOPEN_KEEP_CACHE | FOPEN_CACHE_DIR : 0);
}

int fs_release(struct fs_call *c)
{
	share_close(c->fs->share, c->file);
	c->fs->lock_freed = true;
	return 0;
}

/* A program has closed one of its descriptors: POSIX takes its locks. */
int fs_flush(struct fs_call *c)
{
	const struct fuse_flush_in *in = c->args;

	share_lock_drop(c->fs->share, c->node, in->lock_owner);
	c->fs->lock_freed = true;
	return 0;
}

/* ---- bytes ---- */

int fs_read(struct fs_call *c)
{
	const struct fuse_read_in *in = c->args;
	const struct virtqueue_chain *chain = c->chain;
	size_t room, len;

	if (chain->in_bytes < sizeof(struct fuse_out_header) || in->offset > INT64_MAX)
		return -EINVAL;
	room = chain->in_bytes - sizeof(struct fuse_out_header);
	len = MIN(MIN(in->size, room), READ_BYTES_MAX);
	unsigned n = chain_pieces(chain->in, chain->n_in, sizeof(struct fuse_out_header), len,
				  c->fs->data);
	return (int)share_read(c->fs->share, c->file, c->fs->data, n, (off_t)in->offset);
}

int fs_write(struct fs_call *c)
{
	const struct fuse_write_in *in = c->args;
	const size_t front = sizeof(struct fuse_in_header) + sizeof(*in);
	struct fuse_write_out out = { 0 };
	ssize_t done;

	if (in->offset > INT64_MAX || in->size > c->h.len - front || in->size > READ_BYTES_MAX)
		return -EINVAL;
	if (in->write_flags & FUSE_WRITE_KILL_SUIDGID)
		no_suid(c);
	unsigned n = chain_pieces(c->chain->out, c->chain->n_out, front, in->size, c->fs->data);
	done = share_write(c->fs->share, c->file, c->fs->data, n, (off_t)in->offset);
	if (done < 0)
		return (int)done;
	out.size = (uint32_t)done;
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

int fs_lseek(struct fs_call *c)
{
	const struct fuse_lseek_in *in = c->args;
	struct fuse_lseek_out out;
	off_t at;

	if (in->offset > INT64_MAX)
		return -ENXIO;
	at = share_seek(c->fs->share, c->file, (off_t)in->offset, (int)in->whence);
	if (at < 0)
		return (int)at;
	out.offset = (uint64_t)at;
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

int fs_fallocate(struct fs_call *c)
{
	const struct fuse_fallocate_in *in = c->args;

	if (in->offset > INT64_MAX || in->length > INT64_MAX)
		return -EFBIG;
	return share_fallocate(c->fs->share, c->file, (int)in->mode, (off_t)in->offset,
			       (off_t)in->length);
}

int fs_copy_file_range(struct fs_call *c)
{
	const struct fuse_copy_file_range_in *in = c->args;
	struct share_file *to = share_file_by_id(c->fs->share, in->fh_out);
	struct fuse_write_out out = { 0 };
	ssize_t done;

	if (!to)
		return -EBADF;
	if (in->off_in > INT64_MAX || in->off_out > INT64_MAX || in->flags)
		return -EINVAL;
	done = share_copy(c->fs->share, c->file, (off_t)in->off_in, to, (off_t)in->off_out,
			  (size_t)in->len);
	if (done < 0)
		return (int)done;
	out.size = (uint32_t)done;
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

/* ---- folders ---- */

struct listing {
	struct fs_call *c;
	size_t room, used;
	bool plus;
};

static void dirent_put(struct listing *l, const struct share_entry *e, size_t front)
{
	uint8_t *at = l->c->fs->out + l->used;
	struct fuse_dirent d = { .ino = e->ino, .off = e->cookie, .namelen = (uint32_t)e->name_len,
				 .type = e->type };
	size_t bytes = front + FUSE_NAME_OFFSET + e->name_len;

	memcpy(at + front, &d, FUSE_NAME_OFFSET);
	memcpy(at + front + FUSE_NAME_OFFSET, e->name, e->name_len);
	memset(at + bytes, 0, FUSE_REC_ALIGN(bytes) - bytes);
	l->used += FUSE_REC_ALIGN(bytes);
}

/* Node 0: the guest looks it up when it wants it. */
static void entry_put(struct listing *l, const struct share_entry *e)
{
	struct fs *fs = l->c->fs;
	struct fuse_entry_out entry = { .attr = { .ino = e->ino, .mode = e->type << 12 } };
	struct share_node *node;
	struct stat st;

	if (strcmp(e->name, ".") && strcmp(e->name, "..")) {
		int r = share_lookup(fs->share, l->c->node, e->name, &node, &st);

		if (r == 0)
			fs_entry_fill(fs, &entry, node, &st);
	}
	memcpy(fs->out + l->used, &entry, sizeof(entry));
}

static bool list_one(void *arg, const struct share_entry *e)
{
	struct listing *l = arg;
	size_t front = l->plus ? sizeof(struct fuse_entry_out) : 0;
	size_t bytes = FUSE_REC_ALIGN(front + FUSE_NAME_OFFSET + e->name_len);

	if (bytes > l->room - l->used || e->name_len > SHARE_NAME_MAX)
		return false;
	if (l->plus)
		entry_put(l, e);
	dirent_put(l, e, front);
	return true;
}

static int list(struct fs_call *c, bool plus)
{
	const struct fuse_read_in *in = c->args;
	struct listing l = { .c = c, .plus = plus, .room = MIN(in->size, FS_OUT_BYTES) };
	int r;

	if (c->chain->in_bytes < sizeof(struct fuse_out_header))
		return -EINVAL;
	l.room = MIN(l.room, c->chain->in_bytes - sizeof(struct fuse_out_header));
	r = share_readdir(c->fs->share, c->file, in->offset, list_one, &l);
	return r < 0 && l.used == 0 ? r : (int)l.used;
}

int fs_readdir(struct fs_call *c)
{
	return list(c, false);
}

int fs_readdirplus(struct fs_call *c)
{
	return list(c, true);
}
