/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* virtio-rng as its driver sees it. */
#include "config.h"
#include "libvmm/device/rng.h"

#include <glib.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <string.h>

#include "libvmm/device/virtio.h"
#include "virtio-driver.h"

static struct driver *rng_driver(uint64_t rate_bytes, unsigned period_ms)
{
	struct driver *d = driver_new(2);
	struct rng_opts opts = { .name = "rng0", .rate_bytes = rate_bytes,
				 .rate_period_ms = period_ms };

	driver_attach(d, rng_new(&opts, d->mem, NULL, NULL));
	g_assert_true(driver_init(d, 0, 16));
	return d;
}

static uint64_t ask(struct driver *d, uint32_t len)
{
	struct driver_buf buf = { driver_alloc(d, len), len, true };

	driver_add(d, 0, &buf, 1);
	return buf.gpa;
}

static void the_guest_gets_random_bytes(void)
{
	struct driver *d = rng_driver(0, 0);
	uint64_t gpa = ask(d, 64);
	uint32_t len, status;
	char zero[64] = "";

	g_assert_cmpuint(driver_read(d, VIRTIO_MMIO_DEVICE_ID), ==, VIRTIO_ID_RNG);
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, &len));
	g_assert_cmpuint(len, ==, 64);
	g_assert_cmpint(memcmp(driver_ptr(d, gpa), zero, 64), !=, 0);
	g_assert_cmpuint(driver_interrupts(d, &status), ==, 1);
	g_assert_cmpuint(status, ==, VIRTIO_MMIO_INT_VRING);
	driver_free(d);
}

static void a_huge_buffer_is_filled_in_part(void)
{
	struct driver *d = rng_driver(0, 0);
	uint32_t len;

	ask(d, 1 << 20);
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, &len));
	g_assert_cmpuint(len, ==, 4096);
	driver_free(d);
}

static void a_chain_without_a_writable_byte_comes_back_empty(void)
{
	struct driver *d = rng_driver(0, 0);
	struct driver_buf buf = { driver_alloc(d, 16), 16, false };
	uint32_t len;

	driver_add(d, 0, &buf, 1);
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, &len));
	g_assert_cmpuint(len, ==, 0);
	driver_free(d);
}

static void a_full_ring_is_served_by_one_kick(void)
{
	struct driver *d = rng_driver(0, 0);

	for (unsigned i = 0; i < 16; i++)
		ask(d, 4096);
	driver_kick(d, 0);
	for (unsigned i = 0; i < 16; i++)
		g_assert_true(driver_wait(d, 0, NULL, NULL));
	driver_free(d);
}

static void a_rate_limit_makes_the_guest_wait(void)
{
	struct driver *d = rng_driver(100, 50);
	gint64 start = g_get_monotonic_time();
	uint32_t len;
	unsigned got = 0;

	for (unsigned i = 0; i < 4; i++)
		ask(d, 64);
	driver_kick(d, 0);
	for (unsigned i = 0; i < 4; i++) {
		g_assert_true(driver_wait(d, 0, NULL, &len));
		got += len;
	}
	g_assert_cmpuint(got, <=, 200);
	g_assert_cmpint(g_get_monotonic_time() - start, >=, 45000);
	driver_free(d);
}

static void a_reset_does_not_lift_the_limit(void)
{
	struct driver *d = rng_driver(64, 60000);

	ask(d, 64);
	driver_kick(d, 0);
	g_assert_true(driver_wait(d, 0, NULL, NULL));
	g_assert_true(driver_init(d, 0, 16));
	ask(d, 64);
	driver_kick(d, 0);
	while (g_main_context_iteration(NULL, FALSE))
		;
	g_assert_false(driver_used(d, 0, NULL, NULL));
	driver_free(d);
}

#define TEST(f) g_test_add_func("/rng/" #f, f)

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	TEST(the_guest_gets_random_bytes);
	TEST(a_huge_buffer_is_filled_in_part);
	TEST(a_chain_without_a_writable_byte_comes_back_empty);
	TEST(a_full_ring_is_served_by_one_kick);
	TEST(a_rate_limit_makes_the_guest_wait);
	TEST(a_reset_does_not_lift_the_limit);
	return g_test_run();
}
