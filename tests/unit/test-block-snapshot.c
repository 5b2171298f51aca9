/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Snapshots inside qcow2 images: ours and QEMU's, made, applied and deleted by either. */
#include "config.h"

#include <string.h>

#include "block-util.h"

#include "libvmm/block/image.h"
#include "libvmm/util/error.h"

#define DISK (3u << 20)
#define SNAPS_MAX 5

static bool ours(bool (*fn)(const char *, const char *, const char *, GError **), const char *image,
		 const char *name)
{
	g_autoptr(GError) error = NULL;
	bool ok = fn(test_path(image), strstr(image, ".raw") ? "raw" : "qcow2", name, &error);

	g_assert_no_error(error);
	return ok;
}

static void refused(bool (*fn)(const char *, const char *, const char *, GError **),
		    const char *image, const char *name, const char *says)
{
	g_autoptr(GError) error = NULL;

	g_assert_false(fn(test_path(image), strstr(image, ".raw") ? "raw" : "qcow2", name, &error));
	if (!strstr(error->message, says))
		g_error("'%s' does not say '%s'", error->message, says);
}

/* ---- a random history, told by two programs in turn ---- */

struct history {
	struct model *m;
	struct {
		char name[8];
		uint8_t *bytes;
	} snaps[SNAPS_MAX];
	unsigned n, serial;
};

static void hist_write(struct history *h)
{
	struct model *m = h->m;

	if (g_rand_boolean(m->rand)) {
		struct block *b = disk_open_opts(
			"h.qcow2", "qcow2",
			(struct block_opts){ .discard = true, .cache = BLOCK_CACHE_UNSAFE });

		model_run_deep(m, b, 30, 8);
		block_close(b);
	} else {
		unsigned at = g_rand_int_range(m->rand, 0, DISK / 512 - 400) * 512;
		unsigned n = g_rand_int_range(m->rand, 1, 400) * 512;
		unsigned byte = g_rand_int_range(m->rand, 0, 256);

		must("qemu-io -f qcow2 -c 'write -P %u %u %u' h.qcow2", byte, at, n);
		memset(m->bytes + at, byte, n);
	}
}

static void hist_create(struct history *h)
{
	char *name = h->snaps[h->n].name;

	g_snprintf(name, sizeof(h->snaps[0].name), "s%u", h->serial++);
	if (g_rand_boolean(h->m->rand))
		must("qemu-img snapshot -c %s h.qcow2", name);
	else
		ours(image_snapshot_create, "h.qcow2", name);
	h->snaps[h->n++].bytes = g_memdup2(h->m->bytes, DISK);
}

static void hist_apply(struct history *h)
{
	unsigned i = g_rand_int_range(h->m->rand, 0, h->n);

	if (g_rand_boolean(h->m->rand))
		must("qemu-img snapshot -a %s h.qcow2", h->snaps[i].name);
	else
		ours(image_snapshot_apply, "h.qcow2", h->snaps[i].name);
	memcpy(h->m->bytes, h->snaps[i].bytes, DISK);
}

static void hist_delete(struct history *h)
{
	unsigned i = g_rand_int_range(h->m->rand, 0, h->n);

	if (g_rand_boolean(h->m->rand))
		must("qemu-img snapshot -d %s h.qcow2", h->snaps[i].name);
	else
		ours(image_snapshot_delete, "h.qcow2", h->snaps[i].name);
	g_free(h->snaps[i].bytes);
	h->snaps[i] = h->snaps[--h->n];
}

static void hist_prove(struct history *h)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(image_info) info = image_info_new(test_path("h.qcow2"), NULL, false, &error);
	struct image_check c;

	g_assert_no_error(error);
	g_assert_cmpuint(info->n_snapshots, ==, h->n);
	model_compare_qemu(h->m, "h.qcow2", "qcow2");
	check_clean("h.qcow2", false);
	g_assert_true(image_check(test_path("h.qcow2"), "qcow2", NULL, &c,
				  NULL));
	g_assert_cmpuint(c.corruptions + c.leaks, ==, 0);
	for (unsigned i = 0; i < h->n; i++)
		must("qemu-img snapshot -l h.qcow2 | grep -q ' %s '", h->snaps[i].name);
}

static void random_histories_of_both_programs_agree(gconstpointer options)
{
	struct history h = { .m = model_new(DISK, g_str_hash(options)) };
	unsigned steps = g_test_thorough() ? 200 : 24;

	if (have_qemu()) {
		must("rm -f h.qcow2; qemu-img create -q -f qcow2 -o %s h.qcow2 %u",
		     (const char *)options, DISK);
		h.m->max_bytes = 64 * 1024;
	}
	for (unsigned i = 0; have_qemu() && i < steps; i++) {
		int dice = g_rand_int_range(h.m->rand, 0, 8);

		hist_write(&h);
		if (h.n == 0 || (dice < 4 && h.n < SNAPS_MAX))
			hist_create(&h);
		else if (dice < 6)
			hist_apply(&h);
		else
			hist_delete(&h);
		hist_prove(&h);
	}
	while (h.n > 0) {
		hist_delete(&h);
		hist_prove(&h);
	}
	model_free(h.m);
}

