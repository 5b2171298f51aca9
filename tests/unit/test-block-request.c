/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The request engine's manners: loops, bounds, space, openers. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "block-util.h"

#include "libvmm/util/cleanup.h"

#define MIB (1u << 20)

struct waiting {
	struct block_req req;
	struct iovec iov;
	GMainLoop *loop;
	int result;
};

static void on_done(struct block_req *req, int result)
{
	struct waiting *w = container_of(req, struct waiting, req);

	w->result = result;
	g_main_loop_quit(w->loop);
}

static void completions_arrive_on_the_attached_loop(void)
{
	g_autoptr(GMainContext) ctx = g_main_context_new();
	struct waiting w = { .loop = g_main_loop_new(ctx, FALSE), .result = 1 };
	uint8_t buf[4096] = { 7 };
	g_autoptr(GError) error = NULL;
	struct block *b;

	must("rm -f a.raw; truncate -s 1M a.raw");
	b = disk_open("a.raw", "raw");
	g_assert_true(block_attach(b, ctx, &error));
	g_assert_false(block_attach(b, ctx, NULL));
	w.iov = (struct iovec){ buf, sizeof(buf) };
	w.req = (struct block_req){ .op = BLOCK_WRITE,
				    .offset = 8192,
				    .bytes = 4096,
				    .iov = &w.iov,
				    .n_iov = 1,
				    .done = on_done };
	block_submit(b, &w.req);
	block_kick(b);
	if (w.result == 1)
		g_main_loop_run(w.loop);
	g_assert_cmpint(w.result, ==, 0);
	block_detach(b);
	g_assert_true(block_attach(b, ctx, &error));
	block_close(b);
	must("test \"$(od -An -tu1 -j8192 -N1 a.raw | tr -d ' ')\" = 7");
	g_main_loop_unref(w.loop);
}

static bool copy_says_hello(void)
{
	return run("cp w.qcow2 copy.qcow2 && qemu-img convert -O raw copy.qcow2 copy.raw &&"
		   " grep -aq hello copy.raw") == 0;
}

static gboolean on_tick(void *loop)
{
	static unsigned tries;

	if (copy_says_hello() || ++tries > 100)
		g_main_loop_quit(loop);
	return G_SOURCE_CONTINUE;
}

/* Written, never flushed, killed: the copy of the file is what a new worker would find. */
static void the_map_is_written_back_without_a_flush(void)
{
	g_autoptr(GMainLoop) loop = g_main_loop_new(NULL, FALSE);
	struct block *b;
	guint tick;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 w.qcow2 1M");
	b = disk_open("w.qcow2", "qcow2");
	g_assert_true(block_attach(b, g_main_context_default(), NULL));
	g_assert_cmpint(block_pwrite(b, 70000, "hello", 5), ==, 0);
	tick = g_timeout_add(300, on_tick, loop);
	g_main_loop_run(loop);
	g_source_remove(tick);
	g_assert_true(copy_says_hello());
	block_close(b);
}

struct chain {
	struct waiting w;	/* first: req is its first member */
	struct block *b;
	unsigned left;
};

static void on_link(struct block_req *req, int result)
{
	struct chain *c = container_of(req, struct chain, w.req);

	g_assert_cmpint(result, ==, 0);
	if (--c->left == 0) {
		c->w.result = 0;
		g_main_loop_quit(c->w.loop);
		return;
	}
	req->offset = c->left * 4096;
	block_submit(c->b, req);
}

/* Each done() submits the next request and leaves the kick to us. */
static void done_may_submit(gconstpointer no_uring)
{
	g_autoptr(GMainContext) ctx = g_main_context_new();
	g_autoptr(GMainLoop) loop = g_main_loop_new(ctx, FALSE);
	struct chain c = { .w = { .loop = loop, .result = 1 }, .left = 200 };
	uint8_t buf[4096] = { 7 };

	must("rm -f a.raw; truncate -s 1M a.raw");
	c.b = disk_open_opts("a.raw", "raw", (struct block_opts){ .no_uring = no_uring != NULL });
	g_assert_true(block_attach(c.b, ctx, NULL));
	c.w.iov = (struct iovec){ buf, sizeof(buf) };
	c.w.req = (struct block_req){
		.op = BLOCK_WRITE, .bytes = 4096, .iov = &c.w.iov, .n_iov = 1, .done = on_link
	};
	block_submit(c.b, &c.w.req);
	block_kick(c.b);
	if (c.w.result)
		g_main_loop_run(loop);
	g_assert_cmpint(c.w.result, ==, 0);
	block_close(c.b);
}

