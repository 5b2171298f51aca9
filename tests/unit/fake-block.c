/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The calls of libvmm/block/block.h that a device makes, on memory. */
#include "config.h"
#include "fake-block.h"

#include <errno.h>
#include <string.h>

struct block {
	struct fake_block fake;
};

struct fake_block *fake_block_new(uint64_t bytes)
{
	struct block *b = g_new0(struct block, 1);

	b->fake.bytes = g_malloc0(bytes);
	b->fake.n_bytes = bytes;
	b->fake.cluster_bytes = 512;
	g_queue_init(&b->fake.pending);
	return &b->fake;
}

struct block *fake_block(struct fake_block *f)
{
	return (struct block *)f;
}

void fake_block_free(struct fake_block *f)
{
	g_free(f->bytes);
	g_free(f);
}

static void move(struct fake_block *f, const struct block_req *req)
{
	uint8_t *at = f->bytes + req->offset;
	uint64_t left = req->bytes;

	g_assert_cmpuint(req->offset, <=, f->n_bytes);
	g_assert_cmpuint(req->bytes, <=, f->n_bytes - req->offset);
	for (unsigned i = 0; left; i++) {
		g_assert_cmpuint(i, <, req->n_iov);
		size_t n = MIN(left, req->iov[i].iov_len);

		if (req->op == BLOCK_READ)
			memcpy(req->iov[i].iov_base, at, n);
		else
			memcpy(at, req->iov[i].iov_base, n);
		at += n;
		left -= n;
	}
}

static void complete(struct fake_block *f, struct block_req *req)
{
	if (!f->error && (req->op == BLOCK_READ || req->op == BLOCK_WRITE))
		move(f, req);
	else if (!f->error && req->op != BLOCK_FLUSH)
		memset(f->bytes + req->offset, 0, req->bytes);
	f->n_flushes += req->op == BLOCK_FLUSH;
	f->last_flags = req->flags;
	req->done(req, f->error);
}

void fake_block_release(struct fake_block *f)
{
	for (; f->n_kicked; f->n_kicked--)
		complete(f, g_queue_pop_head(&f->pending));
}

static gboolean on_idle(gpointer arg)
{
	struct fake_block *f = arg;

	g_clear_pointer(&f->source, g_source_unref);
	fake_block_release(f);
	return G_SOURCE_REMOVE;
}

bool block_attach(struct block *b, GMainContext *ctx, GError **error)
{
	return true;
}

void block_close(struct block *b)
{
	g_assert_true(g_queue_is_empty(&b->fake.pending));
	b->fake.closed = true;
}

void block_submit(struct block *b, struct block_req *req)
{
	b->fake.n_submitted++;
	if (b->fake.at_once)
		complete(&b->fake, req);
	else
		g_queue_push_tail(&b->fake.pending, req);
}

void block_kick(struct block *b)
{
	struct fake_block *f = &b->fake;

	f->n_kicks++;
	f->n_kicked = g_queue_get_length(&f->pending);
	if (f->hold || f->source || g_queue_is_empty(&f->pending))
		return;
	f->source = g_idle_source_new();
	g_source_set_callback(f->source, on_idle, f, NULL);
	g_source_attach(f->source, g_main_context_get_thread_default());
}

void block_drain(struct block *b)
{
	if (b->fake.source)
		g_source_destroy(b->fake.source);
	g_clear_pointer(&b->fake.source, g_source_unref);
	while (!g_queue_is_empty(&b->fake.pending)) {
		b->fake.n_kicked = g_queue_get_length(&b->fake.pending);
		fake_block_release(&b->fake);
	}
}

uint64_t block_bytes(const struct block *b)
{
	return b->fake.n_bytes;
}

bool block_is_read_only(const struct block *b)
{
	return b->fake.read_only;
}

bool block_can_discard(const struct block *b)
{
	return b->fake.can_discard;
}

uint32_t block_cluster_bytes(const struct block *b)
{
	return b->fake.cluster_bytes;
}

uint64_t block_room(const struct block *b, uint64_t *ret_total)
{
	*ret_total = 1000;
	return b->fake.room;
}