/* ---- what is special ---- */

static void compressed_clusters_are_shared(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; (seq 1 300000; head -c 200k /dev/urandom) > src.raw"
	     " && truncate -s 3M src.raw && qemu-img convert -c -O qcow2 src.raw c.qcow2");
	ours(image_snapshot_create, "c.qcow2", "packed");
	check_clean("c.qcow2", false);
	must("qemu-io -c 'write -P 7 100k 1M' c.qcow2");
	ours(image_snapshot_create, "c.qcow2", "mixed");
	must("qemu-img convert -O raw c.qcow2 mixed.raw");
	ours(image_snapshot_apply, "c.qcow2", "packed");
	check_clean("c.qcow2", false);
	must("qemu-img compare -f raw -F qcow2 src.raw c.qcow2");
	ours(image_snapshot_delete, "c.qcow2", "packed");
	ours(image_snapshot_apply, "c.qcow2", "mixed");
	ours(image_snapshot_delete, "c.qcow2", "mixed");
	check_clean("c.qcow2", false);
	must("qemu-img compare -f raw -F qcow2 mixed.raw c.qcow2");
}

static void a_snapshot_keeps_its_disk_size(void)
{
	struct image_resize_opts o = { .path = test_path("r.qcow2"),
				       .format = "qcow2", .bytes = 700 << 20 };
	g_autoptr(GError) error = NULL;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 r.qcow2 2M"
	     " && qemu-io -c 'write -P 1 0 2M' r.qcow2");
	ours(image_snapshot_create, "r.qcow2", "small");
	g_assert_true(image_resize(&o, &error));
	check_clean("r.qcow2", false);
	must("qemu-io -c 'write -P 2 690M 1M' r.qcow2");
	must("qemu-img snapshot -c large r.qcow2");
	ours(image_snapshot_apply, "r.qcow2", "small");
	check_clean("r.qcow2", false);
	must("qemu-img info r.qcow2 | grep -q '(2097152 bytes)'"
	     " && qemu-io -r -c 'read -P 1 0 2M' r.qcow2 | tee log; ! grep -i fail log");
	ours(image_snapshot_apply, "r.qcow2", "large");
	must("qemu-img info r.qcow2 | grep -q '(734003200 bytes)'"
	     " && qemu-io -r -c 'read -P 2 690M 1M' -c 'read -P 0 300M 1M' r.qcow2"
	     " | tee log; ! grep -i fail log");
	o.bytes = 1 << 20;
	o.shrink = true;
	g_assert_true(image_resize(&o, &error));
	check_clean("r.qcow2", false);
	must("qemu-img snapshot -a large r.qcow2 && qemu-io -r -c 'read -P 2 690M 1M' r.qcow2"
	     " | tee log; ! grep -i fail log");
	check_clean("r.qcow2", false);
}

/* Version 2 has no place for it; a version 3 table of old may lack it, too. */
static void a_resize_needs_snapshots_that_say_their_size(void)
{
	struct image_resize_opts o = { .path = test_path("v.qcow2"),
				       .format = "qcow2", .bytes = 8 << 20 };
	g_autoptr(GError) error = NULL;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 -o compat=0.10 v.qcow2 4M"
	     " && qemu-img snapshot -c one v.qcow2");
	g_assert_false(image_resize(&o, &error));
	g_assert_nonnull(strstr(error->message, "compat=0.10"));
}

static void impossible_snapshots_are_refused(void)
{
	g_autofree char *longest = g_strnfill(256, 'x');

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 i.qcow2 1M");
	ours(image_snapshot_create, "i.qcow2", "2");
	ours(image_snapshot_create, "i.qcow2", "other");
	refused(image_snapshot_create, "i.qcow2", "other", "already");
	refused(image_snapshot_create, "i.qcow2", "", "1 to 255");
	refused(image_snapshot_create, "i.qcow2", longest, "1 to 255");
	refused(image_snapshot_create, "i.qcow2", "a\nb", "control");
	refused(image_snapshot_create, "i.qcow2", "\xff", "UTF-8");
	refused(image_snapshot_apply, "i.qcow2", "nobody", "has no snapshot 'nobody'");
	refused(image_snapshot_delete, "i.qcow2", "2", "may be any of 2");
	ours(image_snapshot_delete, "i.qcow2", "1");
	ours(image_snapshot_delete, "i.qcow2", "2");
	must("qemu-img snapshot -l i.qcow2 | wc -l | grep -qx 0");
	must("truncate -s 1M i.raw");
	refused(image_snapshot_create, "i.raw", "x", "raw");
}

