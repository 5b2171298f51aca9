/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* New heads for a disk at work, compared with an array and judged by QEMU's tools. */
#include "config.h"

#include <glib.h>
#include <string.h>

#include "block-util.h"
#include "libvmm/block/stack.h"

#define DISK_BYTES (4u << 20)

static struct block_over *over_open(const char *name, const char **says)
{
	struct block_opts o = { .path = test_path(name), .format = "qcow2", .discard = true };
	g_autoptr(GError) error = NULL;
	struct block_over *over = block_over_open(&o, &error);

	if (!over) {
		g_assert_nonnull(*says);
		g_assert_nonnull(strstr(error->message, *says));
	}
	return over;
}

static void over_make(const char *base, const char *format, const char *name)
{
	must("qemu-img create -q -f qcow2 -b %s -F %s %s %u", base, format, name, DISK_BYTES);
}

static void head_switch(struct block *b, const char *name)
{
	struct block_over *over = over_open(name, NULL);
	g_autoptr(GError) error = NULL;

	block_drain(b);
	block_freeze(b, over, &error);
	g_assert_no_error(error);
	block_push(b, over);
	g_assert_cmpstr(block_path(b), ==, test_path(name));
}

static void levels(const char *format, const char *options)
{
	g_autofree char *base = g_strconcat("base.", format, NULL);
	struct model *m = model_new(DISK_BYTES, 11);
	const char *file = base, *kind = format;
	struct block *b;

	must("qemu-img create -q -f %s %s %s %u", format, options, base, DISK_BYTES);
	b = disk_open(base, format);
	for (unsigned i = 0; i < 4; i++) {
		g_autofree char *name = g_strdup_printf("head%u.qcow2", i);
		g_autofree char *frozen = g_strdup_printf("frozen%u", i);

		model_run_deep(m, b, 400, 16);
		over_make(file, kind, name);
		head_switch(b, name);
		/* The old head is whole, and no one's to write. */
		model_compare_qemu(m, file, kind);
		g_assert_cmpint(run("qemu-io -f %s -c 'write 0 512' %s", kind, file), !=, 0);
		g_assert_cmpint(run("qemu-io -r -f qcow2 -c 'read 0 512' %s", name), !=, 0);
		must("qemu-img convert -U -f %s -O raw %s %s", kind, file, frozen);
		model_run_deep(m, b, 200, 16);
		must("qemu-img compare -U -f %s -F raw %s %s", kind, file, frozen);
		file = test_path(name);
		kind = "qcow2";
	}
	model_compare(m, b);
	block_close(b);
	model_compare_qemu(m, file, "qcow2");
	for (unsigned i = 0; i < 4; i++) {
		g_autofree char *name = g_strdup_printf("head%u.qcow2", i);

		check_clean(name, false);
	}
	model_free(m);
	must("rm -f head* frozen* base.*");
}

static void a_raw_disk_gets_new_heads(void)
{
	if (have_qemu())
		levels("raw", "");
}

static void a_qcow2_disk_gets_new_heads(void)
{
	if (have_qemu())
		levels("qcow2", "");
}

static void clusters_of_other_sizes_are_no_trouble(void)
{
	if (have_qemu())
		levels("qcow2", "-o cluster_size=4k,lazy_refcounts=on,compat=1.1");
}

static void refuse(struct block *b, const char *name, const char *says)
{
	struct block_over *over = over_open(name, &says);
	g_autoptr(GError) error = NULL;

	if (!over)
		return;
	block_drain(b);
	g_assert_false(block_freeze(b, over, &error));
	g_assert_nonnull(strstr(error->message, says));
	block_over_free(over);
}

static void what_does_not_fit_is_refused_and_the_disk_goes_on(void)
{
	struct model *m = model_new(DISK_BYTES, 12);
	struct block *b;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 disk.qcow2 %u", DISK_BYTES);
	must("qemu-img create -q -f qcow2 other.qcow2 %u", DISK_BYTES);
	over_make("other.qcow2", "qcow2", "foreign.qcow2");
	over_make("disk.qcow2", "raw", "format.qcow2");
	must("qemu-img create -q -f qcow2 -b disk.qcow2 -F qcow2 size.qcow2 8M");
	b = disk_open("disk.qcow2", "qcow2");
	model_run(m, b, 100);
	refuse(b, "other.qcow2", "is no overlay");
	refuse(b, "foreign.qcow2", "but the disk's image is");
	refuse(b, "format.qcow2", "says that its backing file is raw");
	refuse(b, "size.qcow2", "8388608 bytes");
	refuse(b, "missing.qcow2", "No such file");
	model_run(m, b, 100);
	model_compare(m, b);
	block_close(b);
	model_compare_qemu(m, "disk.qcow2", "qcow2");
	check_clean("disk.qcow2", false);
	model_free(m);
	must("rm -f *.qcow2");
}

/* Another disk could not be frozen: this one is told that it was for nothing. */
static void a_thawed_disk_is_written_and_locked_as_before(void)
{
	struct model *m = model_new(DISK_BYTES, 13);
	g_autoptr(GError) error = NULL;
	struct block_over *over;
	struct block *b;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o lazy_refcounts=on disk.qcow2 %u", DISK_BYTES);
	over_make("disk.qcow2", "qcow2", "over.qcow2");
	b = disk_open("disk.qcow2", "qcow2");
	model_run(m, b, 200);
	over = over_open("over.qcow2", NULL);
	block_drain(b);
	block_freeze(b, over, &error);
	g_assert_no_error(error);
	block_thaw(b, over);
	block_over_free(over);
	model_run(m, b, 200);
	g_assert_cmpint(run("qemu-io -f qcow2 -c 'read 0 512' disk.qcow2"), !=, 0);
	block_close(b);
	model_compare_qemu(m, "disk.qcow2", "qcow2");
	check_clean("disk.qcow2", false);
	model_free(m);
}

#define TEST(f) g_test_add_func("/block-stack/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(a_raw_disk_gets_new_heads);
	TEST(a_qcow2_disk_gets_new_heads);
	TEST(clusters_of_other_sizes_are_no_trouble);
	TEST(what_does_not_fit_is_refused_and_the_disk_goes_on);
	TEST(a_thawed_disk_is_written_and_locked_as_before);
	int r = g_test_run();
	test_folder_remove();
	return r;
}
