/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "image bench": equal requests at a fixed distance, some at a time, as qemu-img bench does. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "libvmm/block/image-priv.h"
#include "libvmm/block/request-priv.h"
#include "libvmm/util/error.h"

#define BUFFER_ALIGN 4096
#define DEPTH_MAX 1024u
#define BUFFER_MAX (64u << 20)

struct bench_slot {
	struct block_req req;
	struct bench *bench;
	struct bench_slot *next;	/* the idle ones */
};

struct bench {
	const struct image_bench_opts *o;
	struct block *b;
	struct bench_slot *slots, *idle;
	/*
	 * Of all of them, as qemu-img has it: what is measured is not how much of the data the
	 * processor's cache holds.
	 */
	struct iovec iov;
	uint64_t sent, ended, offset;
	unsigned in_flight;		/* flushes as well */
	bool flush_due;
	int result;
};

static void slot_done(struct block_req *req, int result)
{
	struct bench_slot *s = container_of(req, struct bench_slot, req);
	struct bench *n = s->bench;

	n->in_flight--;
	n->ended += req->op != BLOCK_FLUSH;
	if (result < 0)
		n->result = result;
	s->next = n->idle;
	n->idle = s;
}

static void slot_send(struct bench *n, enum block_op op)
{
	struct bench_slot *s = n->idle;

	n->idle = s->next;
	s->req = (struct block_req){ .op = op, .iov = &n->iov, .n_iov = 1, .done = slot_done };
	if (op != BLOCK_FLUSH) {
		s->req.offset = n->offset;
		s->req.bytes = n->o->buffer_bytes;
		n->offset += n->o->step ? n->o->step : n->o->buffer_bytes;
		n->offset %= block_bytes(n->b);
		if (n->offset + n->o->buffer_bytes > block_bytes(n->b))
			n->offset = 0;
		n->sent++;
		n->flush_due = n->o->flush_interval && n->sent % n->o->flush_interval == 0;
	} else {
		n->flush_due = false;
	}
	n->in_flight++;
	block_submit(n->b, &s->req);
}

/* A flush has the disk for itself; with no_drain it only runs along. */
static void bench_fill(struct bench *n)
{
	while (n->in_flight < n->o->depth && n->result == 0) {
		if (n->flush_due) {
			if (!n->o->no_drain && n->in_flight > 0)
				return;
			slot_send(n, BLOCK_FLUSH);
			if (!n->o->no_drain)
				return;
		} else if (n->sent < n->o->count) {
			slot_send(n, n->o->write ? BLOCK_WRITE : BLOCK_READ);
		} else {
			return;
		}
	}
}

static void bench_run(struct bench *n)
{
	do {
		bench_fill(n);
		block_kick(n->b);
		if (n->in_flight > 0)
			block_wait(n->b);
	} while (n->in_flight > 0 || (n->result == 0 && (n->sent < n->o->count || n->flush_due)));
}

static bool bench_check(const struct image_bench_opts *o, GError **error)
{
	if (o->depth < 1 || o->depth > DEPTH_MAX)
		return error_set(error, VMM_ERR_INVALID_ARG, "the depth is 1 to %u", DEPTH_MAX);
	if (o->buffer_bytes < 512 || o->buffer_bytes > BUFFER_MAX || o->buffer_bytes % 512 ||
	    o->step % 512 || o->offset % 512)
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "buffer size, step and offset are multiples of 512, and a buffer "
				 "has 64M at most");
	if (o->write && !image_format_given(o->path, o->format, error))
		return false;
	if ((o->flush_interval || o->no_drain) && !o->write)
		return error_set(error, VMM_ERR_INVALID_ARG, "flushes go with writes: add -w");
	return true;
}

static bool bench_open(struct bench *n, GError **error)
{
	const struct image_bench_opts *o = n->o;
	struct block_opts bo = {
		.path = o->path, .format = image_format(o->path, o->format, error),
		.read_only = !o->write, .share = o->share, .cache = o->cache,
	};
	void *buf;

	n->b = bo.format ? block_open(&bo, error) : NULL;
	if (!n->b)
		return false;
	if (o->offset + o->buffer_bytes > block_bytes(n->b))
		return error_set(error, VMM_ERR_INVALID_ARG,
				 "image '%s' is too small for a request there", o->path);
	n->offset = o->offset;
	buf = aligned_alloc(BUFFER_ALIGN, round_up(o->buffer_bytes, BUFFER_ALIGN));
	if (!buf)
		return error_errno(error, ENOMEM, "a buffer of %u bytes", o->buffer_bytes);
	memset(buf, o->pattern, o->buffer_bytes);
	n->iov = (struct iovec){ buf, o->buffer_bytes };
	n->slots = g_new0(struct bench_slot, o->depth);
	for (unsigned i = 0; i < o->depth; i++) {
		n->slots[i].bench = n;
		n->slots[i].next = n->idle;
		n->idle = &n->slots[i];
	}
	return true;
}

/* Seconds of processor time of this process until now. */
static double cpu_now(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_utime.tv_sec + u.ru_stime.tv_sec +
	       (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

bool image_bench(const struct image_bench_opts *o, struct image_bench_figures *ret, GError **error)
{
	struct bench n = { .o = o };
	bool ok = bench_check(o, error) && bench_open(&n, error);
	gint64 start = g_get_monotonic_time();
	double cpu = cpu_now();

	if (ok) {
		bench_run(&n);
		*ret = (struct image_bench_figures){
			(g_get_monotonic_time() - start) / 1e6, cpu_now() - cpu,
		};
		ok = n.result == 0 || error_errno(error, n.result, "image '%s'", o->path);
	}
	block_close(n.b);
	free(n.iov.iov_base);
	g_free(n.slots);
	return ok;
}
