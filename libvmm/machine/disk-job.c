/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Jobs on the disks of a machine at work, and their growth.
 *
 * The main loop asks, the disk's thread does and answers: neither waits for
 * the other.  The thread notes what a job says by itself and wakes the main
 * loop, as with errors.
 */
#include "config.h"

#include <string.h>

#include "libvmm/block/job.h"
#include "libvmm/block/stack.h"
#include "libvmm/device/blk.h"
#include "libvmm/machine/machine-priv.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

struct work {
	struct machine *m;
	struct machine_disk *disk;
	void (*fn)(struct work *w);	/* on the disk's thread; may set error */
	struct machine_job job;
	enum machine_job_control what;
	uint64_t number;
	struct machine_job_info *info;
	GError *error;
	machine_disk_done *done;
	void *opaque;
};

/* ---- what a job says ---- */

static void job_over(void *arg)
{
	struct machine_disk *d = arg;

	block_job_free(g_steal_pointer(&d->job));
	g_source_set_ready_time(d->wake, 0);
}

static void on_job(void *opaque, enum block_job_event event, const GError *error)
{
	struct machine_disk *d = opaque;

	if (error)
		g_free(atomic_exchange(&d->job_text, g_strdup(error->message)));
	atomic_fetch_or(&d->job_events, 1u << event);
	if (event == BLOCK_JOB_READY)
		g_source_set_ready_time(d->wake, 0);
	else
		owner_post(owner_thread_context(d->thread), job_over, d);
}

void machine_disk_tell_job(struct machine_disk *d)
{
	unsigned events = atomic_exchange(&d->job_events, 0);
	g_autofree char *text = atomic_exchange(&d->job_text, NULL);

	for (int i = BLOCK_JOB_READY; i <= BLOCK_JOB_FAILED; i++)
		if (events & 1u << i)
			d->m->events.job(d->m->events.opaque, d->target, d->job_kind, i,
					 text ?: "");
}

/* ---- on the disk's thread ---- */

static void do_start(struct work *w)
{
	struct machine_disk *d = w->disk;
	const struct block_job_opts o = {
		.kind = (enum block_job_kind)w->job.kind,
		.base = w->job.base,
		.top = w->job.top,
		.backing = w->job.backing,
		.base_fd = TAKE_FD(w->job.base_fd),
		.above_fd = TAKE_FD(w->job.above_fd),
		.bytes_per_s = w->job.bytes_per_s,
		.event = on_job,
		.opaque = d,
	};

	if (d->job) {
		w->job.base_fd = o.base_fd;
		w->job.above_fd = o.above_fd;
		error_set(&w->error, VMM_ERR_OPERATION_INVALID,
			  "disk '%s' has a block job already", d->target);
		return;
	}
	blk_hold(d->dev);
	d->job_kind = w->job.kind;
	d->job = block_job_start(blk_block(d->dev), owner_thread_context(d->thread), &o,
				 &w->error);
	blk_release(d->dev);
}

static void hold(struct work *w)
{
	struct machine_disk *d = w->disk;
	struct block_job_info info;

	block_job_info(d->job, &info);
	if (d->job_held || !info.ready) {
		error_set(&w->error, VMM_ERR_OPERATION_INVALID,
			  "the block job on disk '%s' is not ready to pivot", d->target);
		return;
	}
	blk_hold(d->dev);
	d->job_held = block_job_converge(d->job, &w->error);
	if (!d->job_held)
		blk_release(d->dev);
}

static void let_go(struct machine_disk *d)
{
	d->job_held = false;
	blk_release(d->dev);
}

static void do_control(struct work *w)
{
	struct machine_disk *d = w->disk;
	bool of_held = w->what == MACHINE_JOB_PIVOT || w->what == MACHINE_JOB_UNHOLD;

	if (!d->job || (of_held && !d->job_held)) {
		error_set(&w->error, VMM_ERR_OPERATION_INVALID,
			  d->job ? "the block job on disk '%s' does not wait for that" :
				   "no block job on disk '%s'", d->target);
		return;
	}
	switch (w->what) {
	case MACHINE_JOB_ABORT:
		if (d->job_held)
			let_go(d);
		block_job_free(g_steal_pointer(&d->job));
		return;
	case MACHINE_JOB_SPEED:
		block_job_set_speed(d->job, w->number);
		return;
	case MACHINE_JOB_HOLD:
		hold(w);
		return;
	case MACHINE_JOB_PIVOT:
		block_job_pivot(g_steal_pointer(&d->job));
		blk_resized(d->dev);	/* a base may be larger than what stood on it */
		let_go(d);
		return;
	default:
		let_go(d);
	}
}

