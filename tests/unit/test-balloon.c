/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-balloon as its driver sees it. */
#include "config.h"
#include "libvmm/device/balloon.h"

#include <glib.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "libvmm/device/virtio-mmio.h"
#include "libvmm/device/virtio.h"
#include "virtio-driver.h"

#define RAM_MIB 4
#define RAM_KIB (RAM_MIB * 1024)
#define ACTUAL_OFF (VIRTIO_MMIO_CONFIG + offsetof(struct virtio_balloon_config, actual))
#define PFN 0x200	/* pages from 2 MiB on are the tests' */

enum { INFLATE, DEFLATE, STATS, REPORTING };

struct balloon {
	struct driver *d;
	struct virtio_device *dev;
	uint64_t told_kib;
};

typedef struct balloon balloon;

static void on_change(void *opaque, uint64_t kib)
{
	((struct balloon *)opaque)->told_kib = kib;
}

static struct balloon *balloon_with(struct balloon_opts opts)
{
	struct balloon *b = g_new0(struct balloon, 1);

	opts.name = "balloon0";
	opts.on_change = on_change;
	opts.opaque = b;
	b->d = driver_new(RAM_MIB);
	b->dev = balloon_new(&opts, b->d->mem, NULL, NULL);
	driver_attach(b->d, b->dev);
	g_assert_true(driver_init(b->d, UINT64_MAX, 16));
	return b;
}

static void balloon_end(struct balloon *b)
{
	driver_free(b->d);
	g_free(b);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(balloon, balloon_end)

static void run_loop(void)
{
	while (g_main_context_iteration(NULL, FALSE))
		;
}

static void pages_add(struct balloon *b, unsigned queue, const uint32_t *pfns, unsigned n)
{
	struct driver_buf buf = { driver_alloc(b->d, 4 * n), 4 * n, false };

	memcpy(driver_ptr(b->d, buf.gpa), pfns, 4 * n);
	driver_add(b->d, queue, &buf, 1);
	driver_kick(b->d, queue);
}

static uint8_t *page(struct balloon *b, uint32_t pfn)
{
	return guest_ptr(b->d->mem, (uint64_t)pfn << 12, 4096);
}

static void pages_dirty(struct balloon *b, uint32_t pfn, unsigned n)
{
	memset(guest_ptr(b->d->mem, (uint64_t)pfn << 12, (uint64_t)n << 12), 0xaa, (size_t)n << 12);
}

static void inflated_pages_go_back_to_the_host(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	static const uint32_t pfns[] = { PFN + 3, PFN + 1, PFN + 2, PFN + 7, PFN + 1 };

	pages_dirty(b, PFN, 9);
	pages_add(b, INFLATE, pfns, G_N_ELEMENTS(pfns));
	g_assert_true(driver_wait(b->d, INFLATE, NULL, NULL));
	for (unsigned i = 0; i < 9; i++)
		g_assert_cmphex(*page(b, PFN + i), ==, (i >= 1 && i <= 3) || i == 7 ? 0 : 0xaa);
	pages_add(b, DEFLATE, pfns, G_N_ELEMENTS(pfns));
	g_assert_true(driver_wait(b->d, DEFLATE, NULL, NULL));
}

static void a_page_outside_of_memory_breaks_it(void)
{
	static const uint32_t bad[] = { RAM_KIB / 4, UINT32_MAX, 0xfffff, 0x100000 };

	for (unsigned i = 0; i < G_N_ELEMENTS(bad); i++) {
		g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });

		pages_add(b, INFLATE, &bad[i], 1);
		run_loop();
		g_assert_true(virtio_is_broken(b->dev));
	}
}

static void a_huge_list_of_pages_breaks_it(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	struct driver_buf buf = { 2 << 20, 1 << 20, false };	/* page 0, 2^18 times */

	driver_add(b->d, INFLATE, &buf, 1);
	driver_kick(b->d, INFLATE);
	run_loop();
	g_assert_true(virtio_is_broken(b->dev));
}

