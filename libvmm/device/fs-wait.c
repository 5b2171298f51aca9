/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * virtio-fs: what is answered later.
 *
 * A lock that somebody else has is tried again: at once when the guest frees
 * one, else every TICK_MS, for the host's programs tell us nothing.  Half of the
 * queue at most is given to such, or nobody could come and unlock.
 *
 * An fsync may take seconds: threads of their own do it, on a descriptor of
 * their own, while the queue goes on.  Their jobs lie in a fixed table.
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

static int sync_now(int fd, bool data_only, bool whole_fs)
{
	int r = whole_fs ? syncfs(fd) : data_only ? fdatasync(fd) : fsync(fd);

	return r < 0 ? -errno : 0;
}

static struct fs_job *job_in(struct fs *fs, enum fs_job_state state)
{
	for (unsigned i = 0; i < FS_JOBS; i++)
		if (fs->jobs[i].state == state)
			return &fs->jobs[i];
	return NULL;
}

static void *sync_main(void *opaque)
{
	struct fs *fs = opaque;

	pthread_mutex_lock(&fs->lock);
	for (;;) {
		struct fs_job *j = job_in(fs, FS_JOB_READY);

		if (!j && fs->ending)
			break;
		if (!j) {
			pthread_cond_wait(&fs->cond, &fs->lock);
			continue;
		}
		j->state = FS_JOB_RUNS;
		pthread_mutex_unlock(&fs->lock);
		int r = sync_now(j->fd, j->data_only, j->whole_fs);
		fd_close(&j->fd);
		pthread_mutex_lock(&fs->lock);
		j->result = r;
		j->state = j->forgotten ? FS_JOB_FREE : FS_JOB_DONE;
		if (!fs->ending)
			g_source_set_ready_time(fs->done, 0);
	}
	pthread_mutex_unlock(&fs->lock);
	return NULL;
}

/* Takes fd. */
static int sync_later(struct fs_call *c, int fd, bool data_only, bool whole_fs)
{
	struct fs *fs = c->fs;
	struct fs_job *j;

	if (fd < 0)
		return fd;
	pthread_mutex_lock(&fs->lock);
	j = job_in(fs, FS_JOB_FREE);
	if (j) {
		*j = (struct fs_job){
			.state = FS_JOB_READY, .fd = fd, .data_only = data_only,
			.whole_fs = whole_fs, .head = c->chain->head, .queue = c->queue,
			.unique = c->h.unique,
		};
		pthread_cond_signal(&fs->cond);
	}
	pthread_mutex_unlock(&fs->lock);
	if (j)
		return FS_LATER;
	int r = sync_now(fd, data_only, whole_fs);
	fd_close(&fd);
	return r;
}

int fs_fsync(struct fs_call *c)
{
	const struct fuse_fsync_in *in = c->args;

	return sync_later(c, share_file_dup(c->fs->share, c->file),
			  in->fsync_flags & FUSE_FSYNC_FDATASYNC, false);
}

int fs_syncfs(struct fs_call *c)
{
	return sync_later(c, share_root_dup(c->fs->share), false, true);
}

/* The results wait while the machine stands: nothing is written to its memory then. */
static void jobs_answer(struct fs *fs)
{
	struct fs_job *j, done;

	for (;;) {
		pthread_mutex_lock(&fs->lock);
		j = fs->vdev.stopped ? NULL : job_in(fs, FS_JOB_DONE);
		if (j) {
			done = *j;
			j->state = FS_JOB_FREE;
		}
		pthread_mutex_unlock(&fs->lock);
		if (!j)
			return;
		fs_answer_later(fs, done.queue, done.head, done.unique, done.result);
	}
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
	pthread_mutex_lock(&fs->lock);
	for (unsigned i = 0; i < FS_JOBS; i++) {
		struct fs_job *j = &fs->jobs[i];

		if (j->state == FS_JOB_READY)
			fd_close(&j->fd);
		if (j->state == FS_JOB_RUNS)
			j->forgotten = true;
		else
			j->state = FS_JOB_FREE;
	}
	pthread_mutex_unlock(&fs->lock);
}

static gboolean on_tick(void *opaque)
{
	struct fs *fs = opaque;

	g_source_set_ready_time(fs->tick, -1);
	if (fs->n_waiters && !fs->vdev.stopped && !virtio_is_broken(&fs->vdev))
		waiters_try(fs);
	return G_SOURCE_CONTINUE;
}

static gboolean on_done(void *opaque)
{
	struct fs *fs = opaque;

	g_source_set_ready_time(fs->done, -1);
	jobs_answer(fs);
	return G_SOURCE_CONTINUE;
}

static gboolean source_dispatch(GSource *source, GSourceFunc fn, void *opaque)
{
	return fn(opaque);
}

static GSourceFuncs source_funcs = { .dispatch = source_dispatch };

static GSource *source_new(struct fs *fs, GSourceFunc fn, const char *name)
{
	GSource *s = g_source_new(&source_funcs, sizeof(GSource));

	g_source_set_callback(s, fn, fs, NULL);
	g_source_set_static_name(s, name);
	g_source_attach(s, fs->vdev.ctx);
	return s;
}

bool fs_wait_init(struct fs *fs, GError **error)
{
	pthread_mutex_init(&fs->lock, NULL);
	pthread_cond_init(&fs->cond, NULL);
	fs->tick = source_new(fs, on_tick, "virtio-fs locks");
	fs->done = source_new(fs, on_done, "virtio-fs sync");
	for (unsigned i = 0; i < FS_SYNC_THREADS; i++) {
		fs->sync[i] = g_thread_try_new("fs/sync", sync_main, fs, error);
		if (!fs->sync[i])
			return false;
	}
	return true;
}

static void sources_end(void *opaque)
{
	struct fs *fs = opaque;

	if (fs->tick)
		g_source_destroy(fs->tick);
	if (fs->done)
		g_source_destroy(fs->done);
}

/* The threads end what they have begun. */
void fs_wait_done(struct fs *fs)
{
	owner_call(fs->vdev.ctx, sources_end, fs);
	pthread_mutex_lock(&fs->lock);
	fs->ending = true;
	pthread_cond_broadcast(&fs->cond);
	pthread_mutex_unlock(&fs->lock);
	for (unsigned i = 0; i < FS_SYNC_THREADS; i++)
		if (fs->sync[i])
			g_thread_join(fs->sync[i]);
	g_clear_pointer(&fs->tick, g_source_unref);
	g_clear_pointer(&fs->done, g_source_unref);
}
