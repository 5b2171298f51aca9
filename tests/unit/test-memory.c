/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Guest RAM: where it is, what is not RAM, and giving it back. */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "libvmm/kvm/memory-save.h"
#include "libvmm/util/cleanup.h"
#include "libvmm/util/error.h"

#define MIB  (UINT64_C(1) << 20)
#define GIB  (UINT64_C(1) << 30)
#define HUGE (2 * MIB)

static struct guest_memory *memory_of(uint64_t bytes)
{
	struct guest_memory_opts opts = { .bytes = bytes, .name = "test" };
	g_autoptr(GError) error = NULL;
	struct guest_memory *mem = guest_memory_new(&opts, &error);

	g_assert_no_error(error);
	return mem;
}

static void memory_above_3_gib_goes_on_at_4_gib(void)
{
	static const struct {
		uint64_t bytes, low, high;
	} cases[] = {
		{ 128 * MIB, 128 * MIB, 0 },	 { 3 * GIB, 3 * GIB, 0 },
		{ 3 * GIB + MIB, 3 * GIB, MIB }, { 4 * GIB, 3 * GIB, GIB },
		{ 6 * GIB, 3 * GIB, 3 * GIB },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(guest_memory) mem = memory_of(cases[i].bytes);
		unsigned n = 0;
		const struct guest_region *r = guest_memory_regions(mem, &n);

		g_assert_cmpuint(n, ==, cases[i].high ? 2 : 1);
		g_assert_cmpuint(r[0].gpa, ==, 0);
		g_assert_cmpuint(r[0].bytes, ==, cases[i].low);
		g_assert_cmpuint(guest_memory_bytes(mem), ==, cases[i].bytes);
		if (n > 1) {
			g_assert_cmpuint(r[1].gpa, ==, 4 * GIB);
			g_assert_cmpuint(r[1].bytes, ==, cases[i].high);
		}
	}
}

static void host_and_guest_addresses_agree_within_huge_pages(void)
{
	for (unsigned i = 0; i < 8; i++) {
		g_autoptr(guest_memory) mem = memory_of(3 * GIB + (1 + i) * MIB);
		unsigned n = 0;
		const struct guest_region *r = guest_memory_regions(mem, &n);

		for (unsigned k = 0; k < n; k++)
			g_assert_cmpuint((uintptr_t)r[k].hva % HUGE, ==, r[k].gpa % HUGE);
	}
}

static void a_pointer_is_given_for_ram_only(void)
{
	g_autoptr(guest_memory) mem = memory_of(4 * GIB);

	g_assert_nonnull(guest_ptr(mem, 0, 1));
	g_assert_nonnull(guest_ptr(mem, 0, 3 * GIB));
	g_assert_nonnull(guest_ptr(mem, 3 * GIB - 1, 1));
	g_assert_null(guest_ptr(mem, 3 * GIB - 1, 2));
	g_assert_null(guest_ptr(mem, 3 * GIB, 1));
	g_assert_null(guest_ptr(mem, 4 * GIB - 1, 1));
	g_assert_nonnull(guest_ptr(mem, 4 * GIB, GIB));
	g_assert_null(guest_ptr(mem, 4 * GIB, GIB + 1));
	g_assert_null(guest_ptr(mem, 5 * GIB, 0));
	g_assert_null(guest_ptr(mem, UINT64_MAX, 2));
	g_assert_null(guest_ptr(mem, 16, UINT64_MAX));
	g_assert_null(guest_ptr(mem, 4096, UINT64_MAX - 4095));
}

static void discarded_memory_reads_as_zeroes(void)
{
	g_autoptr(guest_memory) mem = memory_of(16 * MIB);
	uint8_t *p = guest_ptr(mem, MIB, 8192);

	memset(p, 0xaa, 8192);
	g_assert_cmpint(guest_memory_discard(mem, MIB + 4096, 4096), ==, 0);
	g_assert_cmpuint(p[4095], ==, 0xaa);
	g_assert_cmpuint(p[4096], ==, 0);
	g_assert_cmpuint(p[8191], ==, 0);
	g_assert_cmpint(guest_memory_clear(mem), ==, 0);
	g_assert_cmpuint(p[0], ==, 0);
}

static void only_whole_pages_of_ram_are_discarded(void)
{
	g_autoptr(guest_memory) mem = memory_of(16 * MIB);

	g_assert_cmpint(guest_memory_discard(mem, 1, 4096), ==, -EINVAL);
	g_assert_cmpint(guest_memory_discard(mem, 0, 100), ==, -EINVAL);
	g_assert_cmpint(guest_memory_discard(mem, 16 * MIB, 4096), ==, -EINVAL);
	g_assert_cmpint(guest_memory_discard(mem, 0, 17 * MIB), ==, -EINVAL);
	g_assert_cmpint(guest_memory_discard(mem, UINT64_MAX - 4095, 8192), ==, -EINVAL);
}