static void the_driver_learns_its_target(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ .target_kib = RAM_KIB - 400 });
	uint32_t pages, status;

	driver_config(b->d, 0, &pages, 4);
	g_assert_cmpuint(pages, ==, 100);
	g_assert_cmpuint(balloon_set_target(b->dev, RAM_KIB - 800), ==, RAM_KIB - 800);
	g_assert_cmpuint(driver_interrupts(b->d, &status), ==, 1);
	g_assert_cmpuint(status, ==, VIRTIO_MMIO_INT_CONFIG);
	driver_config(b->d, 0, &pages, 4);
	g_assert_cmpuint(pages, ==, 200);
	g_assert_cmpuint(balloon_set_target(b->dev, UINT64_MAX), ==, RAM_KIB);
	g_assert_cmpuint(balloon_target_kib(b->dev), ==, RAM_KIB);
	g_assert_cmpuint(balloon_set_target(b->dev, 0), ==, 0);
}

static void actual_write(struct balloon *b, uint32_t pages)
{
	virtio_mmio_bus_ops.write(b->d->mmio, ACTUAL_OFF, &pages, 4);
}

static void the_host_learns_what_the_guest_has(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	uint32_t actual;

	g_assert_cmpuint(balloon_actual_kib(b->dev), ==, RAM_KIB);
	actual_write(b, 25);
	g_assert_cmpuint(balloon_actual_kib(b->dev), ==, RAM_KIB - 100);
	g_assert_cmpuint(b->told_kib, ==, RAM_KIB - 100);
	driver_config(b->d, 4, &actual, 4);
	g_assert_cmpuint(actual, ==, 25);
	actual_write(b, UINT32_MAX);
	g_assert_cmpuint(balloon_actual_kib(b->dev), ==, 0);
	driver_reset(b->d);
	g_assert_cmpuint(balloon_actual_kib(b->dev), ==, RAM_KIB);
	g_assert_cmpuint(b->told_kib, ==, RAM_KIB);
}

static void the_driver_cannot_write_its_target(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ .target_kib = RAM_KIB - 400 });
	uint64_t nonsense = UINT64_MAX;
	uint32_t pages;

	virtio_mmio_bus_ops.write(b->d->mmio, VIRTIO_MMIO_CONFIG, &nonsense, 8);
	virtio_mmio_bus_ops.write(b->d->mmio, VIRTIO_MMIO_CONFIG, &nonsense, 4);
	virtio_mmio_bus_ops.write(b->d->mmio, VIRTIO_MMIO_CONFIG + 2, &nonsense, 4);
	driver_config(b->d, 0, &pages, 4);
	g_assert_cmpuint(pages, ==, 100);
	g_assert_cmpuint(balloon_actual_kib(b->dev), ==, RAM_KIB);
}

static void stats_add(struct balloon *b, const struct virtio_balloon_stat *s, unsigned n)
{
	struct driver_buf buf = { driver_alloc(b->d, n * sizeof(*s)), n * sizeof(*s), false };

	memcpy(driver_ptr(b->d, buf.gpa), s, n * sizeof(*s));
	driver_add(b->d, STATS, &buf, 1);
	driver_kick(b->d, STATS);
	run_loop();
}

static uint64_t stat_of(struct balloon *b, int tag)
{
	struct balloon_stat s[BALLOON_N_TAGS];
	unsigned n = balloon_stats(b->dev, s);

	for (unsigned i = 0; i < n; i++)
		if (s[i].tag == tag)
			return s[i].value;
	return UINT64_MAX;
}

static void statistics_are_kept_in_kib(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	static const struct virtio_balloon_stat s[] = {
		{ VIRTIO_BALLOON_S_MEMFREE, 3 << 20 }, { VIRTIO_BALLOON_S_MAJFLT, 77 },
		{ VIRTIO_BALLOON_S_CACHES, UINT64_MAX }, { 9999, 1 },
	};

	g_assert_cmpuint(stat_of(b, BALLOON_LAST_UPDATE), ==, UINT64_MAX);
	stats_add(b, s, G_N_ELEMENTS(s));
	g_assert_cmpuint(stat_of(b, BALLOON_UNUSED), ==, 3072);
	g_assert_cmpuint(stat_of(b, BALLOON_MAJOR_FAULT), ==, 77);
	g_assert_cmpuint(stat_of(b, BALLOON_DISK_CACHES), ==, UINT64_MAX);
	g_assert_cmpuint(stat_of(b, BALLOON_ACTUAL), ==, RAM_KIB);
	g_assert_cmpuint(stat_of(b, BALLOON_LAST_UPDATE), !=, UINT64_MAX);
	g_assert_false(driver_used(b->d, STATS, NULL, NULL));	/* held until the period is over */
}

