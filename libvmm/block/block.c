/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A disk: opening it, its shape, and requests for those who have no loop. */
#include "config.h"

#include <sys/statvfs.h>

#include "libvmm/block/request-priv.h"

struct layer *block_top(struct block *b)
{
	return b->top;
}

struct block *block_open(const struct block_opts *o, GError **error)
{
	struct layer *top = chain_open(o, error);
	struct block *b;

	if (!top)
		return NULL;
	b = g_new0(struct block, 1);
	b->top = top;
	b->ended_last = &b->ended;
	b->read_only = o->read_only;
	b->discard = o->discard && !o->read_only;
	b->writethrough =
		o->cache == BLOCK_CACHE_WRITETHROUGH || o->cache == BLOCK_CACHE_DIRECTSYNC;
	b->bytes = round_up(top->bytes, 512);
	b->serial_bytes = MAX(top->file->align, 512);
	b->ring = ring_new(PIECES, o->no_uring || o->tap);
	pieces_init(b);
	return b;
}

void block_close(struct block *b)
{
	if (!b)
		return;
	block_detach(b);
	ring_free(b->ring);
	pieces_done(b);
	chain_close(b->top);
	g_free(b);
}

struct block *lodger_new(struct block *host, struct layer *top, bool read_only)
{
	struct block *b = g_new0(struct block, 1);

	b->top = top;
	b->ended_last = &b->ended;
	b->read_only = read_only;
	b->discard = true;
	b->bytes = round_up(top->bytes, 512);
	b->serial_bytes = MAX(top->file->align, 512);
	b->ring = host->ring;
	pieces_init(b);
	b->host = host;
	b->lodger = host->lodger;
	host->lodger = b;
	return b;
}

void lodger_free(struct block *b)
{
	struct block **at;

	if (!b)
		return;
	for (at = &b->host->lodger; *at != b; at = &(*at)->lodger)
		;
	*at = b->lodger;
	pieces_done(b);
	g_free(b);
}

/* For "image resize"; nobody else changes a disk's size while it is open. */
void block_set_bytes(struct block *b, uint64_t bytes)
{
	b->top->bytes = bytes;
	if (b->top->priv)
		qcow2_set_bytes(b->top, bytes);
	b->bytes = round_up(bytes, 512);
}

uint64_t block_bytes(const struct block *b)
{
	return b->bytes;
}

bool block_is_read_only(const struct block *b)
{
	return b->read_only;
}

bool block_can_discard(const struct block *b)
{
	return b->discard;
}

uint64_t block_room(const struct block *b, uint64_t *ret_total)
{
	const struct file *f = b->top->file;
	struct statvfs st;

	*ret_total = 0;
	if (f->is_device || fstatvfs(f->fd, &st) < 0)
		return 0;
	*ret_total = (uint64_t)st.f_blocks * st.f_frsize;
	return (uint64_t)st.f_bavail * st.f_frsize;
}

uint32_t block_cluster_bytes(const struct block *b)
{
	return b->top->cluster_bytes;
}

/* ---- one request, waited for ---- */

struct waiter {
	struct block_req req;
	bool ended;
	int result;
};

static void waiter_done(struct block_req *req, int result)
{
	struct waiter *w = container_of(req, struct waiter, req);

	w->ended = true;
	w->result = result;
}

static int block_do(struct block *b, enum block_op op, uint64_t off, void *buf, uint64_t bytes,
		    unsigned flags)
{
	struct iovec iov = { buf, bytes };
	struct waiter w = {
		.req = { .op = op, .flags = flags, .offset = off, .bytes = bytes, .iov = &iov,
			 .n_iov = buf ? 1 : 0, .done = waiter_done },
	};

	block_submit(b, &w.req);
	block_kick(b);
	while (!w.ended)
		block_wait(b);
	return w.result;
}

int block_pread(struct block *b, uint64_t offset, void *buf, size_t bytes)
{
	return block_do(b, BLOCK_READ, offset, buf, bytes, 0);
}

int block_pwrite(struct block *b, uint64_t offset, const void *buf, size_t bytes)
{
	return block_do(b, BLOCK_WRITE, offset, (void *)buf, bytes, 0);
}

int block_flush(struct block *b)
{
	return block_do(b, BLOCK_FLUSH, 0, NULL, 0, 0);
}

int block_pdiscard(struct block *b, uint64_t offset, uint64_t bytes)
{
	return block_do(b, BLOCK_DISCARD, offset, NULL, bytes, 0);
}

int block_pwrite_zeroes(struct block *b, uint64_t offset, uint64_t bytes, unsigned flags)
{
	return block_do(b, BLOCK_WRITE_ZEROES, offset, NULL, bytes, flags);
}