static void impossible_sizes_are_refused(void)
{
	const struct guest_memory_opts cases[] = {
		{ .bytes = 0 },
		{ .bytes = 4097 },
		{ .bytes = UINT64_MAX & ~UINT64_C(4095) },
		{ .bytes = 3 * MIB, .hugetlb = true },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
		g_autoptr(GError) error = NULL;

		g_assert_null(guest_memory_new(&cases[i], &error));
		g_assert_nonnull(error);
	}
}

static void huge_pages_come_from_the_pool_or_not_at_all(void)
{
	struct guest_memory_opts opts = { .bytes = 1024 * GIB, .hugetlb = true, .name = "test" };
	g_autoptr(GError) error = NULL;

	g_assert_null(guest_memory_new(&opts, &error));
	g_assert_nonnull(strstr(error->message, "huge"));
}

/* --- saved --- */

#define SAVED_BYTES (5 * MEMORY_BLOCK_BYTES + 4096)

/* In each block something else: nothing, one byte a page, what can't be packed, what can. */
static void fill(struct guest_memory *mem, unsigned step)
{
	uint8_t *p = guest_ptr(mem, 0, SAVED_BYTES);
	GRand *rand = g_rand_new_with_seed(step + 1);

	for (uint64_t off = 0; off < SAVED_BYTES; off += 4096) {
		unsigned kind = (unsigned)(off / MEMORY_BLOCK_BYTES + step) % 4;

		memset(p + off, 0, 4096);
		if (kind == 1)
			p[off + 17] = (uint8_t)(off >> 12 | 1);
		for (unsigned i = 0; kind >= 2 && i < 4096; i++)
			p[off + i] = (uint8_t)g_rand_int_range(rand, 0, kind == 2 ? 256 : 4);
	}
	g_rand_free(rand);
}

static void restore(struct guest_memory *mem, int fd, const struct memory_saver *saver, bool packed)
{
	g_autoptr(state_file) s = state_file_new();
	g_autoptr(GError) error = NULL;
	struct state_out out;
	struct state_in in;

	if (packed) {
		state_begin(&out, s, "memory", 1);
		memory_saver_put(saver, &out);
		state_end(&out);
		g_assert_true(state_find(s, "memory", 1, &in, NULL));
		memory_packed_restore(mem, fd, HUGE, &in, &error);
	} else {
		guest_memory_restore(mem, fd, HUGE, &error);
	}
	g_assert_no_error(error);
}

static void what_the_last_pass_found_is_restored(void)
{
	for (enum memory_format format = 0; format < N_MEMORY_FORMATS; format++) {
		g_autoptr(guest_memory) mem = memory_of(SAVED_BYTES);
		g_autoptr(guest_memory) copy = memory_of(SAVED_BYTES);
		auto_close int fd = memfd_create("saved", MFD_CLOEXEC);
		g_autoptr(GError) error = NULL;
		uint64_t left = 0;
		int cancel = 0;
		struct memory_saver *saver = memory_saver_new(&(struct memory_saver_opts){
			mem, fd, HUGE, format, &cancel, &left });

		for (unsigned step = 0; step < 4; step++) {
			fill(mem, step);
			memory_saver_pass(saver, NULL, &error);
			g_assert_no_error(error);
		}
		restore(copy, fd, saver, format == MEMORY_ZSTD);
		g_assert_cmpmem(guest_ptr(copy, 0, SAVED_BYTES), SAVED_BYTES,
				guest_ptr(mem, 0, SAVED_BYTES), SAVED_BYTES);
		cancel = 1;
		g_assert_false(memory_saver_pass(saver, NULL, &error));
		g_assert_error(error, VMM_ERROR, VMM_ERR_ABORTED);
		memory_saver_free(saver);
	}
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/memory/memory_above_3_gib_goes_on_at_4_gib",
			memory_above_3_gib_goes_on_at_4_gib);
	g_test_add_func("/memory/host_and_guest_addresses_agree_within_huge_pages",
			host_and_guest_addresses_agree_within_huge_pages);
	g_test_add_func("/memory/a_pointer_is_given_for_ram_only", a_pointer_is_given_for_ram_only);
	g_test_add_func("/memory/discarded_memory_reads_as_zeroes",
			discarded_memory_reads_as_zeroes);
	g_test_add_func("/memory/only_whole_pages_of_ram_are_discarded",
			only_whole_pages_of_ram_are_discarded);
	g_test_add_func("/memory/impossible_sizes_are_refused", impossible_sizes_are_refused);
	g_test_add_func("/memory/huge_pages_come_from_the_pool_or_not_at_all",
			huge_pages_come_from_the_pool_or_not_at_all);
	g_test_add_func("/memory/what_the_last_pass_found_is_restored",
			what_the_last_pass_found_is_restored);
	return g_test_run();
}
