/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The probe guest comes to an end and a verdict on every KVM. */
#include "config.h"

#include <fcntl.h>

#include "libvmm/kvm/probe.h"

static void every_test_gets_a_verdict_in_time(void)
{
	static const char *const words[] = { "pass", "FAIL", "skip" };
	gint64 since = g_get_monotonic_time();
	g_autoptr(GError) error = NULL;
	bool all = true;
	struct probe probe;

	if (!probe_run(-1, &probe, &error)) {
		g_test_skip(error->message);
		return;
	}
	for (unsigned i = 0; i < N_PROBE; i++) {
		const struct probe_result *t = &probe.tests[i];

		g_test_message("%-12s %s %s", t->name, words[t->verdict], t->detail);
		g_assert_true(t->verdict == PROBE_PASS || t->detail[0]);
		all &= t->verdict != PROBE_FAIL;
	}
	g_assert_cmpint(all, ==, probe.runs_linux);
	g_assert_cmpint(g_get_monotonic_time() - since, <, 120 * G_USEC_PER_SEC);
}

static void a_file_that_is_no_kvm_is_refused(void)
{
	g_autoptr(GError) error = NULL;
	struct probe probe;

	g_assert_false(probe_run(open("/dev/null", O_RDWR), &probe, &error));
	g_assert_nonnull(error);
	g_assert_nonnull(g_strrstr(error->message, "/dev/kvm"));
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/probe/every_test_gets_a_verdict_in_time",
			every_test_gets_a_verdict_in_time);
	g_test_add_func("/probe/a_file_that_is_no_kvm_is_refused",
			a_file_that_is_no_kvm_is_refused);
	return g_test_run();
}
