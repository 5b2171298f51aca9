/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Data I/O on host files: io_uring, or the same calls made at once.
 *
 * io_uring can't write to the page cache without waiting on most file systems,
 * so it hands such writes to kernel threads, one after the other: two switches
 * for a copy of 4 KiB.  They are made at once instead, unless the last took
 * long: we are throttled then, and the disk's thread has better things to do.
 */
#include "config.h"
#include "libvmm/block/ring.h"

#include <errno.h>
#include <liburing.h>
#include <string.h>

#include "libvmm/block/block-priv.h"

#define AT_ONCE_BYTES (256u << 10)
#define AT_ONCE_ALIGN 4096u		/* a part of a page may have to be read first */
#define SLOW_US 2000
#define SLOW_TIMES 2			/* once may be the scheduler */
#define SLOW_FOR_US (100 * 1000)

struct ring {
	bool uring;
	gint64 slow_until;		/* writes wait elsewhere until then; monotonic */
	unsigned n_slow;		/* one after the other */
	struct io_uring io;
	/* in_flight includes what the kernel has not seen */
	unsigned unsubmitted, in_flight;
	/* ended without the kernel, or waiting for a place */
	struct ring_op *first, **last;
	struct ring_op *backlog, **backlog_last;
};

struct ring *ring_new(unsigned entries, bool no_uring)
{
	struct ring *r = g_new0(struct ring, 1);

	r->last = &r->first;
	r->backlog_last = &r->backlog;
	/* Fails in old kernels, under seccomp, and where the administrator switched it off. */
	r->uring = !no_uring && io_uring_queue_init(entries, &r->io, 0) == 0;
	return r;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	if (r->uring)
		io_uring_queue_exit(&r->io);
	g_free(r);
}

int ring_fd(const struct ring *r)
{
	return r->uring ? r->io.ring_fd : -1;
}

static void op_run(struct ring_op *op)
{
	switch (op->code) {
	case RING_READ:
		op->result = file_preadv(op->file, op->off, op->iov, op->n_iov);
		break;
	case RING_WRITE:
		op->result = file_pwritev(op->file, op->off, op->iov, op->n_iov);
		break;
	case RING_SYNC:
		op->result = file_sync(op->file);
		break;
	}
}

static void op_prepare(struct ring_op *op, struct io_uring_sqe *sqe)
{
	switch (op->code) {
	case RING_READ:
		io_uring_prep_readv(sqe, op->file->fd, op->iov, op->n_iov, op->off);
		break;
	case RING_WRITE:
		io_uring_prep_writev(sqe, op->file->fd, op->iov, op->n_iov, op->off);
		break;
	case RING_SYNC:
		io_uring_prep_fsync(sqe, op->file->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, op);
}

static void ring_end(struct ring *r, struct ring_op *op)
{
	op->next = NULL;
	*r->last = op;
	r->last = &op->next;
}

static bool is_cached_write(const struct ring_op *op)
{
	return op->code == RING_WRITE && !op->file->direct && op->bytes <= AT_ONCE_BYTES &&
	       ((op->off | op->bytes) & (AT_ONCE_ALIGN - 1)) == 0;
}

static bool write_at_once(struct ring *r, struct ring_op *op)
{
	gint64 start, end;

	if (!is_cached_write(op))
		return false;
	start = g_get_monotonic_time();
	if (start < r->slow_until)
		return false;
	op_run(op);
	end = g_get_monotonic_time();
	r->n_slow = end - start > SLOW_US ? r->n_slow + 1 : 0;
	if (r->n_slow >= SLOW_TIMES)
		r->slow_until = end + SLOW_FOR_US;
	ring_end(r, op);
	return true;
}

void ring_add(struct ring *r, struct ring_op *op)
{
	struct io_uring_sqe *sqe;

	op->next = NULL;
	r->in_flight++;
	if (r->uring && write_at_once(r, op))
		return;
	if (!r->uring || (op->code == RING_SYNC && (op->file->unsafe || op->file->sync_error))) {
		op_run(op);
		ring_end(r, op);
		return;
	}
	sqe = r->backlog ? NULL : io_uring_get_sqe(&r->io);
	if (!sqe) {
		*r->backlog_last = op;
		r->backlog_last = &op->next;
		return;
	}
	op_prepare(op, sqe);
	r->unsubmitted++;
}

static void backlog_move(struct ring *r)
{
	struct io_uring_sqe *sqe;

	while (r->backlog && (sqe = io_uring_get_sqe(&r->io))) {
		struct ring_op *op = r->backlog;

		r->backlog = op->next;
		if (!r->backlog)
			r->backlog_last = &r->backlog;
		op_prepare(op, sqe);
		r->unsubmitted++;
	}
}

void ring_flush(struct ring *r)
{
	while (r->uring && (r->unsubmitted || r->backlog)) {
		int n;

		backlog_move(r);
		n = io_uring_submit(&r->io);
		if (n <= 0)	/* EAGAIN, EBUSY: completions must be taken first */
			return;
		r->unsubmitted -= MIN((unsigned)n, r->unsubmitted);
	}
}

/* A short transfer, or one that was told to come again, is ended the plain way: it is rare. */
static void op_complete(struct ring_op *op, int res)
{
	bool again = res == -EAGAIN || res == -EINTR;

	if (op->code == RING_SYNC) {
		op->result = res;
		if (again)
			op_run(op);
		else if (res < 0)
			op->file->sync_error = res;
		return;
	}
	op->result = res < 0 ? res : 0;
	if (again || (res >= 0 && (uint64_t)res < op->bytes))
		op_run(op);
	else if (op->code == RING_WRITE && res >= 0)
		op->file->end = MAX(op->file->end, op->off + op->bytes);
}

static unsigned reap_ended(struct ring *r)
{
	unsigned n = 0;

	while (r->first) {
		struct ring_op *op = r->first;

		r->first = op->next;
		if (!r->first)
			r->last = &r->first;
		r->in_flight--;
		n++;
		op->done(op);
	}
	return n;
}

static unsigned reap_uring(struct ring *r)
{
	struct io_uring_cqe *cqe;
	unsigned n = 0;

	while (io_uring_peek_cqe(&r->io, &cqe) == 0) {
		struct ring_op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&r->io, cqe);
		r->in_flight--;
		n++;
		op_complete(op, res);
		op->done(op);
	}
	return n;
}

unsigned ring_reap(struct ring *r, bool wait)
{
	struct io_uring_cqe *cqe;
	unsigned n = reap_ended(r);

	if (!r->uring)
		return n;
	ring_flush(r);
	n += reap_uring(r);
	while (wait && n == 0 && r->in_flight > 0) {
		int e = io_uring_wait_cqe(&r->io, &cqe);

		if (e < 0 && e != -EINTR && e != -EAGAIN)
			break;
		n += reap_uring(r);
		n += reap_ended(r);
		ring_flush(r);
	}
	return n;
}
