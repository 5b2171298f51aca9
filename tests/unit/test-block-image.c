/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The offline tools: what they make, qemu-img accepts; what it makes, they understand. */
#include "config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "block-util.h"

#include "libvmm/block/image.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

static void create(struct image_create_opts o)
{
	g_autoptr(GError) error = NULL;

	o.path = test_path(o.path);
	o.format = o.format ? o.format : "qcow2";
	image_create(&o, &error);
	g_assert_no_error(error);
}

static void refused(struct image_create_opts o, const char *says)
{
	g_autoptr(GError) error = NULL;

	o.path = test_path("refused.qcow2");
	g_assert_false(image_create(&o, &error));
	g_assert_nonnull(strstr(error->message, says));
	g_assert_cmpint(access(o.path, F_OK), ==, -1);
}

static void what_we_create_qemu_finds_clean(void)
{
	static const struct image_create_opts kinds[] = {
		{ .cluster_bytes = 0 },
		{ .cluster_bytes = 512 },
		{ .cluster_bytes = 2 << 20 },
		{ .compat = "0.10" },
		{ .lazy_refcounts = true },
		{ .refcount_bits = 1 },
		{ .refcount_bits = 64, .cluster_bytes = 512 },
		{ .extended_l2 = true },
		{ .compression_type = "zstd" },
		{ .preallocation = IMAGE_PREALLOC_METADATA },
		{ .preallocation = IMAGE_PREALLOC_FALLOC },
		{ .preallocation = IMAGE_PREALLOC_FULL },
	};

	for (unsigned i = 0; have_qemu() && i < ARRAY_SIZE(kinds); i++) {
		struct image_create_opts o = kinds[i];
		struct model *m = model_new(3 << 20, i);
		struct block *b;

		o.path = "new.qcow2";
		o.bytes = 3 << 20;
		create(o);
		check_clean("new.qcow2", false);
		model_compare_qemu(m, "new.qcow2", "qcow2");
		b = disk_open("new.qcow2", "qcow2");
		model_run(m, b, 500);
		block_close(b);
		check_clean("new.qcow2", false);
		model_compare_qemu(m, "new.qcow2", "qcow2");
		must("rm new.qcow2");
		model_free(m);
	}
}

static void impossible_images_are_refused(void)
{
	refused((struct image_create_opts){ .format = "vmdk" }, "vmdk");
	refused((struct image_create_opts){ .format = "qcow2", .cluster_bytes = 1000 },
		"cluster_size");
	refused((struct image_create_opts){ .format = "qcow2", .refcount_bits = 3 },
		"refcount_bits");
	refused((struct image_create_opts){ .format = "qcow2",
					    .compat = "0.10",
					    .lazy_refcounts = true },
		"compat=1.1");
	refused((struct image_create_opts){ .format = "qcow2", .backing_file = "x" }, "-F raw");
	refused((struct image_create_opts){ .format = "qcow2",
					    .backing_file = "x",
					    .backing_format = "raw" },
		"No such file");
	refused((struct image_create_opts){ .format = "raw",
					    .backing_file = "x",
					    .backing_format = "raw" },
		"raw image has no backing");
	refused((struct image_create_opts){ .format = "qcow2",
					    .cluster_bytes = 512,
					    .bytes = 1ull << 50 },
		"too large");
}

static void an_overlay_is_as_large_as_its_backing_file(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(image_info) i = NULL;

	create((struct image_create_opts){ .path = "base.qcow2", .bytes = 5 << 20 });
	must("mkdir -p sub && ln -sf ../base.qcow2 sub/base.qcow2");
	create((struct image_create_opts){ .path = "sub/over.qcow2", .backing_file = "base.qcow2",
					   .backing_format = "qcow2" });
	i = image_info_new(test_path("sub/over.qcow2"), NULL, true, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(i->virtual_bytes, ==, 5 << 20);
	g_assert_cmpstr(i->backing_filename, ==, "base.qcow2");
	g_assert_cmpstr(i->backing_format, ==, "qcow2");
	g_assert_cmpstr(i->backing->filename, ==, test_path("sub/base.qcow2"));
	g_assert_null(i->backing->backing);
}

static void info_tells_what_qemu_made(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(image_info) i = NULL;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 -o cluster_size=16k,lazy_refcounts=on,refcount_bits=8,"
	     "compression_type=zstd,extended_l2=on i.qcow2 7M && qemu-img snapshot -c first i.qcow2"
	     " && qemu-img bitmap --add i.qcow2 b0");
	i = image_info_new(test_path("i.qcow2"), NULL, true, &error);
	g_assert_no_error(error);
	g_assert_cmpuint(i->virtual_bytes, ==, 7 << 20);
	g_assert_cmpuint(i->cluster_bytes, ==, 16384);
	g_assert_true(i->lazy_refcounts && i->extended_l2 && !i->dirty && !i->corrupt);
	g_assert_cmpuint(i->refcount_bits, ==, 8);
	g_assert_cmpstr(i->compression_type, ==, "zstd");
	g_assert_cmpuint(i->n_bitmaps, ==, 1);
	g_assert_cmpuint(i->n_snapshots, ==, 1);
	g_assert_cmpstr(i->snapshots[0].name, ==, "first");
	g_assert_cmpstr(i->snapshots[0].id, ==, "1");
}

