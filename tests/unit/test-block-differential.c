/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations on random images, beside QEMU: an array says what must be
 * there, qemu-img compares and checks; QEMU writes in turn, and we read that.
 *
 * VMM_BLOCK_OPS says how many operations of ours in all ("make check": some
 * thousand); --seed repeats a run.  Whatever fails leaves its folder.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "block-util.h"

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"

#define DISK (3u * 1024 * 1024 + 5 * 512)
#define OPS_QUICK 4000
#define OPS_ROUND 400

struct shape {
	unsigned cluster_bits, refcount_order, depth, queue;
	bool v2, extended, lazy, zstd, metadata;
};

static struct shape shape_random(GRand *r)
{
	struct shape s = {
		.cluster_bits = g_rand_int_range(r, 9, 22),
		.refcount_order = g_rand_int_range(r, 0, 7),
		.depth = g_rand_int_range(r, 0, 5),
		.queue = 1 << g_rand_int_range(r, 0, 7),
		.v2 = g_rand_int_range(r, 0, 4) == 0,
	};

	if (s.v2)
		s.refcount_order = 4;
	s.extended = !s.v2 && s.cluster_bits >= 14 && g_rand_boolean(r);
	s.lazy = !s.v2 && g_rand_int_range(r, 0, 4) == 0;
	s.zstd = !s.v2 && g_rand_boolean(r);
	return s;
}

static char *shape_options(const struct shape *s)
{
	return g_strdup_printf("cluster_size=%u,compat=%s,refcount_bits=%u%s%s%s",
			       1u << s->cluster_bits, s->v2 ? "0.10" : "1.1",
			       1u << s->refcount_order, s->extended ? ",extended_l2=on" : "",
			       s->lazy ? ",lazy_refcounts=on" : "",
			       s->zstd ? ",compression_type=zstd" : "");
}

/* ---- what QEMU writes ---- */

static void qemu_write_one(struct model *m, GString *cmd, const struct shape *s, uint32_t size,
			   bool may_pack)
{
	uint32_t cluster = 1u << s->cluster_bits, byte = g_rand_int_range(m->rand, 0, 256);
	uint32_t off = g_rand_int_range(m->rand, 0, size / 512) * 512;
	uint32_t n = g_rand_int_range(m->rand, 1, 200) * 512;
	int kind = may_pack ? 0 : g_rand_int_range(m->rand, 1, 8);

	n = MIN(n, size - off);
	if (kind == 0) {	/* compressed: a whole cluster, and nothing may be there */
		off = off / cluster * cluster;
		n = MIN(cluster, size - off);
		g_string_append_printf(cmd, " -c 'write -c -P %u %u %u'", byte, off, n);
	} else if (kind < 3) {
		byte = 0;
		g_string_append_printf(cmd, " -c 'write -z %s %u %u'", kind == 1 ? "-u" : "", off,
				       n);
	} else {
		g_string_append_printf(cmd, " -c 'write -P %u %u %u'", byte, off, n);
	}
	memset(m->bytes + off, byte, n);
}

static void qemu_write(struct model *m, const char *name, const struct shape *s, uint32_t size,
		       bool empty)
{
	g_autoptr(GString) cmd = g_string_new("qemu-io -f qcow2 -t unsafe -d unmap");

	for (int i = g_rand_int_range(m->rand, 1, 16), first = i; i > 0; i--)
		qemu_write_one(m, cmd, s, size, i == first && empty);
	must("%s %s > log 2>&1; ! grep -iE 'fail|error|unaligned' log", cmd->str, name);
}

/* A chain of s->depth backing files, each of a shape and size of its own, and the top. */
static void make_chain(struct model *m, const struct shape *s)
{
	for (unsigned i = 0; i <= s->depth; i++) {
		struct shape one = i == s->depth ? *s : shape_random(m->rand);
		g_autofree char *options = shape_options(&one);
		g_autofree char *backing = i ? g_strdup_printf("-b l%u -F qcow2", i - 1) : NULL;
		uint32_t size = (uint32_t)g_rand_int_range(m->rand, 1, DISK / 512) * 512;
		char name[8];

		if (i == s->depth || g_rand_boolean(m->rand))
			size = DISK;
		g_snprintf(name, sizeof(name), i == s->depth ? "top" : "l%u", i);
		must("qemu-img create -q -f qcow2 -o %s %s %s %u", options, backing ? backing : "",
		     name, size);
		memset(m->bytes + size, 0, DISK - size);
		qemu_write(m, name, &one, size, true);
	}
}

/* ---- rounds ---- */

static struct block *open_top(bool uring)
{
	return disk_open_opts("top", "qcow2", (struct block_opts){
		.discard = true, .cache = BLOCK_CACHE_UNSAFE, .no_uring = !uring });
}

static void expect_whole(void)
{
	struct image_check c;

	check_clean("top", false);
	g_assert_true(image_check(test_path("top"), "qcow2", NULL, &c,
				  NULL));
	g_assert_cmpuint(c.corruptions + c.leaks + c.check_errors, ==, 0);
}

static void one_round(guint32 seed, unsigned ops)
{
	struct model *m = model_new(DISK, seed);
	struct shape s = shape_random(m->rand);
	g_autofree char *options = shape_options(&s);
	struct block *b;

	g_test_message("seed %u: %s, depth %u, queue %u, %u operations", seed, options, s.depth,
		       s.queue, ops);
	must("rm -f top l? log");
	make_chain(m, &s);
	b = open_top(true);
	model_compare(m, b);
	m->max_bytes = 96 * 1024;
	if (g_rand_boolean(m->rand))
		model_run(m, b, ops / 2);
	else
		model_run_deep(m, b, ops / 2, s.queue);
	block_close(b);
	model_compare_qemu(m, "top", "qcow2");
	expect_whole();
	qemu_write(m, "top", &s, DISK, false);
	b = open_top(g_rand_boolean(m->rand));
	model_compare(m, b);
	model_run_deep(m, b, ops - ops / 2, s.queue);
	model_compare(m, b);
	block_close(b);
	model_compare_qemu(m, "top", "qcow2");
	expect_whole();
	model_free(m);
}

static void random_images_are_alike_for_both(void)
{
	const char *text = g_getenv("VMM_BLOCK_OPS");
	uint64_t left = text ? g_ascii_strtoull(text, NULL, 10) : OPS_QUICK;

	if (!have_qemu())
		return;
	while (left > 0) {
		unsigned ops = MIN(left, OPS_ROUND);

		one_round(g_test_rand_int(), ops);
		left -= ops;
	}
}

int main(int argc, char **argv)
{
	int r;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/differential", random_images_are_alike_for_both);
	r = g_test_run();
	test_folder_remove();
	return r;
}
