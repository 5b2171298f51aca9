/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A request of virtio-fs from its chain to its answer. */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <errno.h>
#include <string.h>

#define HEADER sizeof(struct fuse_in_header)
#define ERROR_MAX 511			/* Linux takes no other from us */

enum { NODE = 1, FILE_ = 2, EARLY = 4 };	/* what a call needs; EARLY: not even an INIT */

struct op {
	fs_op *run;
	uint16_t args;			/* sizeof its struct */
	uint8_t needs;			/* FILE_: the struct begins with a handle */
};

static const struct op ops[] = {
	[FUSE_LOOKUP] = { fs_lookup, 0, NODE },
	[FUSE_FORGET] = { fs_forget, sizeof(struct fuse_forget_in), 0 },
	[FUSE_GETATTR] = { fs_getattr, sizeof(struct fuse_getattr_in), NODE },
	[FUSE_SETATTR] = { fs_setattr, sizeof(struct fuse_setattr_in), NODE },
	[FUSE_READLINK] = { fs_readlink, 0, NODE },
	[FUSE_SYMLINK] = { fs_symlink, 0, NODE },
	[FUSE_MKNOD] = { fs_mknod, sizeof(struct fuse_mknod_in), NODE },
	[FUSE_MKDIR] = { fs_mkdir, sizeof(struct fuse_mkdir_in), NODE },
	[FUSE_UNLINK] = { fs_unlink, 0, NODE },
	[FUSE_RMDIR] = { fs_rmdir, 0, NODE },
	[FUSE_RENAME] = { fs_rename, sizeof(struct fuse_rename_in), NODE },
	[FUSE_LINK] = { fs_link, sizeof(struct fuse_link_in), NODE },
	[FUSE_OPEN] = { fs_open, sizeof(struct fuse_open_in), NODE },
	[FUSE_READ] = { fs_read, sizeof(struct fuse_read_in), FILE_ },
	[FUSE_WRITE] = { fs_write, sizeof(struct fuse_write_in), FILE_ },
	[FUSE_STATFS] = { fs_statfs, 0, NODE },
	[FUSE_RELEASE] = { fs_release, sizeof(struct fuse_release_in), FILE_ },
	[FUSE_FSYNC] = { fs_fsync, sizeof(struct fuse_fsync_in), FILE_ },
	[FUSE_SETXATTR] = { fs_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, NODE },
	[FUSE_GETXATTR] = { fs_getxattr, sizeof(struct fuse_getxattr_in), NODE },
	[FUSE_LISTXATTR] = { fs_listxattr, sizeof(struct fuse_getxattr_in), NODE },
	[FUSE_REMOVEXATTR] = { fs_removexattr, 0, NODE },
	[FUSE_FLUSH] = { fs_flush, sizeof(struct fuse_flush_in), FILE_ },
	[FUSE_INIT] = { fs_init, 16, EARLY },	/* older kernels say no more */
	[FUSE_OPENDIR] = { fs_opendir, sizeof(struct fuse_open_in), NODE },
	[FUSE_READDIR] = { fs_readdir, sizeof(struct fuse_read_in), FILE_ },
	[FUSE_RELEASEDIR] = { fs_release, sizeof(struct fuse_release_in), FILE_ },
	[FUSE_FSYNCDIR] = { fs_fsync, sizeof(struct fuse_fsync_in), FILE_ },
	[FUSE_GETLK] = { fs_getlk, sizeof(struct fuse_lk_in), FILE_ },
	[FUSE_SETLK] = { fs_setlk, sizeof(struct fuse_lk_in), FILE_ },
	[FUSE_SETLKW] = { fs_setlkw, sizeof(struct fuse_lk_in), FILE_ },
	[FUSE_CREATE] = { fs_create, sizeof(struct fuse_create_in), NODE },
	[FUSE_INTERRUPT] = { fs_interrupt, sizeof(struct fuse_interrupt_in), 0 },
	[FUSE_DESTROY] = { fs_destroy, 0, 0 },
	[FUSE_BATCH_FORGET] = { fs_batch_forget, sizeof(struct fuse_batch_forget_in), 0 },
	[FUSE_FALLOCATE] = { fs_fallocate, sizeof(struct fuse_fallocate_in), FILE_ },
	[FUSE_READDIRPLUS] = { fs_readdirplus, sizeof(struct fuse_read_in), FILE_ },
	[FUSE_RENAME2] = { fs_rename2, sizeof(struct fuse_rename2_in), NODE },
	[FUSE_LSEEK] = { fs_lseek, sizeof(struct fuse_lseek_in), FILE_ },
	[FUSE_COPY_FILE_RANGE] = { fs_copy_file_range, sizeof(struct fuse_copy_file_range_in),
				   FILE_ },
	[FUSE_SYNCFS] = { fs_syncfs, sizeof(struct fuse_syncfs_in), 0 },
};

