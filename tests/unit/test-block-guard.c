/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Metadata of damaged images is not overwritten; bitmaps are kept, and marked when we write. */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "block-util.h"

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

enum { AT_L1 = 40, AT_REFT = 48, AT_SNAPSHOTS = 64, AT_INCOMPAT = 72, AT_AUTOCLEAR = 88 };
#define OFF_MASK 0x00fffffffffffe00ull
#define COPIED (1ull << 63)
#define CLUSTER 4096u

/* Header extensions stand behind the header's fixed part. */
static uint64_t bitmap_directory(const char *name)
{
	for (uint64_t at = 104; at < CLUSTER; at += 8)
		if (peek_be64(name, at) == 0x2385287500000018ull)
			return peek_be64(name, at + 24);
	g_assert_not_reached();
}

/* One cluster of each kind, by the names that the guard gives them. */
static uint64_t where_is(const char *kind)
{
	const char *n = "g0.qcow2";
	uint64_t l1 = peek_be64(n, AT_L1), snap_l1 = peek_be64(n, peek_be64(n, AT_SNAPSHOTS));

	if (!strcmp(kind, "the header"))
		return 0;
	if (!strcmp(kind, "the active L1 table"))
		return l1;
	if (!strcmp(kind, "an active L2 table"))
		return peek_be64(n, l1 + 8) & OFF_MASK;
	if (!strcmp(kind, "the refcount table"))
		return peek_be64(n, AT_REFT);
	if (!strcmp(kind, "a refcount block"))
		return peek_be64(n, peek_be64(n, AT_REFT));
	if (!strcmp(kind, "the snapshot table"))
		return peek_be64(n, AT_SNAPSHOTS);
	if (!strcmp(kind, "a snapshot's L1 table"))
		return snap_l1;
	if (!strcmp(kind, "a snapshot's L2 table"))
		return peek_be64(n, snap_l1) & OFF_MASK;
	if (!strcmp(kind, "the bitmap directory"))
		return bitmap_directory(n);
	if (!strcmp(kind, "a bitmap table"))
		return peek_be64(n, bitmap_directory(n));
	g_assert_cmpstr(kind, ==, "a bitmap");
	return peek_be64(n, peek_be64(n, bitmap_directory(n))) & OFF_MASK;
}

static const char *const kinds[] = {
	"the header",
	"the active L1 table",
	"an active L2 table",
	"the refcount table",
	"a refcount block",
	"the snapshot table",
	"a snapshot's L1 table",
	"a snapshot's L2 table",
	"the bitmap directory",
	"a bitmap table",
	"a bitmap",
};

/* Two L2 tables: the first shared by nobody, the second only to be a victim. */
static void make(void)
{
	static bool made;

	if (!made)
		must("qemu-img create -q -f qcow2 -o cluster_size=4k g0.qcow2 4M"
		     " && qemu-img bitmap --add -g 4096 g0.qcow2 b0"
		     " && qemu-io -c 'write -P 1 0 64k' -c 'write -P 1 2M 64k' g0.qcow2"
		     " && qemu-img snapshot -c one g0.qcow2"
		     " && qemu-io -c 'write -P 2 0 64k' -c 'write -P 2 2M 64k' g0.qcow2"
		     " && truncate -s %%4096 g0.qcow2");
	made = true;
	must("cp g0.qcow2 g.qcow2");
}

static char said[512]; /* the last message */

static GLogWriterOutput on_log(GLogLevelFlags level, const GLogField *fields, gsize n, gpointer arg)
{
	for (gsize i = 0; i < n; i++)
		if (!strcmp(fields[i].key, "MESSAGE"))
			g_strlcpy(said, fields[i].value, sizeof(said));
	return level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ?
		       g_log_writer_standard_streams(level, fields, n, arg) :
		       G_LOG_WRITER_HANDLED;
}

static void expect_said(const char *what, uint64_t off)
{
	g_autofree char *says = g_strdup_printf("%s (offset 0x%" G_GINT64_MODIFIER "x)", what, off);

	if (!strstr(said, says))
		g_error("'%s' does not say '%s'", said, says);
	said[0] = 0;
}

static void expect_untouched(uint64_t off)
{
	/* some fields of these may change: the corrupt bit, counts, the bitmap's mark */
	if (off == 0 || off == where_is("a refcount block") ||
	    off == where_is("the bitmap directory"))
		return;
	must("cmp -n %u -i %" G_GUINT64_FORMAT " g0.qcow2 g.qcow2", CLUSTER, off);
}

static void expect_marked(void)
{
	g_assert_cmpuint(peek_be64("g.qcow2", AT_INCOMPAT) & 2, ==, 2);
	disk_refused("g.qcow2", "qcow2", false, "corrupt");
}

