/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-fs: what it agrees to, and attributes. */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#define MINOR_MIN 31			/* Linux 5.4, the first with a virtiofs */
#define BACKGROUND 64			/* requests that nobody in the guest waits for */
#define CONGESTION 48
/* FUSE 7.39: a file that is not cached may be mapped all the same; newer than our header */
#define F_DIRECT_IO_ALLOW_MMAP (UINT64_C(1) << 36)

/* What we take of what the kernel offers. */
static uint64_t flags_wanted(const struct fs *fs)
{
	uint64_t flags = FUSE_ASYNC_READ | FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS |
			 FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
			 FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
			 FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2 | FUSE_INIT_EXT;

	switch (fs->cache) {
	case FS_CACHE_AUTO:
		return flags | FUSE_AUTO_INVAL_DATA;
	case FS_CACHE_NONE:
		return flags | F_DIRECT_IO_ALLOW_MMAP;
	default:
		return flags | FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS;
	}
}

static int init_reply(struct fs_call *c, const struct fuse_init_out *reply)
{
	memcpy(c->fs->out, reply, sizeof(*reply));
	return sizeof(*reply);
}

/* A second INIT is a new mount: the old one's files are closed. */
int fs_init(struct fs_call *c)
{
	struct fs *fs = c->fs;
	struct fuse_init_in in = { 0 };
	struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION,
				     .minor = FUSE_KERNEL_MINOR_VERSION };
	uint64_t offered;

	memcpy(&in, c->args, MIN(sizeof(in), 16 + c->text_len));
	if (in.major > FUSE_KERNEL_VERSION)
		return init_reply(c, &out);	/* it asks again, for ours */
	if (in.major < FUSE_KERNEL_VERSION || in.minor < MINOR_MIN)
		return -EPROTO;
	offered = in.flags;
	if (in.flags & FUSE_INIT_EXT)
		offered |= (uint64_t)in.flags2 << 32;
	fs_wait_forget(fs);
	share_reset(fs->share);
	fs->flags = offered & flags_wanted(fs);
	out.flags = (uint32_t)fs->flags;
	out.flags2 = (uint32_t)(fs->flags >> 32);
	out.max_readahead = in.max_readahead;
	out.max_background = BACKGROUND;
	out.congestion_threshold = CONGESTION;
	out.max_write = FS_MAX_PAGES * FS_PAGE;
	out.max_pages = FS_MAX_PAGES;
	out.time_gran = 1;
	fs->started = true;
	return init_reply(c, &out);
}

int fs_destroy(struct fs_call *c)
{
	fs_wait_forget(c->fs);
	share_reset(c->fs->share);
	c->fs->started = false;
	return 0;
}