/* ---- convert, compare ---- */

static void make_source(void)
{
	must("qemu-img create -q -f qcow2 -o cluster_size=4k sb.qcow2 9M"
	     " && qemu-io -c 'write -P 1 0 300k' -c 'write -P 2 5M 1M' sb.qcow2"
	     " && qemu-img create -q -f qcow2 -b sb.qcow2 -F qcow2 src.qcow2 9437696"
	     " && qemu-io -c 'write -P 3 100k 60k' -c 'write -z 5M 200k' -c 'write -P 4 9437184 "
	     "512' src.qcow2");
}

static void convert(struct image_convert_opts o)
{
	g_autoptr(GError) error = NULL;

	o.source = test_path(o.source);
	o.target.path = test_path(o.target.path);
	image_convert(&o, &error);
	g_assert_no_error(error);
}

static void converted_images_are_equal(void)
{
	static const struct image_convert_opts kinds[] = {
		{ .target = { .format = "raw" } },
		{ .target = { .format = "qcow2" } },
		{ .target = { .format = "qcow2", .cluster_bytes = 512 } },
		{ .target = { .format = "qcow2", .extended_l2 = true } },
		{ .target = { .format = "qcow2", .preallocation = IMAGE_PREALLOC_METADATA } },
		{ .target = { .format = "qcow2" }, .compress = true },
		{ .target = { .format = "qcow2", .compression_type = "zstd" }, .compress = true },
		{ .target = { .format = "qcow2", .cluster_bytes = 4096, .compat = "0.10" },
		  .compress = true },
		{ .target = { .format = "qcow2", .refcount_bits = 1 }, .compress = true },
		{ .target = { .format = "qcow2", .cluster_bytes = 512 }, .compress = true },
	};

	if (!have_qemu())
		return;
	make_source();
	for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct image_convert_opts o = kinds[i];

		o.source = "src.qcow2";
		o.target.path = "out.img";
		convert(o);
		must("qemu-img compare -f qcow2 -F %s src.qcow2 out.img", o.target.format);
		if (!strcmp(o.target.format, "qcow2"))
			check_clean("out.img", false);
		o.source = "out.img";
		o.source_format = o.target.format;
		o.target = (struct image_create_opts){ .path = "back.qcow2", .format = "qcow2" };
		o.compress = false;
		convert(o);
		must("qemu-img compare -f qcow2 -F qcow2 src.qcow2 back.qcow2");
	}
}

static bool cancel_at_half(void *opaque, uint64_t done, uint64_t total)
{
	return done < total / 2;
}

static void a_cancelled_conversion_leaves_nothing(void)
{
	g_autoptr(GError) error = NULL;
	struct image_convert_opts o = {
		.source = test_path("src.qcow2"), .source_format = "qcow2",
		.target = { .path = test_path("cut/out.raw"), .format = "raw" },
		.progress = { .fn = cancel_at_half },
	};

	if (!have_qemu())
		return;
	make_source();
	must("mkdir -p cut && echo old > cut/out.raw");
	g_assert_false(image_convert(&o, &error));
	g_assert_error(error, VMM_ERROR, VMM_ERR_ABORTED);
	must("test \"$(ls cut)\" = out.raw && test \"$(cat cut/out.raw)\" = old");
}

static struct image_compare compare(const char *a, const char *b, bool strict)
{
	g_autoptr(GError) error = NULL;
	struct image_compare c;

	image_compare(test_path(a), NULL, test_path(b), NULL, strict, NULL, &c, &error);
	g_assert_no_error(error);
	return c;
}