/* An L2 entry says that the guest's data is where metadata is. */
static void data_hits_no_metadata(gconstpointer kind)
{
	g_autofree char *says = g_strdup_printf("a write of data would hit %s", (const char *)kind);
	uint64_t off;
	uint8_t buf[512] = { 1 };
	struct block *b;

	if (!have_qemu())
		return;
	make();
	off = where_is(kind);
	if (!off) /* an L2 entry of 0 means nowhere */
		return;
	poke_be64("g.qcow2", peek_be64("g.qcow2", peek_be64("g.qcow2", AT_L1)) & OFF_MASK,
		  off | COPIED);
	b = disk_open("g.qcow2", "qcow2");
	g_assert_cmpint(block_pwrite(b, 0, buf, sizeof(buf)), ==, -EIO);
	expect_said(says, off);
	g_assert_cmpint(block_pwrite(b, 3 << 20, buf, sizeof(buf)), ==, -EIO);
	block_close(b);
	expect_untouched(off);
	expect_marked();
}

/* A refcount of 0 says that the metadata's place is free. */
static void nothing_new_is_placed_on_metadata(gconstpointer kind)
{
	g_autofree char *says = g_strdup_printf("a write of data would hit %s", (const char *)kind);
	uint64_t off, counts;
	uint8_t buf[CLUSTER] = { 1 };
	struct block *b;

	if (!have_qemu())
		return;
	make();
	off = where_is(kind);
	counts = peek_be64("g.qcow2", peek_be64("g.qcow2", AT_REFT));
	poke("g.qcow2", counts + off / CLUSTER * 2, "\0\0", 2);
	b = disk_open("g.qcow2", "qcow2");
	for (unsigned i = 0; i < 200 && !block_pwrite(b, (1 << 20) + i * CLUSTER, buf, CLUSTER);
	     i++)
		;
	expect_said(says, off);
	g_assert_cmpint(block_pwrite(b, 0, buf, sizeof(buf)), ==, -EIO);
	block_close(b);
	expect_untouched(off);
	expect_marked();
}

/* Tables that are in two places' stead are found when the image is opened for writing. */
static void overlapping_tables_are_found_at_once(gconstpointer kind)
{
	static const unsigned pointers[] = { AT_L1, AT_REFT, AT_SNAPSHOTS };
	const char *const victims[] = { "the active L1 table", "the refcount table",
					"the snapshot table" };

	for (unsigned i = 0; have_qemu() && i < G_N_ELEMENTS(pointers); i++) {
		g_autoptr(GError) error = NULL;
		struct block_opts o = { .format = "qcow2" };
		g_autoptr(block) b = NULL;
		uint64_t l1;

		if (!strcmp(victims[i], kind))
			continue;
		make();
		/* An entry of L1, or of the refcount table, that points there; or the table itself.
		 */
		l1 = peek_be64("g.qcow2", pointers[i]);
		if (pointers[i] == AT_SNAPSHOTS)
			poke_be64("g.qcow2", l1, where_is(kind));
		else
			poke_be64("g.qcow2", l1 + 8 * (pointers[i] == AT_L1),
				  where_is(kind) | (pointers[i] == AT_L1 ? COPIED : 0));
		if (!where_is(kind) ||
		    (!strcmp(kind, "a refcount block") && pointers[i] == AT_REFT) ||
		    (strstr(kind, "snapshot's") && pointers[i] == AT_SNAPSHOTS) ||
		    (strstr(kind, "L2") && pointers[i] == AT_L1))
			continue; /* which changes nothing, or may be so */
		o.path = test_path("g.qcow2");
		b = block_open(&o, &error);
		g_assert_null(b);
		if (!strstr(error->message, "at the same place (offset 0x"))
			g_error("%s: %s", victims[i], error->message);
		g_assert_nonnull(strstr(error->message, kind));
		g_assert_cmpuint(peek_be64("g.qcow2", AT_INCOMPAT) & 2, ==, 2);
	}
}

/* ---- bitmaps ---- */

static void expect_bitmap(const char *name, bool in_use)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(image_info) i = image_info_new(test_path(name), NULL, false, &error);

	g_assert_no_error(error);
	g_assert_cmpuint(i->n_bitmaps, ==, 1);
	g_assert_cmpstr(i->bitmaps[0].name, ==, "b0");
	g_assert_cmpuint(i->bitmaps[0].granularity, ==, 65536);
	g_assert_cmpint(i->bitmaps[0].in_use, ==, in_use);
	must("qemu-img info --output json %s | tr -d ' \\n' | grep -q '\"flags\":\\[%s\"auto\"\\]'",
	     name, in_use ? "\"in-use\"," : "");
	check_clean(name, false);
}

