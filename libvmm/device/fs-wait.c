/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-fs: what is answered later.
 *
 * A lock that somebody else has is tried again: at once when the guest frees
 * one, else every TICK_MS, for the host's programs tell us nothing.  Half of the
 * queue at most is given to such, or nobody could come and unlock.
 *
 * An fsync may take seconds: threads do it (syncer.h).
 */
#include "config.h"
#include "libvmm/device/fs-priv.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "libvmm/util/owner.h"

#define TICK_MS 20

/* ---- locks ---- */

struct wanted {				/* a lock as the share understands it */
	struct flock lock;
	int flock_op;			/* 0: a record lock */
};

static int wanted_from(const struct fuse_lk_in *in, struct wanted *ret)
{
	static const int ops[] = { [F_RDLCK] = LOCK_SH, [F_WRLCK] = LOCK_EX, [F_UNLCK] = LOCK_UN };
	const struct fuse_file_lock *lk = &in->lk;

	if (lk->type >= ARRAY_SIZE(ops) || lk->start > INT64_MAX || lk->end > INT64_MAX ||
	    lk->end < lk->start)
		return -EINVAL;
	*ret = (struct wanted){
		.lock = { .l_type = (short)lk->type, .l_whence = SEEK_SET,
			  .l_start = (off_t)lk->start,
			  .l_len = lk->end == INT64_MAX ? 0 : (off_t)(lk->end - lk->start + 1) },
		.flock_op = in->lk_flags & FUSE_LK_FLOCK ? ops[lk->type] : 0,
	};
	return 0;
}

static int lock_try(struct fs *fs, struct share_file *file, uint64_t owner, const struct flock *l,
		    int flock_op)
{
	int r = flock_op ? share_flock(fs->share, file, flock_op)
			 : share_lock(fs->share, file, owner, l);

	if (r == 0 && (flock_op ? flock_op != LOCK_EX : l->l_type != F_WRLCK))
		fs->lock_freed = true;	/* given up, or made weaker */
	return r;
}

int fs_setlk(struct fs_call *c)
{
	const struct fuse_lk_in *in = c->args;
	struct wanted w;
	int r = wanted_from(in, &w);

	return r < 0 ? r : lock_try(c->fs, c->file, in->owner, &w.lock, w.flock_op);
}

int fs_getlk(struct fs_call *c)
{
	const struct fuse_lk_in *in = c->args;
	struct fuse_lk_out out = { 0 };
	struct wanted w;
	int r = wanted_from(in, &w);

	if (r == 0)
		r = share_lock_test(c->fs->share, c->file, in->owner, &w.lock);
	if (r < 0)
		return r;
	out.lk = (struct fuse_file_lock){
		.start = (uint64_t)w.lock.l_start,
		.end = w.lock.l_len ? (uint64_t)(w.lock.l_start + w.lock.l_len - 1) : INT64_MAX,
		.type = (uint32_t)w.lock.l_type,
	};
	memcpy(c->fs->out, &out, sizeof(out));
	return sizeof(out);
}

static void tick_arm(struct fs *fs)
{
	bool on = fs->n_waiters > 0 && !fs->vdev.stopped;

	g_source_set_ready_time(fs->tick, on ? g_get_monotonic_time() + TICK_MS * 1000 : -1);
}

int fs_setlkw(struct fs_call *c)
{
	const struct fuse_lk_in *in = c->args;
	struct fs *fs = c->fs;
	unsigned most = MIN(FS_WAITERS_MAX, virtqueue_size(virtio_queue(&fs->vdev, c->queue)) / 2);
	struct fs_waiter *at = fs->waiters;
	struct wanted w;
	int r = wanted_from(in, &w);

	if (r == 0)
		r = lock_try(fs, c->file, in->owner, &w.lock, w.flock_op);
	if (r != -EAGAIN)
		return r;
	if (fs->n_waiters >= most)
		return -ENOLCK;
	while (at->used)
		at++;
	*at = (struct fs_waiter){
		.used = true, .head = c->chain->head, .queue = c->queue, .unique = c->h.unique,
		.file_id = in->fh, .owner = in->owner, .lock = w.lock, .flock_op = w.flock_op,
	};
	if (fs->n_waiters++ == 0)
		tick_arm(fs);
	return FS_LATER;
}

