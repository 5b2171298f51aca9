/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-fs: names, and the nodes that they lead to. */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

int fs_lookup(struct fs_call *c)
{
	const char *name = fs_text(c);
	struct share_node *node;
	struct stat st;
	int r = name ? share_lookup(c->fs->share, c->node, name, &node, &st) : -EINVAL;

	return r < 0 ? r : fs_entry(c, node, &st);
}

static void forget_one(struct fs *fs, uint64_t id, uint64_t lookups)
{
	struct share_node *node = fs_node(fs, id);

	if (node)
		share_put(fs->share, node, lookups);
}

int fs_forget(struct fs_call *c)
{
	const struct fuse_forget_in *in = c->args;

	forget_one(c->fs, c->h.nodeid, in->nlookup);
	return FS_NO_ANSWER;
}

int fs_batch_forget(struct fs_call *c)
{
	const struct fuse_batch_forget_in *in = c->args;
	size_t n = MIN(in->count, c->text_len / sizeof(struct fuse_forget_one));

	for (size_t i = 0; i < n; i++) {
		struct fuse_forget_one one;

		memcpy(&one, c->text + i * sizeof(one), sizeof(one));
		forget_one(c->fs, one.nodeid, one.nlookup);
	}
	return FS_NO_ANSWER;
}

int fs_readlink(struct fs_call *c)
{
	return (int)share_readlink(c->fs->share, c->node, (char *)c->fs->out, SHARE_TARGET_MAX);
}

int fs_symlink(struct fs_call *c)
{
	const char *name = fs_text(c), *target = fs_text(c);
	struct share_node *node;
	struct stat st;
	int r;

	if (!name || !target)
		return -EINVAL;
	r = share_symlink(c->fs->share, c->node, name, target, &c->cred, &node, &st);
	return r < 0 ? r : fs_entry(c, node, &st);
}

static dev_t rdev_decode(uint32_t dev)
{
	return makedev((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

int fs_mknod(struct fs_call *c)
{
	const struct fuse_mknod_in *in = c->args;
	const char *name = fs_text(c);
	struct share_node *node;
	struct stat st;
	int r;

	if (!name)
		return -EINVAL;
	r = share_mknod(c->fs->share, c->node, name, in->mode, rdev_decode(in->rdev), &c->cred,
			&node, &st);
	return r < 0 ? r : fs_entry(c, node, &st);
}

int fs_mkdir(struct fs_call *c)
{
	const struct fuse_mkdir_in *in = c->args;
	const char *name = fs_text(c);
	struct share_node *node;
	struct stat st;
	int r;

	if (!name)
		return -EINVAL;
	r = share_mkdir(c->fs->share, c->node, name, in->mode, &c->cred, &node, &st);
	return r < 0 ? r : fs_entry(c, node, &st);
}

static int unlink_any(struct fs_call *c, bool is_dir)
{
	const char *name = fs_text(c);

	return name ? share_unlink(c->fs->share, c->node, name, is_dir) : -EINVAL;
}

int fs_unlink(struct fs_call *c)
{
	return unlink_any(c, false);
}

int fs_rmdir(struct fs_call *c)
{
	return unlink_any(c, true);
}

static int rename_any(struct fs_call *c, uint64_t to_id, unsigned flags)
{
	const char *name = fs_text(c), *to_name = fs_text(c);
	struct share_node *to = fs_node(c->fs, to_id);

	if (!name || !to_name)
		return -EINVAL;
	return to ? share_rename(c->fs->share, c->node, name, to, to_name, flags) : -ESTALE;
}

int fs_rename(struct fs_call *c)
{
	const struct fuse_rename_in *in = c->args;

	return rename_any(c, in->newdir, 0);
}

int fs_rename2(struct fs_call *c)
{
	const struct fuse_rename2_in *in = c->args;

	return rename_any(c, in->newdir, in->flags);
}

/* The answer names the node once more, which counts. */
int fs_link(struct fs_call *c)
{
	const struct fuse_link_in *in = c->args;
	struct share_node *node = fs_node(c->fs, in->oldnodeid);
	const char *name = fs_text(c);
	struct stat st;
	int r;

	if (!name)
		return -EINVAL;
	if (!node)
		return -ESTALE;
	r = share_link(c->fs->share, node, c->node, name);
	if (r == 0)
		r = share_stat(c->fs->share, node, &st);
	if (r < 0)
		return r;
	share_get(c->fs->share, node);
	return fs_entry(c, node, &st);
}

int fs_create(struct fs_call *c)
{
	const struct fuse_create_in *in = c->args;
	int flags = fs_open_flags(c->fs, in->flags) | (int)(in->flags & O_EXCL);
	const char *name = fs_text(c);
	struct fuse_open_out out = { .open_flags = fs_fopen_flags(c->fs) };
	struct share_node *node;
	struct share_file *file;
	struct stat st;
	int r;

	if (!name)
		return -EINVAL;
	r = share_create(c->fs->share, c->node, name, flags, in->mode, &c->cred, &node, &file, &st);
	if (r < 0)
		return r;
	r = fs_entry(c, node, &st);
	out.fh = share_file_id(c->fs->share, file);
	memcpy(c->fs->out + r, &out, sizeof(out));
	return r + (int)sizeof(out);
}