static void make_bitmap(const char *name)
{
	must("rm -f %s; qemu-img create -q -f qcow2 %s 4M && qemu-img bitmap --add %s b0"
	     " && qemu-io -c 'write 1M 100k' %s",
	     name, name, name, name);
	expect_bitmap(name, false);
}

static void bitmaps_are_kept_and_marked_when_we_write(void)
{
	uint8_t buf[512] = { 1 };
	struct block *b;

	if (!have_qemu())
		return;
	make_bitmap("b.qcow2");
	block_close(disk_open_opts("b.qcow2", "qcow2", (struct block_opts){ .read_only = true }));
	block_close(disk_open("b.qcow2", "qcow2"));
	expect_bitmap("b.qcow2", false);
	b = disk_open("b.qcow2", "qcow2");
	g_assert_cmpint(block_pwrite(b, 0, buf, sizeof(buf)), ==, 0);
	/* A crash from here on finds it marked. */
	must("cp b.qcow2 crashed.qcow2");
	expect_bitmap("crashed.qcow2", true);
	block_close(b);
	expect_bitmap("b.qcow2", true);
	must("qemu-img bitmap --remove b.qcow2 b0");
	check_clean("b.qcow2", false);
}

static void every_way_of_changing_contents_marks_bitmaps(void)
{
	struct image_resize_opts grow = { .path = test_path("b.qcow2"),
				       .format = "qcow2", .bytes = 64 << 20 };
	struct block *b;

	if (!have_qemu())
		return;
	make_bitmap("b.qcow2");
	b = disk_open("b.qcow2", "qcow2");
	g_assert_cmpint(block_pwrite_zeroes(b, 1 << 20, 65536, 0), ==, 0);
	block_close(b);
	expect_bitmap("b.qcow2", true);
	make_bitmap("b.qcow2");
	b = disk_open("b.qcow2", "qcow2");
	g_assert_cmpint(block_pdiscard(b, 1 << 20, 65536), ==, 0);
	block_close(b);
	expect_bitmap("b.qcow2", true);
	make_bitmap("b.qcow2");
	g_assert_true(image_resize(&grow, NULL));
	expect_bitmap("b.qcow2", true);
	make_bitmap("b.qcow2");
	g_assert_true(image_snapshot_create(test_path("b.qcow2"), "qcow2", "s", NULL));
	expect_bitmap("b.qcow2", false);
	g_assert_true(image_snapshot_apply(test_path("b.qcow2"), "qcow2", "s", NULL));
	expect_bitmap("b.qcow2", true);
}

static void a_damaged_directory_of_bitmaps_is_named_and_given_up_only_when_told(void)
{
	struct image_check c;
	uint8_t length[] = { 0xff, 0xff };

	if (!have_qemu())
		return;
	make_bitmap("b.qcow2");
	poke("b.qcow2", bitmap_directory("b.qcow2") + 18, length, 2);
	disk_refused("b.qcow2", "qcow2", false, "directory of bitmaps is damaged");
	block_close(disk_open_opts("b.qcow2", "qcow2", (struct block_opts){ .read_only = true }));
	g_assert_true(
		image_check(test_path("b.qcow2"), NULL, NULL, &c, NULL));
	g_assert_cmpuint(c.corruptions, >, 0);
	g_assert_true(
		image_check(test_path("b.qcow2"), "qcow2",
			    &(struct image_check_opts){ .repair = IMAGE_REPAIR_ALL }, &c, NULL));
	g_assert_cmpuint(c.corruptions + c.leaks, ==, 0);
	check_clean("b.qcow2", false);
	block_close(disk_open("b.qcow2", "qcow2"));
}

static void add(const char *where, GTestDataFunc fn)
{
	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_strdup_printf("/guard/%s/%s", where, kinds[i]);

		g_test_add_data_func(g_strdelimit(path, " '", '_'), kinds[i], fn);
	}
}

int main(int argc, char **argv)
{
	int r;

	g_test_init(&argc, &argv, NULL);
	g_log_set_writer_func(on_log, NULL, NULL);
	add("data", data_hits_no_metadata);
	add("new", nothing_new_is_placed_on_metadata);
	add("tables", overlapping_tables_are_found_at_once);
	g_test_add_func("/bitmap/kept", bitmaps_are_kept_and_marked_when_we_write);
	g_test_add_func("/bitmap/ways", every_way_of_changing_contents_marks_bitmaps);
	g_test_add_func("/bitmap/damaged",
			a_damaged_directory_of_bitmaps_is_named_and_given_up_only_when_told);
	r = g_test_run();
	test_folder_remove();
	return r;
}