static void waiter_end(struct fs *fs, struct fs_waiter *w, int result)
{
	w->used = false;
	fs->n_waiters--;
	fs_answer_later(fs, w->queue, w->head, w->unique, result);
}

/* One pass is enough: who gets a lock by it takes, and gives none back. */
static void waiters_try(struct fs *fs)
{
	fs->lock_freed = false;
	for (unsigned i = 0; i < FS_WAITERS_MAX && fs->n_waiters; i++) {
		struct fs_waiter *w = &fs->waiters[i];
		struct share_file *file;
		int r = -EBADF;

		if (!w->used)
			continue;
		file = share_file_by_id(fs->share, w->file_id);
		if (file)
			r = lock_try(fs, file, w->owner, &w->lock, w->flock_op);
		if (r != -EAGAIN)
			waiter_end(fs, w, r);
	}
	fs->lock_freed = false;
	tick_arm(fs);
}

int fs_interrupt(struct fs_call *c)
{
	const struct fuse_interrupt_in *in = c->args;

	for (unsigned i = 0; i < FS_WAITERS_MAX; i++) {
		struct fs_waiter *w = &c->fs->waiters[i];

		if (w->used && w->unique == in->unique) {
			waiter_end(c->fs, w, -EINTR);
			break;
		}
	}
	return FS_NO_ANSWER;
}

/* ---- fsync ---- */

/* Takes fd. */
static int sync_later(struct fs_call *c, int fd, enum sync_what what)
{
	struct sync_job job = { .fd = fd, .what = what, .head = c->chain->head,
				.queue = c->queue, .id = c->h.unique };

	if (fd < 0)
		return fd;
	return syncer_add(c->fs->syncer, &job) ? FS_LATER : job.result;
}

int fs_fsync(struct fs_call *c)
{
	const struct fuse_fsync_in *in = c->args;

	return sync_later(c, share_file_dup(c->fs->share, c->file),
			  in->fsync_flags & FUSE_FSYNC_FDATASYNC ? SYNC_DATA : SYNC_FILE);
}

int fs_syncfs(struct fs_call *c)
{
	return sync_later(c, share_root_dup(c->fs->share), SYNC_FS);
}

/* The results wait while the machine stands: nothing is written to its memory then. */
static void jobs_answer(void *opaque)
{
	struct fs *fs = opaque;
	struct sync_job job;

	while (!fs->vdev.stopped && syncer_take(fs->syncer, &job))
		fs_answer_later(fs, job.queue, job.head, job.id, job.result);
}

/* ---- life ---- */

void fs_wait_retry(struct fs *fs)
{
	waiters_try(fs);
	jobs_answer(fs);
}

void fs_wait_forget(struct fs *fs)
{
	memset(fs->waiters, 0, sizeof(fs->waiters));
	fs->n_waiters = 0;
	fs->lock_freed = false;
	if (fs->syncer)
		syncer_forget_all(fs->syncer);
}

static gboolean on_tick(void *opaque)
{
	struct fs *fs = opaque;

	g_source_set_ready_time(fs->tick, -1);
	if (fs->n_waiters && !fs->vdev.stopped && !virtio_is_broken(&fs->vdev))
		waiters_try(fs);
	return G_SOURCE_CONTINUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, void *opaque)
{
	return fn(opaque);
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

void fs_wait_init(struct fs *fs)
{
	fs->tick = g_source_new(&source_funcs, sizeof(GSource));
	g_source_set_callback(fs->tick, on_tick, fs, NULL);
	g_source_set_static_name(fs->tick, "virtio-fs locks");
	g_source_attach(fs->tick, fs->vdev.ctx);
	fs->syncer = syncer_new("fs/sync", fs->vdev.ctx, jobs_answer, fs);
}

static void tick_end(void *opaque)
{
	g_source_destroy(opaque);
}

void fs_wait_done(struct fs *fs)
{
	syncer_stop(fs->syncer);
	if (fs->tick)
		owner_call(fs->vdev.ctx, tick_end, fs->tick);
	g_clear_pointer(&fs->tick, g_source_unref);
}