/* When it fails, all is as it was. */
static void refcounts_that_cannot_count_so_far_are_named(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 -o refcount_bits=2 n.qcow2 1M"
	     " && qemu-io -c 'write -P 1 0 500k' n.qcow2");
	ours(image_snapshot_create, "n.qcow2", "a");
	ours(image_snapshot_create, "n.qcow2", "b");
	must("cp n.qcow2 before.qcow2");
	refused(image_snapshot_create, "n.qcow2", "c", "refcounts of 2 bits");
	must("qemu-img compare n.qcow2 before.qcow2 && qemu-img snapshot -l n.qcow2 > a"
	     " && qemu-img snapshot -l before.qcow2 | cmp - a");
	check_clean("n.qcow2", false);
	ours(image_snapshot_delete, "n.qcow2", "a");
	ours(image_snapshot_create, "n.qcow2", "c");
	check_clean("n.qcow2", false);
}

static void a_damaged_image_gets_no_snapshot(void)
{
	uint64_t counts;

	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 d.qcow2 1M"
	     " && qemu-io -c 'write 0 500k' d.qcow2");
	counts = peek_be64("d.qcow2", peek_be64("d.qcow2", 48));
	poke("d.qcow2", counts + 12, "\0\0", 2);
	refused(image_snapshot_create, "d.qcow2", "x", "damaged");
}

/* QEMU's entries have fields of their own behind ours. */
static void foreign_fields_are_kept(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 k.qcow2 1M"
	     " && qemu-img snapshot -c q k.qcow2"
	     " && qemu-img snapshot -l k.qcow2 | grep ' q ' > before");
	poke("k.qcow2", peek_be64("k.qcow2", 64) + 40 + 16, "\0\0\0\0\0\0\0\x2a", 8); /* icount */
	must("qemu-img snapshot -l k.qcow2 | grep ' q ' > with");
	must("! cmp -s before with");
	ours(image_snapshot_create, "k.qcow2", "ours");
	must("qemu-img snapshot -l k.qcow2 | grep ' q ' | cmp - with");
	ours(image_snapshot_delete, "k.qcow2", "ours");
	must("qemu-img snapshot -l k.qcow2 | grep ' q ' | cmp - with");
}

/* What is freed is used again: the file does not grow with each turn. */
static void the_file_does_not_grow_with_each_turn(void)
{
	if (!have_qemu())
		return;
	must("rm -f *.qcow2; qemu-img create -q -f qcow2 g.qcow2 64M"
	     " && qemu-io -c 'write 0 8M' g.qcow2");
	for (unsigned i = 0; i < 20; i++) {
		ours(image_snapshot_create, "g.qcow2", "turn");
		ours(image_snapshot_delete, "g.qcow2", "turn");
	}
	must("test $(stat -c %%s g.qcow2) -lt 10485760");
	check_clean("g.qcow2", false);
}

int main(int argc, char **argv)
{
	static const char *const kinds[] = {
		"cluster_size=64k",
		"cluster_size=512",
		"cluster_size=4k,lazy_refcounts=on",
		"cluster_size=16k,extended_l2=on",
		"compat=0.10,cluster_size=1k",
		"refcount_bits=8,cluster_size=2M",
		"refcount_bits=64,cluster_size=512",
		"preallocation=metadata",
	};
	int r;

	g_test_init(&argc, &argv, NULL);
	for (unsigned i = 0; i < G_N_ELEMENTS(kinds); i++) {
		g_autofree char *path = g_strdup_printf("/snapshot/history/%s", kinds[i]);

		g_test_add_data_func(path, kinds[i], random_histories_of_both_programs_agree);
	}
	g_test_add_func("/snapshot/compressed", compressed_clusters_are_shared);
	g_test_add_func("/snapshot/size", a_snapshot_keeps_its_disk_size);
	g_test_add_func("/snapshot/size-v2", a_resize_needs_snapshots_that_say_their_size);
	g_test_add_func("/snapshot/refused", impossible_snapshots_are_refused);
	g_test_add_func("/snapshot/refcount-bits", refcounts_that_cannot_count_so_far_are_named);
	g_test_add_func("/snapshot/damaged", a_damaged_image_gets_no_snapshot);
	g_test_add_func("/snapshot/foreign", foreign_fields_are_kept);
	g_test_add_func("/snapshot/growth", the_file_does_not_grow_with_each_turn);
	r = g_test_run();
	test_folder_remove();
	return r;
}