static void do_info(struct work *w)
{
	struct block_job_info info;

	*w->info = (struct machine_job_info){ .kind = -1 };
	if (!w->disk->job)
		return;
	block_job_info(w->disk->job, &info);
	*w->info = (struct machine_job_info){
		.kind = w->disk->job_kind, .ready = info.ready, .held = w->disk->job_held,
		.done_bytes = info.done_bytes, .total_bytes = info.total_bytes,
		.bytes_per_s = info.bytes_per_s,
	};
	g_strlcpy(w->info->base, info.base ?: "", sizeof(w->info->base));
}

static void do_resize(struct work *w)
{
	struct virtio_device *dev = w->disk->dev;

	if (w->disk->job) {
		error_set(&w->error, VMM_ERR_OPERATION_INVALID,
			  "disk '%s' has a block job: wait for its end", w->disk->target);
		return;
	}
	blk_hold(dev);
	if (block_grow(blk_block(dev), w->number, &w->error))
		blk_resized(dev);
	blk_release(dev);
}

/* ---- to it and back ---- */

static void work_ended(void *arg)
{
	struct work *w = arg;

	w->m->disk_works--;
	if (!w->error && w->fn == do_control && w->what == MACHINE_JOB_PIVOT) {
		g_free(w->disk->path);
		w->disk->path = g_strdup(block_path(blk_block(w->disk->dev)));
	}
	w->done(w->opaque, w->error);
	fd_close(&w->job.base_fd);
	fd_close(&w->job.above_fd);
	g_free((char *)w->job.base);
	g_free((char *)w->job.top);
	g_free((char *)w->job.backing);
	g_clear_error(&w->error);
	g_free(w);
}

static void work_run(void *arg)
{
	struct work *w = arg;

	w->fn(w);
	owner_post(w->m->ctx, work_ended, w);
}

static void work_begin(struct machine *m, const char *target, void (*fn)(struct work *w),
		       struct work opts, machine_disk_done *done, void *opaque)
{
	struct work *w = g_memdup2(&opts, sizeof(opts));

	w->m = m;
	w->disk = machine_disk_find(m, target);
	w->fn = fn;
	w->done = done;
	w->opaque = opaque;
	m->disk_works++;
	if (w->disk) {
		owner_post(owner_thread_context(w->disk->thread), work_run, w);
	} else {
		error_set(&w->error, VMM_ERR_INVALID_ARG, "there is no disk '%s'", target);
		owner_post(m->ctx, work_ended, w);
	}
}

#define NO_FDS .job = { .base_fd = -1, .above_fd = -1 }

void machine_job_start(struct machine *m, const char *target, const struct machine_job *job,
		       machine_disk_done *done, void *opaque)
{
	struct work w = { .job = *job };

	w.job.base = g_strdup(job->base);
	w.job.top = g_strdup(job->top);
	w.job.backing = g_strdup(job->backing);
	work_begin(m, target, do_start, w, done, opaque);
}

void machine_job_control(struct machine *m, const char *target, enum machine_job_control what,
			 uint64_t bytes_per_s, machine_disk_done *done, void *opaque)
{
	const struct work w = { .what = what, .number = bytes_per_s, NO_FDS };

	work_begin(m, target, do_control, w, done, opaque);
}

void machine_job_info(struct machine *m, const char *target, struct machine_job_info *ret,
		      machine_disk_done *done, void *opaque)
{
	work_begin(m, target, do_info, (struct work){ .info = ret, NO_FDS }, done, opaque);
}

void machine_disk_resize(struct machine *m, const char *target, uint64_t bytes,
			 machine_disk_done *done, void *opaque)
{
	work_begin(m, target, do_resize, (struct work){ .number = bytes, NO_FDS }, done, opaque);
}

static void end_on_owner(void *arg)
{
	struct machine_disk *d = arg;

	if (d->job_held)
		let_go(d);
	block_job_free(g_steal_pointer(&d->job));
}

void machine_disk_jobs_end(struct machine *m)
{
	for (unsigned i = 0; i < m->disks->len; i++) {
		struct machine_disk *d = g_ptr_array_index(m->disks, i);

		if (d->dev)
			owner_call(owner_thread_context(d->thread), end_on_owner, d);
	}
}