static gboolean on_time(void *over)
{
	*(bool *)over = true;
	return G_SOURCE_REMOVE;
}

static void the_period_asks_for_fresh_statistics(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	static const struct virtio_balloon_stat s = { VIRTIO_BALLOON_S_MEMFREE, 1 << 20 };
	bool over = false;

	stats_add(b, &s, 1);
	balloon_set_stats_period(b->dev, 1);
	g_assert_true(driver_wait(b->d, STATS, NULL, NULL));
	/* A driver that does not answer has no buffer to get back. */
	g_timeout_add(1500, on_time, &over);
	while (!over)
		g_main_context_iteration(NULL, TRUE);
	g_assert_false(driver_used(b->d, STATS, NULL, NULL));
	g_assert_false(virtio_is_broken(b->dev));
}

static void a_second_statistics_buffer_frees_the_first(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ 0 });
	static const struct virtio_balloon_stat s = { VIRTIO_BALLOON_S_MEMFREE, 1 << 20 };
	uint16_t head = UINT16_MAX;

	stats_add(b, &s, 1);
	stats_add(b, &s, 1);
	g_assert_true(driver_used(b->d, STATS, &head, NULL));
	g_assert_cmpuint(head, ==, 0);
	g_assert_false(driver_used(b->d, STATS, NULL, NULL));
}

/* Linux numbers the queue 3, the text of 5.5.2 says 4. */
static void reported_pages_go_back_to_the_host(void)
{
	for (unsigned queue = REPORTING; queue <= REPORTING + 1; queue++) {
		g_autoptr(balloon) b = balloon_with((struct balloon_opts){
			.free_page_reporting = true });
		struct driver_buf bufs[] = { { PFN << 12, 8192, true },
					     { ((PFN + 4) << 12) + 100, 8192, true } };

		pages_dirty(b, PFN, 8);
		driver_add(b->d, queue, bufs, 2);
		driver_kick(b->d, queue);
		g_assert_true(driver_wait(b->d, queue, NULL, NULL));
		g_assert_cmphex(*page(b, PFN + 1), ==, 0);
		g_assert_cmphex(*page(b, PFN + 2), ==, 0xaa);
		g_assert_cmphex(*page(b, PFN + 4), ==, 0xaa);	/* not the whole of it */
		g_assert_cmphex(*page(b, PFN + 5), ==, 0);
		g_assert_cmphex(page(b, PFN + 6)[99], ==, 0xaa);
	}
}

static void features_are_offered_as_asked(void)
{
	g_autoptr(balloon) b = balloon_with((struct balloon_opts){ .deflate_on_oom = true });

	g_assert_true(virtio_has(b->dev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM));
	g_assert_false(virtio_has(b->dev, VIRTIO_BALLOON_F_REPORTING));
	g_assert_true(virtio_has(b->dev, VIRTIO_BALLOON_F_STATS_VQ));
}

#define TEST(f) g_test_add_func("/balloon/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(inflated_pages_go_back_to_the_host);
	TEST(a_page_outside_of_memory_breaks_it);
	TEST(a_huge_list_of_pages_breaks_it);
	TEST(the_driver_learns_its_target);
	TEST(the_host_learns_what_the_guest_has);
	TEST(the_driver_cannot_write_its_target);
	TEST(statistics_are_kept_in_kib);
	TEST(the_period_asks_for_fresh_statistics);
	TEST(a_second_statistics_buffer_frees_the_first);
	TEST(reported_pages_go_back_to_the_host);
	TEST(features_are_offered_as_asked);
	return g_test_run();
}
