/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A job's loop, on the disk's thread: one piece at a time, found, read and
 * written by requests beside the guest's.
 *
 * Against the guest's writes.  A commit of the head notes what the guest
 * writes and copies it again: a bit is taken off before its bytes are read, and
 * requests that overlap run in their order, so what is read is what was written
 * before the bit went off, and what is written later sets it again.  A pull
 * reads and writes the head itself; it must not write over what the guest wrote
 * after it was read: then it reads again.  Nobody writes what other commits read.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/job-priv.h"
#include "libvmm/util/error.h"

static void run(struct block_job *job);

/* ---- what is to do ---- */

static bool todo_get(const struct block_job *job, uint64_t i)
{
	return job->todo[i / 8] & 1u << i % 8;
}

static void todo_set(struct block_job *job, uint64_t i)
{
	job->n_todo += !todo_get(job, i);
	job->todo[i / 8] |= 1u << i % 8;
}

static void todo_clear(struct block_job *job, uint64_t i)
{
	job->n_todo -= todo_get(job, i);
	job->todo[i / 8] &= ~(1u << i % 8);
}

static void on_written(void *opaque, uint64_t off, uint64_t bytes)
{
	struct block_job *job = opaque;

	if (bytes == 0 || off >= job->n_granules * GRANULE)
		return;
	if (job->opts.kind == BLOCK_JOB_PULL)
		job->written |= off < job->pos + job->bytes && job->pos < off + bytes;
	else
		for (uint64_t i = off / GRANULE; i * GRANULE < off + bytes && i < job->n_granules;
		     i++)
			todo_set(job, i);
	if (job->phase == JOB_READY)
		g_source_set_ready_time(job->step, 0);
}

/* The next run of granules becomes [pos, end). */
static void take(struct block_job *job)
{
	uint64_t i = job->next;

	while (!todo_get(job, i))
		i = (i + 1) % job->n_granules;
	job->pos = i * GRANULE;
	for (job->end = job->pos; i < job->n_granules && job->end < job->pos + CHUNK &&
	     todo_get(job, i); i++) {
		todo_clear(job, i);
		job->end += GRANULE;
	}
	job->end = MIN(job->end, job->limit);
	job->next = i % job->n_granules;
}

/* ---- one piece ---- */

static void on_done(struct block_req *req, int result)
{
	struct block_job *job = container_of(req, struct block_job, req);

	job->busy = false;
	job->result = result;
	g_source_set_ready_time(job->step, MAX(job->rest_until_us, 0));
}

static void submit(struct block_job *job, struct block *to, enum block_op op, enum job_phase next)
{
	job->iov = (struct iovec){ job->buf, job->bytes };
	job->req = (struct block_req){
		.op = op, .flags = BLOCK_REQ_JOB | (op == BLOCK_WRITE_ZEROES ? BLOCK_REQ_UNMAP : 0),
		.offset = op == BLOCK_FLUSH ? 0 : job->pos,
		.bytes = op == BLOCK_FLUSH ? 0 : job->bytes,
		.iov = &job->iov, .n_iov = 1, .done = on_done,
	};
	job->phase = next;
	job->busy = true;
	block_submit(to, &job->req);
	block_kick(to);
}

/* Without anything behind the head, what it does not have reads as zeroes. */
static void write_zeroes(struct block_job *job)
{
	if (job->opts.kind == BLOCK_JOB_PULL && !job->base) {
		job->result = 0;
		job->phase = JOB_WRITE;
		run(job);
	} else {
		submit(job, job->target, BLOCK_WRITE_ZEROES, JOB_WRITE);
	}
}

/* The head has it by now: nothing to pull. */
static int pull_is_there(struct block_job *job, bool *ret)
{
	struct layer *top = job->b->top;
	struct extent ext;
	int r;

	*ret = false;
	if (job->opts.kind != BLOCK_JOB_PULL)
		return 0;
	r = top->ops->map(top, job->pos, job->bytes, &ext);
	if (r == 0) {
		*ret = ext.type != EXTENT_BACKING;
		job->bytes = ext.bytes;
	}
	return r;
}

static void fail(struct block_job *job, int r)
{
	g_autoptr(GError) error = NULL;

	error_errno(&error, r, "block job on '%s'", job->b->top->file->path);
	job->phase = JOB_OVER;
	job->opts.event(job->opts.opaque, BLOCK_JOB_FAILED, error);
}

static void find(struct block_job *job)
{
	while (job->pos < job->end || job->n_todo) {
		enum job_part part;
		bool there;
		int r;

		if (job->pos == job->end)
			take(job);
		job->bytes = job->end - job->pos;
		r = pull_is_there(job, &there);
		if (r == 0)
			r = job_part(job, job->pos, &job->bytes, &part);
		if (r < 0) {
			fail(job, r);
			return;
		}
		job->written = false;
		if (!there && part == PART_COPY) {
			submit(job, job->source, BLOCK_READ, JOB_READ);
			return;
		}
		if (!there && part == PART_ZERO) {
			write_zeroes(job);
			return;
		}
		job->pos += job->bytes;
		job->bytes = 0;
	}
	if (job->was_ready)	/* a flush for each write of the guest would be too much */
		job->phase = JOB_READY;
	else
		submit(job, job->target, BLOCK_FLUSH, JOB_FLUSH);
}

static void rest(struct block_job *job)
{
	int64_t now = g_get_monotonic_time();

	if (job->opts.bytes_per_s)
		job->rest_until_us = MAX(job->rest_until_us, now) +
				     (int64_t)(job->bytes * 1e6 / job->opts.bytes_per_s);
	else
		job->rest_until_us = 0;
}

