/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Limits, by a clock of our own: who may begin when. */
#include "config.h"
#include "libvmm/device/throttle.h"

#include <stdbool.h>

#include "libvmm/util/cleanup.h"

#define SECOND INT64_C(1000000)
#define KIB 1024

enum { ALL_BYTES, READ_BYTES, WRITE_BYTES, ALL_OPS };

typedef struct throttle throttle;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(throttle, throttle_unref)

/* Someone who always has a next request. */
struct asker {
	enum throttle_line line;
	uint64_t bytes;
	int64_t begin_us;
	unsigned done;
};

static throttle *limit_of(unsigned which, uint64_t rate, uint64_t burst, uint64_t burst_s)
{
	struct blk_limits l = { 0 };

	l.limits[which] = (struct blk_limit){ rate, burst, burst_s };
	return throttle_new(&l, 0);
}

/* They ask whenever theirs has begun, until the time. */
static void run(throttle *t, struct asker *askers, unsigned n, int64_t from_us, int64_t to_us)
{
	for (unsigned i = 0; i < n; i++)
		askers[i].begin_us = throttle_take(t, askers[i].line, askers[i].bytes, from_us);
	while (true) {
		struct asker *next = &askers[0];

		for (unsigned i = 1; i < n; i++)
			if (askers[i].begin_us < next->begin_us)
				next = &askers[i];
		if (next->begin_us > to_us)
			return;
		next->done++;
		next->begin_us = throttle_take(t, next->line, next->bytes, next->begin_us);
	}
}

static void no_limit_needs_no_throttle(void)
{
	g_assert_null(throttle_new(&(struct blk_limits){ .op_bytes = 4096 }, 0));
	throttle_unref(NULL);
}

static void one_alone_gets_all_of_it(void)
{
	g_autoptr(throttle) t = limit_of(ALL_BYTES, 1024 * KIB, 0, 0);
	struct asker one[] = { { THROTTLE_WRITES, 4 * KIB } };

	run(t, one, 1, 0, 10 * SECOND);
	g_assert_cmpuint(one[0].done, >=, 2560);
	g_assert_cmpuint(one[0].done, <=, 2560 + 26 + 1);	/* and what the bucket held */
}

static void two_together_stay_within_it_and_have_equal_parts(void)
{
	g_autoptr(throttle) t = limit_of(ALL_BYTES, 1024 * KIB, 0, 0);
	struct asker two[] = { { THROTTLE_WRITES, 4 * KIB }, { THROTTLE_WRITES, 4 * KIB } };

	run(t, two, 2, 0, 10 * SECOND);
	g_assert_cmpuint(two[0].done + two[1].done, >=, 2560);
	g_assert_cmpuint(two[0].done + two[1].done, <=, 2560 + 26 + 1);
	g_assert_cmpuint(ABS((int)two[0].done - (int)two[1].done), <=, 26);
}

static void reads_do_not_keep_writes_out_of_a_total(void)
{
	g_autoptr(throttle) t = limit_of(ALL_OPS, 100, 0, 0);
	struct asker two[] = { { THROTTLE_READS, 4 * KIB }, { THROTTLE_WRITES, 4 * KIB } };

	run(t, two, 2, 0, 10 * SECOND);
	g_assert_cmpuint(two[0].done, >=, 490);
	g_assert_cmpuint(two[1].done, >=, 490);
}

static void a_limit_of_writes_leaves_reads_alone(void)
{
	g_autoptr(throttle) t = limit_of(WRITE_BYTES, 1, 0, 0);

	for (unsigned i = 0; i < 10; i++)
		throttle_take(t, THROTTLE_WRITES, 4 * KIB, 0);
	for (unsigned i = 0; i < 100; i++)
		g_assert_cmpint(throttle_take(t, THROTTLE_READS, 1024 * KIB, 0), ==, 0);
}

static void a_burst_is_for_all_of_them_and_comes_back(void)
{
	g_autoptr(throttle) t = limit_of(ALL_OPS, 10, 100, 3);
	struct asker two[] = { { THROTTLE_READS, 512 }, { THROTTLE_READS, 512 } };

	run(t, two, 2, 0, 3 * SECOND);
	g_assert_cmpuint(two[0].done + two[1].done, >=, 295);
	g_assert_cmpuint(two[0].done + two[1].done, <=, 335);
	two[0].done = two[1].done = 0;
	run(t, two, 2, 60 * SECOND, 63 * SECOND);
	g_assert_cmpuint(two[0].done + two[1].done, >=, 295);
}

static void a_large_request_waits_for_nobody_but_others_for_it(void)
{
	g_autoptr(throttle) t = limit_of(ALL_BYTES, 1024 * KIB, 0, 0);

	g_assert_cmpint(throttle_take(t, THROTTLE_WRITES, 10240 * KIB, 0), ==, 0);
	g_assert_cmpint(throttle_take(t, THROTTLE_WRITES, 1, 0), >=, 9 * SECOND);
}

static void what_does_not_begin_is_given_back(void)
{
	g_autoptr(throttle) t = limit_of(ALL_BYTES, 1024 * KIB, 0, 0);

	throttle_take(t, THROTTLE_WRITES, 512 * KIB, 0);
	g_assert_cmpint(throttle_take(t, THROTTLE_WRITES, 10240 * KIB, 0), >, 0);
	throttle_put_back(t, THROTTLE_WRITES, 10240 * KIB);
	g_assert_cmpint(throttle_take(t, THROTTLE_WRITES, 1, SECOND), ==, SECOND);
	throttle_put_back(t, THROTTLE_WRITES, 10240 * KIB);	/* no credit comes of it */
	throttle_take(t, THROTTLE_WRITES, 1024 * KIB, SECOND);
	g_assert_cmpint(throttle_take(t, THROTTLE_WRITES, 1, SECOND), >, SECOND);
}

#define TAKES 20000

static void *take_many(void *opaque)
{
	int64_t last = 0;

	for (unsigned i = 0; i < TAKES; i++)
		last = throttle_take(opaque, i % 2, KIB, 0);
	return GSIZE_TO_POINTER(last);
}

static void threads_may_ask_at_once(void)
{
	g_autoptr(throttle) t = limit_of(ALL_OPS, 1000, 0, 0);
	GThread *other = g_thread_new("other", take_many, throttle_ref(t));
	int64_t a = GPOINTER_TO_SIZE(take_many(t)), b = GPOINTER_TO_SIZE(g_thread_join(other));

	throttle_unref(t);
	/* None was lost: the last of them all waits for the others. */
	g_assert_cmpint(MAX(a, b), >=, (2 * TAKES - 1 - 100) * SECOND / 1000);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/throttle/none", no_limit_needs_no_throttle);
	g_test_add_func("/throttle/alone", one_alone_gets_all_of_it);
	g_test_add_func("/throttle/shared", two_together_stay_within_it_and_have_equal_parts);
	g_test_add_func("/throttle/lines", reads_do_not_keep_writes_out_of_a_total);
	g_test_add_func("/throttle/kinds", a_limit_of_writes_leaves_reads_alone);
	g_test_add_func("/throttle/burst", a_burst_is_for_all_of_them_and_comes_back);
	g_test_add_func("/throttle/large", a_large_request_waits_for_nobody_but_others_for_it);
	g_test_add_func("/throttle/back", what_does_not_begin_is_given_back);
	g_test_add_func("/throttle/threads", threads_may_ask_at_once);
	return g_test_run();
}
