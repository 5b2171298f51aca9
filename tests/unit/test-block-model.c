/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random requests against an array, for each cluster size and kind of image; qemu-img judges. */
#include "config.h"

#include "block-util.h"

#include "libvmm/util/cleanup.h"

#define DISK (4 * 1024 * 1024 + 512 * 3)

static unsigned n_ops(void)
{
	return g_test_thorough() ? 40000 : 10000;
}

/* What is on the disk when is test-block-power's matter. */
static struct block *open_quick(void)
{
	return disk_open_opts("a.qcow2", "qcow2", (struct block_opts){
		.discard = true, .cache = BLOCK_CACHE_UNSAFE });
}

static void prove(struct model *m, struct block *b, const char *name)
{
	model_compare(m, b);
	block_close(b);
	model_compare_qemu(m, name, "qcow2");
	check_clean(name, false);
}

static void random_requests_equal_an_array(gconstpointer options)
{
	struct model *m = model_new(DISK, g_str_hash(options));
	struct block *b;

	if (have_qemu()) {
		must("qemu-img create -q -f qcow2 -o %s a.qcow2 %d", (const char *)options, DISK);
		b = open_quick();
		model_run(m, b, n_ops() / 2);
		block_close(b);
		b = open_quick();
		model_run_deep(m, b, n_ops() / 2, 16);
		prove(m, b, "a.qcow2");
	}
	model_free(m);
}

/* base (raw, shorter) <- middle (other clusters) <- top */
static void random_requests_on_a_chain_equal_an_array(gconstpointer options)
{
	struct model *m = model_new(DISK, g_str_hash(options));
	struct block *b;

	if (have_qemu()) {
		must("head -c 3000000 /dev/urandom > base.raw");
		must("qemu-img create -q -f qcow2 -o cluster_size=4k -b base.raw -F raw mid.qcow2 "
		     "%d",
		     DISK);
		must("qemu-io -c 'write -P 7 1M 300k' -c 'write -z 2M 64k' -c 'write -P 9 4M 1k' "
		     "mid.qcow2");
		must("qemu-img create -q -f qcow2 -o %s -b mid.qcow2 -F qcow2 a.qcow2",
		     (const char *)options);
		b = open_quick();
		model_load(m, b);
		block_close(b);
		model_compare_qemu(m, "a.qcow2", "qcow2");
		b = open_quick();
		model_run(m, b, n_ops() / 2);
		model_run_deep(m, b, n_ops() / 2, 16);
		prove(m, b, "a.qcow2");
		check_clean("mid.qcow2", false);
	}
	model_free(m);
}

static void without_io_uring_it_is_the_same(void)
{
	struct model *m = model_new(DISK, 5);

	if (have_qemu()) {
		must("qemu-img create -q -f qcow2 a.qcow2 %d", DISK);
		struct block *b =
			disk_open_opts("a.qcow2", "qcow2",
				       (struct block_opts){ .discard = true, .no_uring = true });

		model_run_deep(m, b, n_ops(), 32);
		prove(m, b, "a.qcow2");
	}
	model_free(m);
}

static void raw_is_an_array_too(void)
{
	struct model *m = model_new(DISK, 9);
	struct block *b;

	must("rm -f a.raw; truncate -s %d a.raw", DISK);
	b = disk_open("a.raw", "raw");
	model_run(m, b, n_ops() / 2);
	model_run_deep(m, b, n_ops() / 2, 16);
	model_compare(m, b);
	block_close(b);
	if (have_qemu())
		model_compare_qemu(m, "a.raw", "raw");
	model_free(m);
}

/* Bytes, not sectors: the engine promises any alignment. */
static void unaligned_requests_are_fine(gconstpointer cache)
{
	struct model *m = model_new(DISK, 11);
	struct block *b;

	m->align = 1;
	m->max_bytes = 70000;
	if (have_qemu()) {
		must("qemu-img create -q -f qcow2 -o cluster_size=16k a.qcow2 %d", DISK);
		b = disk_open_opts("a.qcow2", "qcow2", (struct block_opts){
			.discard = true, .cache = GPOINTER_TO_INT(cache) });
		model_run(m, b, 1500);
		model_run_deep(m, b, 1500, 16);
		prove(m, b, "a.qcow2");
	}
	model_free(m);
}

static void add(const char *where, const char *options, GTestDataFunc fn)
{
	g_autofree char *path = g_strdup_printf("/block/%s/%s", where, options);

	g_test_add_data_func(path, options, fn);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {
		"cluster_size=512", "cluster_size=1k", "cluster_size=2k", "cluster_size=4k",
		"cluster_size=8k", "cluster_size=16k", "cluster_size=32k", "cluster_size=64k",
		"cluster_size=128k", "cluster_size=256k", "cluster_size=512k", "cluster_size=1M",
		"cluster_size=2M", "compat=0.10", "refcount_bits=1", "refcount_bits=2",
		"refcount_bits=4", "refcount_bits=8", "refcount_bits=32", "refcount_bits=64",
		"lazy_refcounts=on", "extended_l2=on", "extended_l2=on,cluster_size=16k",
		"cluster_size=512,refcount_bits=64", "cluster_size=512,refcount_bits=1",
		"preallocation=metadata", "preallocation=falloc,cluster_size=4k",
	};
	static const char *const chained[] = {
		"cluster_size=512", "cluster_size=4k", "cluster_size=64k", "cluster_size=2M",
		"compat=0.10", "extended_l2=on,cluster_size=64k", "lazy_refcounts=on",
	};
	int r;

	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
		add("alone", kinds[i], random_requests_equal_an_array);
	for (unsigned i = 0; i < ARRAY_SIZE(chained); i++)
		add("chain", chained[i], random_requests_on_a_chain_equal_an_array);
	g_test_add_func("/block/no-uring", without_io_uring_it_is_the_same);
	g_test_add_func("/block/raw", raw_is_an_array_too);
	g_test_add_data_func("/block/bytes", GINT_TO_POINTER(BLOCK_CACHE_WRITEBACK),
			     unaligned_requests_are_fine);
	g_test_add_data_func("/block/bytes-direct", GINT_TO_POINTER(BLOCK_CACHE_NONE),
			     unaligned_requests_are_fine);
	g_test_add_data_func("/block/bytes-directsync", GINT_TO_POINTER(BLOCK_CACHE_DIRECTSYNC),
			     unaligned_requests_are_fine);
	g_test_add_data_func("/block/bytes-unsafe", GINT_TO_POINTER(BLOCK_CACHE_UNSAFE),
			     unaligned_requests_are_fine);
	r = g_test_run();
	test_folder_remove();
	return r;
}