struct share_node *fs_node(struct fs *fs, uint64_t id)
{
	return share_node_by_id(fs->share, id);
}

const char *fs_text(struct fs_call *c)
{
	const char *text = c->text;
	const char *end = memchr(text, 0, c->text_len);

	if (!end)
		return NULL;
	c->text_len -= (size_t)(end + 1 - text);
	c->text = end + 1;
	return text;
}

/* ---- answers ---- */

void fs_answer(struct fs *fs, unsigned queue, const struct virtqueue_chain *chain, uint64_t unique,
	       int error, size_t payload)
{
	struct fuse_out_header h = { .error = MAX(error, -ERROR_MAX), .unique = unique };
	struct virtqueue *vq = virtio_queue(&fs->vdev, queue);

	if (chain->in_bytes < sizeof(h)) {
		virtqueue_push(vq, chain->head, 0);
		return;
	}
	if (payload > chain->in_bytes - sizeof(h)) {
		h.error = -EIO;
		payload = 0;
	}
	h.len = (uint32_t)(sizeof(h) + payload);
	chain_write(chain, 0, &h, sizeof(h));
	virtqueue_push(vq, chain->head, h.len);
}

/* `out` goes behind the header; what a read has put into guest memory is there already. */
static void payload_write(struct fs_call *c, size_t bytes)
{
	chain_write(c->chain, sizeof(struct fuse_out_header), c->fs->out, bytes);
}

void fs_answer_later(struct fs *fs, unsigned queue, uint16_t head, uint64_t unique, int error)
{
	struct virtqueue_chain chain = { .iov = fs->iov, .n_iov = FS_CHAIN_IOV };

	if (virtqueue_repop(virtio_queue(&fs->vdev, queue), head, &chain) <= 0) {
		virtio_broken(&fs->vdev, "a request was changed while it waited");
		return;
	}
	fs_answer(fs, queue, &chain, unique, error, 0);
	virtio_notify(&fs->vdev, queue);
}

/* ---- requests ---- */

/* The opcode's struct, and what is behind it but the bytes of a write. */
static bool args_copy(struct fs_call *c, const struct op *op)
{
	struct fs *fs = c->fs;
	size_t len = c->h.len - HEADER;

	if (c->h.opcode == FUSE_WRITE)
		len = MIN(len, op->args);
	if (len < op->args || len > FS_IN_BYTES)
		return false;
	chain_read(c->chain, HEADER, fs->in, len);
	fs->in[len] = 0;
	c->args = fs->in;
	c->text = (const char *)fs->in + op->args;
	c->text_len = len - op->args;
	return true;
}

static int objects_find(struct fs_call *c, const struct op *op)
{
	uint64_t handle;

	if (op->needs & NODE) {
		c->node = fs_node(c->fs, c->h.nodeid);
		if (!c->node)
			return -ESTALE;
	}
	if (op->needs & FILE_) {
		memcpy(&handle, c->args, sizeof(handle));
		c->file = share_file_by_id(c->fs->share, handle);
		if (!c->file)
			return -EBADF;
		c->node = share_file_node(c->fs->share, c->file);
	}
	return 0;
}

static int call_run(struct fs_call *c)
{
	const struct op *op = c->h.opcode < ARRAY_SIZE(ops) ? &ops[c->h.opcode] : NULL;
	int r;

	if (!op || !op->run)
		return -ENOSYS;
	if (!args_copy(c, op))
		return -EINVAL;
	if (!c->fs->started && !(op->needs & EARLY))
		return -EIO;
	c->cred = (struct share_cred){ c->h.uid, c->h.gid };
	r = objects_find(c, op);
	return r < 0 ? r : op->run(c);
}

void fs_call(struct fs *fs, unsigned queue, struct virtqueue_chain *chain)
{
	struct fs_call c = { .fs = fs, .queue = queue, .chain = chain };
	int r;

	if (chain_read(chain, 0, &c.h, HEADER) < HEADER || c.h.len < HEADER ||
	    c.h.len > chain->out_bytes) {
		virtio_broken(&fs->vdev, "a request of %zu bytes says that it has %u",
			      chain->out_bytes, c.h.len);
		virtqueue_push(virtio_queue(&fs->vdev, queue), chain->head, 0);
		return;
	}
	r = call_run(&c);
	if (r == FS_LATER)
		return;
	if (r == FS_NO_ANSWER) {
		virtqueue_push(virtio_queue(&fs->vdev, queue), chain->head, 0);
		return;
	}
	if (r > 0 && c.h.opcode != FUSE_READ)
		payload_write(&c, (size_t)r);
	fs_answer(fs, queue, chain, c.h.unique, MIN(r, 0), (size_t)MAX(r, 0));
}
