/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who answers an access. */
#include "config.h"

#include <string.h>

#include "libvmm/kvm/bus.h"

static void note_read(void *dev, uint64_t off, void *data, unsigned len)
{
	g_string_append_printf(dev, "r%u/%u ", (unsigned)off, len);
	memset(data, (int)off, len);
}

static void note_write(void *dev, uint64_t off, const void *data, unsigned len)
{
	g_string_append_printf(dev, "w%u/%u ", (unsigned)off, len);
}

static const struct bus_ops ops = { note_read, note_write };

struct fixture {
	struct bus *bus;
	GString *a, *b;
};

/* a at 0x100-0x10f, b right after it at 0x110-0x117 */
static struct fixture fixture_new(void)
{
	struct fixture f = { bus_new("test"), g_string_new(NULL), g_string_new(NULL) };

	g_assert_true(bus_add(f.bus, 0x110, 8, "b", &ops, f.b, NULL));
	g_assert_true(bus_add(f.bus, 0x100, 16, "a", &ops, f.a, NULL));
	return f;
}

static void fixture_free(struct fixture *f)
{
	bus_free(f->bus);
	g_string_free(f->a, TRUE);
	g_string_free(f->b, TRUE);
}

static void an_access_reaches_the_device_whose_range_it_is(void)
{
	struct fixture f = fixture_new();
	uint32_t value = 0;

	g_assert_true(bus_read(f.bus, 0x104, &value, 4));
	g_assert_cmphex(value, ==, 0x04040404);
	g_assert_true(bus_write(f.bus, 0x117, &value, 1));
	g_assert_cmpstr(f.a->str, ==, "r4/4 ");
	g_assert_cmpstr(f.b->str, ==, "w7/1 ");
	fixture_free(&f);
}

static void nobody_there_reads_as_ones(void)
{
	struct fixture f = fixture_new();
	uint64_t value = 0;

	g_assert_false(bus_read(f.bus, 0xff, &value, 1));
	g_assert_cmphex(value, ==, 0xff);
	g_assert_false(bus_read(f.bus, 0x118, &value, 8));
	g_assert_cmphex(value, ==, UINT64_MAX);
	g_assert_false(bus_read(f.bus, UINT64_MAX, &value, 8));
	g_assert_false(bus_write(f.bus, 0, &value, 8));
	g_assert_false(bus_write(f.bus, 0x100, &value, 0));
	fixture_free(&f);
}

static void an_access_over_the_end_of_a_range_reaches_nobody(void)
{
	struct fixture f = fixture_new();
	uint32_t value = 0;

	g_assert_false(bus_read(f.bus, 0x10e, &value, 4));
	g_assert_false(bus_write(f.bus, 0x116, &value, 4));
	g_assert_cmpstr(f.a->str, ==, "");
	g_assert_cmpstr(f.b->str, ==, "");
	fixture_free(&f);
}

static void odd_lengths_come_in_pieces(void)
{
	struct fixture f = fixture_new();
	uint8_t data[8] = { 0 };

	g_assert_true(bus_write(f.bus, 0x101, data, 7));
	g_assert_true(bus_read(f.bus, 0x108, data, 3));
	g_assert_cmpstr(f.a->str, ==, "w1/4 w5/2 w7/1 r8/2 r10/1 ");
	fixture_free(&f);
}

static void overlaps_are_refused_and_both_named(void)
{
	struct fixture f = fixture_new();
	g_autoptr(GError) error = NULL;

	g_assert_false(bus_add(f.bus, 0x10f, 1, "late", &ops, NULL, &error));
	g_assert_nonnull(strstr(error->message, "late"));
	g_assert_nonnull(strstr(error->message, " a at"));
	g_assert_false(bus_add(f.bus, 0xf0, 17, "early", &ops, NULL, NULL));
	g_assert_false(bus_add(f.bus, 0, UINT64_MAX, "all", &ops, NULL, NULL));
	g_assert_false(bus_add(f.bus, 0x200, 0, "none", &ops, NULL, NULL));
	g_assert_false(bus_add(f.bus, UINT64_MAX, 2, "wraps", &ops, NULL, NULL));
	g_assert_true(bus_add(f.bus, UINT64_MAX, 1, "last", &ops, f.a, NULL));
	g_assert_true(bus_add(f.bus, 0, 0x100, "first", &ops, f.a, NULL));
	fixture_free(&f);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/bus/an_access_reaches_the_device_whose_range_it_is",
			an_access_reaches_the_device_whose_range_it_is);
	g_test_add_func("/bus/nobody_there_reads_as_ones", nobody_there_reads_as_ones);
	g_test_add_func("/bus/an_access_over_the_end_of_a_range_reaches_nobody",
			an_access_over_the_end_of_a_range_reaches_nobody);
	g_test_add_func("/bus/odd_lengths_come_in_pieces", odd_lengths_come_in_pieces);
	g_test_add_func("/bus/overlaps_are_refused_and_both_named",
			overlaps_are_refused_and_both_named);
	return g_test_run();
}