static void compare_names_the_first_difference(void)
{
	if (!have_qemu())
		return;
	must("head -c 3M /dev/urandom > a.raw && qemu-img convert -O qcow2 a.raw a.qcow2 && cp "
	     "a.raw b.raw"
	     " && printf x | dd of=b.raw bs=1 seek=1234567 conv=notrunc status=none"
	     " && cp a.raw c.raw && truncate -s 4M c.raw");
	g_assert_true(compare("a.raw", "a.qcow2", false).equal);
	g_assert_false(compare("a.raw", "b.raw", false).equal);
	g_assert_cmpuint(compare("a.raw", "b.raw", false).offset, ==, 1234567);
	g_assert_true(compare("a.qcow2", "c.raw", false).equal);
	g_assert_true(compare("a.qcow2", "c.raw", false).sizes_differ);
	g_assert_false(compare("a.qcow2", "c.raw", true).equal);
}

/* ---- map ---- */

static bool on_extent(void *opaque, const struct image_extent *e)
{
	g_string_append_printf(opaque, "%" G_GUINT64_FORMAT "+%" G_GUINT64_FORMAT "@%u%s%s%s%s ",
			       e->start / 1024, e->length / 1024, e->depth, e->present ? "p" : "",
			       e->zero ? "z" : "", e->data ? "d" : "", e->compressed ? "c" : "");
	return true;
}

static void map_shows_depth_and_kind(void)
{
	g_autoptr(GString) s = g_string_new(NULL);
	g_autoptr(GError) error = NULL;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 mb.qcow2 1M && qemu-io -c 'write 0 128k' mb.qcow2"
	     " && qemu-img create -q -f qcow2 -b mb.qcow2 -F qcow2 m.qcow2"
	     " && qemu-io -c 'write 64k 64k' -c 'write -z 256k 64k' -c 'write -c 512k 64k' "
	     "m.qcow2");
	image_map(test_path("m.qcow2"), NULL, on_extent, s, &error);
	g_assert_no_error(error);
	g_assert_cmpstr(
		s->str, ==,
		"0+64@1pd 64+64@0pd 128+128@1z 256+64@0pz 320+192@1z 512+64@0pdc 576+448@1z ");
}

/* ---- check ---- */

static void expect_check(const char *name, enum image_repair repair, uint64_t errors,
			 uint64_t leaks)
{
	g_autoptr(GError) error = NULL;
	struct image_check c;

	image_check(test_path(name), "qcow2", &(struct image_check_opts){ .repair = repair }, &c,
		    &error);
	g_assert_no_error(error);
	g_assert_cmpuint(c.corruptions, ==, errors);
	g_assert_cmpuint(c.leaks, ==, leaks);
	g_assert_cmpuint(c.check_errors, ==, 0);
}

static void check_finds_and_mends_what_qemu_finds(void)
{
	uint64_t reft, counts;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 c.qcow2 8M && qemu-io -c 'write -P 5 0 1M' c.qcow2");
	expect_check("c.qcow2", IMAGE_REPAIR_NONE, 0, 0);
	reft = peek_be64("c.qcow2", 48);
	counts = peek_be64("c.qcow2", reft);
	poke("c.qcow2", counts + 2 * 100, "\0\1", 2);	/* a leak */
	expect_check("c.qcow2", IMAGE_REPAIR_NONE, 0, 1);
	expect_check("c.qcow2", IMAGE_REPAIR_LEAKS, 0, 0);
	check_clean("c.qcow2", false);
	poke("c.qcow2", counts + 2 * 8, "\0\0\0\0", 4);	/* two clusters in use are "free" */
	g_assert_cmpint(run("qemu-img check c.qcow2"), ==, 2);
	/* two refcounts, and two COPIED flags are right by the references */
	expect_check("c.qcow2", IMAGE_REPAIR_NONE, 2, 0);
	expect_check("c.qcow2", IMAGE_REPAIR_ALL, 0, 0);
	check_clean("c.qcow2", false);
	must("qemu-io -r -c 'read -P 5 0 1M' c.qcow2");
	/* a block that is nowhere */
	poke_be64("c.qcow2", peek_be64("c.qcow2", 48), 0x123400);
	expect_check("c.qcow2", IMAGE_REPAIR_ALL, 0, 0);
	check_clean("c.qcow2", false);
	must("qemu-io -r -c 'read -P 5 0 1M' c.qcow2");
}