int fs_statfs(struct fs_call *c)
{
	struct statvfs st;
	struct fuse_statfs_out out;
	int r = share_statfs(c->fs->share, c->node, &st);

	if (r < 0)
		return r;
	out = (struct fuse_statfs_out){ .st = {
		.blocks = st.f_blocks, .bfree = st.f_bfree, .bavail = st.f_bavail,
		.files = st.f_files, .ffree = st.f_ffree, .bsize = (uint32_t)st.f_bsize,
		.namelen = (uint32_t)st.f_namemax, .frsize = (uint32_t)st.f_frsize,
	} };
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

/* ---- attributes ---- */

/* 32 bits: 12 of the major, 20 of the minor number, as Linux has them inside. */
static uint32_t rdev_encode(dev_t dev)
{
	uint32_t minor = minor(dev);

	return (minor & 0xff) | (major(dev) & 0xfff) << 8 | (minor & ~0xffu) << 12;
}

static void attr_fill(struct fuse_attr *a, const struct stat *st)
{
	*a = (struct fuse_attr){
		.ino = st->st_ino, .size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec, .atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtime = (uint64_t)st->st_mtim.tv_sec, .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctime = (uint64_t)st->st_ctim.tv_sec, .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode, .nlink = (uint32_t)st->st_nlink,
		.uid = st->st_uid, .gid = st->st_gid, .rdev = rdev_encode(st->st_rdev),
		.blksize = (uint32_t)st->st_blksize,
	};
}

void fs_entry_fill(struct fs *fs, struct fuse_entry_out *out, struct share_node *node,
		   const struct stat *st)
{
	*out = (struct fuse_entry_out){ .nodeid = share_node_id(fs->share, node),
					.entry_valid = fs->valid_s, .attr_valid = fs->valid_s };
	attr_fill(&out->attr, st);
}

int fs_entry(struct fs_call *c, struct share_node *node, const struct stat *st)
{
	struct fuse_entry_out out;

	fs_entry_fill(c->fs, &out, node, st);
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

static int attr_reply(struct fs_call *c)
{
	struct fuse_attr_out out = { .attr_valid = c->fs->valid_s };
	struct stat st;
	int r = share_stat(c->fs->share, c->node, &st);

	if (r < 0)
		return r;
	attr_fill(&out.attr, &st);
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

int fs_getattr(struct fs_call *c)
{
	return attr_reply(c);
}

static int change_from(const struct fuse_setattr_in *in, struct share_change *ret)
{
	static const struct { uint32_t fuse, ours; } bits[] = {
		{ FATTR_MODE, SHARE_SET_MODE }, { FATTR_UID, SHARE_SET_UID },
		{ FATTR_GID, SHARE_SET_GID }, { FATTR_SIZE, SHARE_SET_SIZE },
		{ FATTR_ATIME | FATTR_ATIME_NOW, SHARE_SET_ATIME },
		{ FATTR_MTIME | FATTR_MTIME_NOW, SHARE_SET_MTIME },
		{ FATTR_KILL_SUIDGID, SHARE_SET_NO_SUID },
	};

	*ret = (struct share_change){
		.mode = in->mode, .uid = in->uid, .gid = in->gid, .size = (off_t)in->size,
		.atime = { (time_t)in->atime, (long)in->atimensec },
		.mtime = { (time_t)in->mtime, (long)in->mtimensec },
	};
	for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
		if (in->valid & bits[i].fuse)
			ret->set |= bits[i].ours;
	if (in->valid & FATTR_ATIME_NOW)
		ret->atime.tv_nsec = UTIME_NOW;
	if (in->valid & FATTR_MTIME_NOW)
		ret->mtime.tv_nsec = UTIME_NOW;
	return in->valid & FATTR_SIZE && in->size > INT64_MAX ? -EFBIG : 0;
}

int fs_setattr(struct fs_call *c)
{
	const struct fuse_setattr_in *in = c->args;
	struct share_file *file = NULL;
	struct share_change change;
	int r = change_from(in, &change);

	if (r < 0)
		return r;
	if (in->valid & FATTR_FH) {
		file = share_file_by_id(c->fs->share, in->fh);
		if (!file || share_file_node(c->fs->share, file) != c->node)
			return -EBADF;
	}
	r = share_change(c->fs->share, c->node, file, &change);
	return r < 0 ? r : attr_reply(c);
}

/* ---- extended attributes ---- */

/* An answer is a length when that was asked for, else the bytes, which are in `out`. */
static int xattr_reply(struct fs_call *c, size_t asked, ssize_t got)
{
	struct fuse_getxattr_out out = { .size = (uint32_t)MAX(got, 0) };

	if (got < 0 || asked)
		return (int)got;
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

int fs_getxattr(struct fs_call *c)
{
	const struct fuse_getxattr_in *in = c->args;
	size_t len = MIN(in->size, SHARE_XATTR_MAX);
	const char *name = fs_text(c);

	if (!name)
		return -EINVAL;
	return xattr_reply(c, len, share_xattr_get(c->fs->share, c->node, name, c->fs->out, len));
}

int fs_listxattr(struct fs_call *c)
{
	const struct fuse_getxattr_in *in = c->args;
	size_t len = MIN(in->size, SHARE_XATTR_MAX);

	return xattr_reply(c, len, share_xattr_list(c->fs->share, c->node, (char *)c->fs->out,
						    len));
}

int fs_setxattr(struct fs_call *c)
{
	const struct fuse_setxattr_in *in = c->args;
	const char *name = fs_text(c);

	if (!name || in->size > c->text_len)
		return -EINVAL;
	return share_xattr_set(c->fs->share, c->node, name, c->text, in->size, (int)in->flags);
}

int fs_removexattr(struct fs_call *c)
{
	const char *name = fs_text(c);

	return name ? share_xattr_remove(c->fs->share, c->node, name) : -EINVAL;
}