static void finish(struct block_job *job)
{
	g_autoptr(GError) error = NULL;
	bool ok;

	job->phase = JOB_OVER;
	block_drain(job->b);
	ok = job_chain_finish(job, &error);
	job->opts.event(job->opts.opaque, ok ? BLOCK_JOB_DONE : BLOCK_JOB_FAILED, error);
}

static void flushed(struct block_job *job)
{
	if (job->opts.kind != BLOCK_JOB_COMMIT_HEAD) {
		finish(job);
		return;
	}
	job->phase = JOB_READY;
	job->was_ready = true;
	job->opts.event(job->opts.opaque, BLOCK_JOB_READY, NULL);
}

static void run(struct block_job *job)
{
	if (job->busy || job->phase == JOB_OVER)
		return;
	if (job->result < 0) {
		fail(job, job->result);
		return;
	}
	switch (job->phase) {
	case JOB_READ:
		if (job->written) {	/* while it was read: look again */
			job->phase = JOB_FIND;
			find(job);
		} else if (buffer_is_zero(job->buf, job->bytes)) {
			write_zeroes(job);
		} else {
			submit(job, job->target, BLOCK_WRITE, JOB_WRITE);
		}
		return;
	case JOB_WRITE:
		rest(job);
		job->pos += job->bytes;
		job->bytes = 0;
		job->phase = JOB_FIND;
		g_source_set_ready_time(job->step, MAX(job->rest_until_us, 0));
		return;
	case JOB_FLUSH:
		flushed(job);
		return;
	case JOB_READY:
		if (job->n_todo && g_get_monotonic_time() >= job->rest_until_us)
			find(job);
		return;
	default:
		find(job);
	}
}

static gboolean on_step(GSource *source, GSourceFunc fn, void *opaque)
{
	g_source_set_ready_time(source, -1);
	run(opaque);
	return G_SOURCE_CONTINUE;
}

static GSourceFuncs step_funcs = { .dispatch = on_step };

/* ---- calls ---- */

static void todo_all(struct block_job *job)
{
	job->limit = MIN(job->b->bytes, job->target->bytes);
	job->n_granules = (job->limit + GRANULE - 1) / GRANULE;
	job->n_todo = job->n_granules;
	job->todo = g_malloc0(job->n_granules / 8 + 1);
	for (uint64_t i = 0; i < job->n_granules; i++)
		job->todo[i / 8] |= 1u << i % 8;
}

struct block_job *block_job_start(struct block *b, GMainContext *ctx,
				  const struct block_job_opts *opts, GError **error)
{
	struct block_job *job = g_new0(struct block_job, 1);

	job->opts = *opts;
	job->backing = g_strdup(opts->backing);
	job->b = b;
	job->buf = g_aligned_alloc(1, CHUNK, 4096);
	job->step = g_source_new(&step_funcs, sizeof(GSource));
	g_source_set_callback(job->step, NULL, job, NULL);
	g_source_set_ready_time(job->step, 0);
	if (!job_chain_begin(job, error)) {
		job->phase = JOB_OVER;
		block_job_free(job);
		return NULL;
	}
	todo_all(job);
	if (opts->kind != BLOCK_JOB_COMMIT) {
		b->written = on_written;
		b->written_opaque = job;
	}
	g_source_attach(job->step, ctx);
	return job;
}

void block_job_free(struct block_job *job)
{
	if (!job)
		return;
	g_source_destroy(job->step);
	job->phase = JOB_OVER;
	while (job->busy)
		block_wait(job->b);
	if (job->b->written_opaque == job)
		job->b->written = job->b->written_opaque = NULL;
	/* What reads base must not see it change hands. */
	block_drain(job->b);
	job_chain_end(job);
	fd_close(&job->opts.base_fd);
	fd_close(&job->opts.above_fd);
	g_source_unref(job->step);
	g_aligned_free(job->buf);
	g_free(job->todo);
	g_free(job->backing);
	g_free(job);
}

void block_job_info(const struct block_job *job, struct block_job_info *ret)
{
	uint64_t left = MIN(job->n_todo * GRANULE + (job->end - job->pos), job->limit);

	*ret = (struct block_job_info){
		.total_bytes = job->limit,
		.done_bytes = job->limit - left,
		.bytes_per_s = job->opts.bytes_per_s,
		.base = job->base ? job->base->file->path : NULL,
		.ready = job->was_ready && job->phase != JOB_OVER,
	};
}

void block_job_set_speed(struct block_job *job, uint64_t bytes_per_s)
{
	job->opts.bytes_per_s = bytes_per_s;
	job->rest_until_us = 0;
	if (!job->busy)
		g_source_set_ready_time(job->step, 0);
}

bool block_job_converge(struct block_job *job, GError **error)
{
	uint64_t speed = job->opts.bytes_per_s;

	job->opts.bytes_per_s = 0;
	job->rest_until_us = 0;
	while (job->phase != JOB_OVER && (job->phase != JOB_READY || job->n_todo)) {
		run(job);
		while (job->busy)
			block_wait(job->b);
	}
	job->opts.bytes_per_s = speed;
	if (job->phase == JOB_READY)
		job->result = block_flush(job->target);
	return (job->phase == JOB_READY && job->result == 0) ||
	       error_errno(error, job->result, "block job on '%s'", job->b->top->file->path);
}

void block_job_pivot(struct block_job *job)
{
	job->b->written = job->b->written_opaque = NULL;
	job_chain_pivot(job);
	job->phase = JOB_OVER;
	job->source = NULL;
	block_job_free(job);
}