static void check_counts_snapshots_and_bitmaps(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 s.qcow2 8M && qemu-io -c 'write -P 5 0 1M' s.qcow2"
	     " && qemu-img snapshot -c one s.qcow2 && qemu-io -c 'write -P 6 64k 128k' s.qcow2"
	     " && qemu-img bitmap --add s.qcow2 b0 && qemu-io -c 'write 3M 64k' s.qcow2");
	expect_check("s.qcow2", IMAGE_REPAIR_NONE, 0, 0);
	expect_check("s.qcow2", IMAGE_REPAIR_ALL, 0, 0);
	check_clean("s.qcow2", false);
}

/* ---- resize, rebase, commit ---- */

static bool resize(const char *name, uint64_t bytes, bool shrink)
{
	struct image_resize_opts o = { .path = test_path(name), .bytes = bytes, .shrink = shrink,
				       .format = strstr(name, ".raw") ? "raw" : "qcow2" };
	g_autoptr(GError) error = NULL;

	return image_resize(&o, &error);
}

static void a_grown_overlay_shows_zeroes_not_its_backing_file(void)
{
	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 gb.qcow2 64M && qemu-io -c 'write -P 8 0 64M' gb.qcow2");
	for (unsigned v2 = 0; v2 < 2; v2++) {
		must("qemu-img create -q -f qcow2 -o cluster_size=%s -b gb.qcow2 -F qcow2 g.qcow2 "
		     "1000448",
		     v2 ? "64k,compat=0.10" : "4k");
		g_assert_true(resize("g.qcow2", 80 << 20, false));
		check_clean("g.qcow2", false);
		must("qemu-io -r -c 'read -P 8 0 1000448' -c 'read -P 0 1000448 82885632' g.qcow2"
		     " | tee log; ! grep -i fail log");
		g_assert_false(resize("g.qcow2", 1 << 20, false));
		g_assert_true(resize("g.qcow2", 1 << 20, true));
		check_clean("g.qcow2", false);
		g_assert_true(resize("g.qcow2", 2 << 20, false));
		must("qemu-io -r -c 'read -P 8 0 1000448' -c 'read -P 0 1000448 1096704' g.qcow2"
		     " | tee log; ! grep -i fail log");
	}
}

static void raw_and_plain_images_are_resized(void)
{
	if (!have_qemu())
		return;
	must("truncate -s 1M r.raw && qemu-img create -q -f qcow2 -o cluster_size=512 r.qcow2 1M"
	     " && qemu-io -t unsafe -c 'write -P 3 0 1M' r.qcow2");
	g_assert_true(resize("r.raw", 3 << 20, false));
	must("test $(stat -c %%s r.raw) = 3145728");
	/* its new L1 table is longer than what one refcount block counts */
	g_assert_true(resize("r.qcow2", 1ull << 30, false));
	must("test $(stat -c %%s r.qcow2) -lt 2000000");
	check_clean("r.qcow2", false);
	must("qemu-io -r -c 'read -P 3 0 1M' -c 'read -P 0 1M 8M' r.qcow2 | tee log; ! grep -i "
	     "fail log");
	g_assert_true(resize("r.qcow2", 1 << 19, true));
	check_clean("r.qcow2", false);
}

static void rebase(const char *name, const char *backing, bool unsafe)
{
	struct image_rebase_opts o = { .path = test_path(name), .format = "qcow2",
				       .backing_file = backing,
				       .backing_format = backing[0] ? "qcow2" : NULL,
				       .unsafe = unsafe };
	g_autoptr(GError) error = NULL;

	image_rebase(&o, &error);
	g_assert_no_error(error);
}

static void a_safe_rebase_changes_no_byte(void)
{
	static const char *const to[] = { "rb2.qcow2", "", "rb1.qcow2" };

	static const char *const kinds[] = { "cluster_size=4k", "cluster_size=4k,compat=0.10",
					     "extended_l2=on" };

	for (unsigned k = 0; have_qemu() && k < ARRAY_SIZE(kinds); k++) {
		must("rm -f rb*.qcow2; for i in 1 2; do qemu-img create -q -f qcow2 rb$i.qcow2 "
		     "${i}M; done"
		     "; qemu-io -c 'write -P 1 0 700k' rb1.qcow2; qemu-io -c 'write -P 2 300k 1M' "
		     "rb2.qcow2"
		     "; qemu-img create -q -f qcow2 -o %s -b rb1.qcow2 -F qcow2 rb.qcow2 1500k"
		     "; qemu-io -c 'write -P 3 10k 10k' rb.qcow2; qemu-img convert -O raw rb.qcow2 "
		     "rb.raw",
		     kinds[k]);
		for (unsigned i = 0; i < ARRAY_SIZE(to); i++) {
			rebase("rb.qcow2", to[i], false);
			check_clean("rb.qcow2", false);
			must("qemu-img compare -f raw -F qcow2 rb.raw rb.qcow2");
			must("qemu-img info rb.qcow2 | grep 'backing file:' | grep '%s' || test -z "
			     "'%s'",
			     to[i], to[i]);
		}
	}
}