static void requests_outside_the_disk_are_refused(void)
{
	uint8_t buf[512] = { 0 };
	struct block *b;

	must("rm -f a.raw; truncate -s 1M a.raw");
	b = disk_open("a.raw", "raw");
	g_assert_cmpint(block_pread(b, MIB - 511, buf, 512), ==, -EINVAL);
	g_assert_cmpint(block_pread(b, UINT64_MAX, buf, 512), ==, -EINVAL);
	g_assert_cmpint(block_pwrite(b, UINT64_MAX - 511, buf, 512), ==, -EINVAL);
	g_assert_cmpint(block_pwrite_zeroes(b, 512, UINT64_MAX - 511, 0), ==, -EINVAL);
	g_assert_cmpint(block_pread(b, MIB, buf, 0), ==, 0);
	block_close(b);
	b = disk_open_opts("a.raw", "raw", (struct block_opts){ .read_only = true });
	g_assert_cmpint(block_pwrite(b, 0, buf, 512), ==, -EROFS);
	g_assert_cmpint(block_flush(b), ==, 0);
	block_close(b);
}

static void discards_give_space_back_only_when_asked(void)
{
	g_autofree uint8_t *buf = g_malloc(4 * MIB);

	if (!have_qemu())
		return;
	memset(buf, 5, 4 * MIB);
	for (unsigned on = 0; on < 2; on++) {
		struct block *b;

		must("rm -f d.qcow2; qemu-img create -q -f qcow2 d.qcow2 8M");
		b = disk_open_opts("d.qcow2", "qcow2", (struct block_opts){ .discard = on });
		g_assert_cmpint(block_can_discard(b), ==, on);
		g_assert_cmpint(block_pwrite(b, 0, buf, 4 * MIB), ==, 0);
		g_assert_cmpint(block_pdiscard(b, 0, 4 * MIB), ==, 0);
		g_assert_cmpint(block_flush(b), ==, 0);
		block_close(b);
		must("test $(du -k d.qcow2 | cut -f1) -%s 2000", on ? "lt" : "gt");
		check_clean("d.qcow2", false);
	}
}

static void freed_clusters_are_used_again(void)
{
	g_autofree uint8_t *buf = g_malloc(4 * MIB);
	struct block *b;

	if (!have_qemu())
		return;
	must("rm -f d.qcow2; qemu-img create -q -f qcow2 d.qcow2 8M");
	b = disk_open("d.qcow2", "qcow2");
	for (unsigned i = 0; i < 20; i++) {
		memset(buf, i, 4 * MIB);
		g_assert_cmpint(block_pwrite(b, 0, buf, 4 * MIB), ==, 0);
		g_assert_cmpint(block_pdiscard(b, 0, 4 * MIB), ==, 0);
		g_assert_cmpint(block_flush(b), ==, 0);
	}
	block_close(b);
	must("test $(stat -c %%s d.qcow2) -lt 10000000");
	check_clean("d.qcow2", false);
}

static int only_plain(void *opaque, const char *path, int flags, GError **error)
{
	(*(unsigned *)opaque)++;
	return open(path, flags, 0600);
}

static void the_opener_opens_the_whole_chain(void)
{
	unsigned calls = 0;
	struct block_opener opener = { .open = only_plain, .opaque = &calls };

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 a.qcow2 1M"
	     " && qemu-img create -q -f qcow2 -b a.qcow2 -F qcow2 b.qcow2");
	block_close(disk_open_opts("b.qcow2", "qcow2", (struct block_opts){ .opener = &opener }));
	g_assert_cmpuint(calls, ==, 2);
}

int main(int argc, char **argv)
{
	int r;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/block/attach", completions_arrive_on_the_attached_loop);
	g_test_add_data_func("/block/submit-in-done/uring", NULL, done_may_submit);
	g_test_add_data_func("/block/submit-in-done/plain", "", done_may_submit);
	g_test_add_func("/block/write-back", the_map_is_written_back_without_a_flush);
	g_test_add_func("/block/bounds", requests_outside_the_disk_are_refused);
	g_test_add_func("/block/discard", discards_give_space_back_only_when_asked);
	g_test_add_func("/block/reuse", freed_clusters_are_used_again);
	g_test_add_func("/block/opener", the_opener_opens_the_whole_chain);
	r = g_test_run();
	test_folder_remove();
	return r;
}