static void an_unsafe_rebase_stores_name_and_format(void)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(image_info) i = NULL;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 ub.qcow2 1M && qemu-img create -q -u -f qcow2 -b "
	     "ub.qcow2 -F raw u.qcow2 1M"
	     " && qemu-img bitmap --add u.qcow2 kept");
	rebase("u.qcow2", "moved/away.qcow2", true);
	i = image_info_new(test_path("u.qcow2"), NULL, false, &error);
	g_assert_cmpstr(i->backing_filename, ==, "moved/away.qcow2");
	g_assert_cmpstr(i->backing_format, ==, "qcow2");
}

static void a_rebase_onto_itself_is_a_loop(void)
{
	struct image_rebase_opts o = { .path = test_path("l2.qcow2"),
				       .format = "qcow2", .backing_file = "l3.qcow2",
				       .backing_format = "qcow2" };
	g_autoptr(GError) error = NULL;

	create((struct image_create_opts){ .path = "l1.qcow2", .bytes = 1 << 20 });
	create((struct image_create_opts){
		.path = "l2.qcow2", .backing_file = "l1.qcow2", .backing_format = "qcow2" });
	create((struct image_create_opts){
		.path = "l3.qcow2", .backing_file = "l2.qcow2", .backing_format = "qcow2" });
	g_assert_false(image_rebase(&o, &error));
	g_assert_nonnull(strstr(error->message, "loop"));
}

static void commit_moves_the_overlay_into_its_backing_file(void)
{
	struct image_commit_opts o = { .path = test_path("cm.qcow2"), .format = "qcow2" };
	g_autoptr(GError) error = NULL;

	if (!have_qemu())
		return;
	must("qemu-img create -q -f qcow2 cb.qcow2 1M && qemu-io -c 'write -P 1 0 1M' cb.qcow2"
	     " && qemu-img create -q -f qcow2 -b cb.qcow2 -F qcow2 cm.qcow2 2M"
	     " && qemu-io -c 'write -P 2 100k 300k' -c 'write -z 512k 64k' -c 'write -P 4 1900k "
	     "4k' cm.qcow2"
	     " && qemu-img convert -O raw cm.qcow2 cm.raw");
	g_assert_true(image_commit(&o, &error));
	check_clean("cb.qcow2", false);
	check_clean("cm.qcow2", false);
	must("qemu-img compare -f raw -F qcow2 cm.raw cb.qcow2 && qemu-img compare -f raw -F qcow2 "
	     "cm.raw cm.qcow2");
	must("qemu-img map cm.qcow2 | grep -c cm.qcow2 | grep -qx 0");
}

int main(int argc, char **argv)
{
	int r;

	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/image/create/clean", what_we_create_qemu_finds_clean);
	g_test_add_func("/image/create/refused", impossible_images_are_refused);
	g_test_add_func("/image/create/overlay", an_overlay_is_as_large_as_its_backing_file);
	g_test_add_func("/image/info", info_tells_what_qemu_made);
	g_test_add_func("/image/convert/equal", converted_images_are_equal);
	g_test_add_func("/image/convert/cancel", a_cancelled_conversion_leaves_nothing);
	g_test_add_func("/image/compare", compare_names_the_first_difference);
	g_test_add_func("/image/map", map_shows_depth_and_kind);
	g_test_add_func("/image/check/repair", check_finds_and_mends_what_qemu_finds);
	g_test_add_func("/image/check/shared", check_counts_snapshots_and_bitmaps);
	g_test_add_func("/image/resize/overlay", a_grown_overlay_shows_zeroes_not_its_backing_file);
	g_test_add_func("/image/resize/plain", raw_and_plain_images_are_resized);
	g_test_add_func("/image/rebase/safe", a_safe_rebase_changes_no_byte);
	g_test_add_func("/image/rebase/unsafe", an_unsafe_rebase_stores_name_and_format);
	g_test_add_func("/image/rebase/loop", a_rebase_onto_itself_is_a_loop);
	g_test_add_func("/image/commit", commit_moves_the_overlay_into_its_backing_file);
	r = g_test_run();
	test_folder_remove();
	return r;
}
