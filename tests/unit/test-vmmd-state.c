/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of domain states, and what clients are told of each. */
#include "config.h"

#include <glib.h>

#include "libvmm/rpc/worker.h"
#include "vmmd/state.h"

static enum domain_state after(enum domain_state state, const enum domain_event *events, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		state = state_next(state, events[i]);
		g_assert_cmpint(state, !=, 0);
	}
	return state;
}

#define AFTER(state, ...) \
	after(state, (const enum domain_event[]){ __VA_ARGS__ }, \
	      sizeof((const enum domain_event[]){ __VA_ARGS__ }) / sizeof(enum domain_event))

static void a_life_from_start_to_power_off_is_allowed(void)
{
	g_assert_cmpint(AFTER(DOMAIN_OFF, EV_START, EV_RUNS, EV_READY), ==, DOMAIN_RUNNING);
	g_assert_cmpint(AFTER(DOMAIN_RUNNING, EV_SUSPEND, EV_STANDS), ==, DOMAIN_PAUSED);
	g_assert_cmpint(AFTER(DOMAIN_PAUSED, EV_RESUME, EV_RUNS), ==, DOMAIN_RUNNING);
	g_assert_cmpint(AFTER(DOMAIN_RUNNING, EV_SHUTDOWN, EV_GONE), ==, DOMAIN_OFF);
	g_assert_cmpint(AFTER(DOMAIN_RUNNING, EV_SHUTDOWN, EV_IGNORED), ==, DOMAIN_RUNNING);
	g_assert_cmpint(AFTER(DOMAIN_OFF, EV_START, EV_READY_PAUSED), ==, DOMAIN_PAUSED);
	g_assert_cmpint(AFTER(DOMAIN_RUNNING, EV_CRASHED, EV_RESET, EV_RUNS), ==, DOMAIN_RUNNING);
	g_assert_cmpint(AFTER(DOMAIN_PAUSED, EV_SAVE, EV_DESTROY, EV_GONE, EV_SAVED, EV_START,
			      EV_READY), ==, DOMAIN_RUNNING);
	g_assert_cmpint(AFTER(DOMAIN_OFF, EV_SAVED, EV_DISCARDED), ==, DOMAIN_OFF);
}

static void whatever_has_a_worker_can_be_destroyed_and_can_die(void)
{
	for (unsigned s = DOMAIN_OFF; s < N_DOMAIN_STATES; s++) {
		enum domain_state state = (enum domain_state)s;

		g_assert_cmpint(state_next(state, EV_DESTROY), ==,
				state_is_active(state) ? DOMAIN_STOPPING : 0);
		g_assert_cmpint(state_next(state, EV_GONE), ==,
				state_is_active(state) ? DOMAIN_OFF : 0);
	}
}

static void only_what_is_off_can_start(void)
{
	for (unsigned s = DOMAIN_OFF; s < N_DOMAIN_STATES; s++)
		g_assert_cmpint(state_next((enum domain_state)s, EV_START) != 0, ==,
				!state_is_active((enum domain_state)s));
}

static void what_a_stopping_worker_still_says_changes_nothing(void)
{
	g_assert_cmpint(AFTER(DOMAIN_STOPPING, EV_RUNS, EV_STANDS, EV_CRASHED, EV_READY), ==,
			DOMAIN_STOPPING);
}

static void each_refusal_has_words_and_each_state_a_name(void)
{
	for (unsigned s = DOMAIN_OFF; s < N_DOMAIN_STATES; s++) {
		g_assert_cmpstr(state_name((enum domain_state)s), !=, "unknown");
		for (unsigned e = 0; e < N_DOMAIN_EVENTS; e++)
			g_assert_nonnull(state_refusal((enum domain_state)s, (enum domain_event)e));
	}
	g_assert_cmpstr(state_refusal(DOMAIN_OFF, EV_SUSPEND), ==, "is not running");
	g_assert_cmpstr(state_refusal(DOMAIN_RUNNING, EV_START), ==, "is already running");
}

static void states_out_of_range_lead_nowhere(void)
{
	g_assert_cmpint(state_next(N_DOMAIN_STATES, EV_START), ==, 0);
	g_assert_cmpint(state_next((enum domain_state)0, EV_START), ==, 0);
	g_assert_cmpint(state_next(DOMAIN_OFF, N_DOMAIN_EVENTS), ==, 0);
	g_assert_cmpstr(state_name((enum domain_state)77), ==, "unknown");
	g_assert_cmpint(state_to_wire((enum domain_state)77), ==, WIRE_NOSTATE);
}

static void reasons_follow_from_what_the_worker_said(void)
{
	g_assert_cmpint(state_reason(DOMAIN_OFF, WORKER_CAUSE_GUEST_POWEROFF), ==,
			REASON_SHUTOFF_SHUTDOWN);
	g_assert_cmpint(state_reason(DOMAIN_OFF, WORKER_CAUSE_DESTROYED), ==,
			REASON_SHUTOFF_DESTROYED);
	g_assert_cmpint(state_reason(DOMAIN_OFF, WORKER_CAUSE_CRASHED), ==, REASON_SHUTOFF_CRASHED);
	g_assert_cmpint(state_reason(DOMAIN_OFF, WORKER_CAUSE_LOST), ==, REASON_SHUTOFF_CRASHED);
	g_assert_cmpint(state_reason(DOMAIN_OFF, WORKER_CAUSE_NONE), ==, REASON_SHUTOFF_FAILED);
	g_assert_cmpint(state_reason(DOMAIN_OFF, 4711), ==, REASON_SHUTOFF_FAILED);
	g_assert_cmpint(state_reason(DOMAIN_PAUSED, WORKER_CAUSE_IO_ERROR), ==,
			REASON_PAUSED_IO_ERROR);
	g_assert_cmpint(state_reason(DOMAIN_PAUSED, WORKER_CAUSE_USER), ==, REASON_PAUSED_USER);
	g_assert_cmpint(state_reason(DOMAIN_RUNNING, WORKER_CAUSE_USER), ==,
			REASON_RUNNING_UNPAUSED);
	g_assert_cmpint(state_reason(DOMAIN_RUNNING, WORKER_CAUSE_BOOTED), ==,
			REASON_RUNNING_BOOTED);
}

int main(int argc, char **argv)
{
	g_test_init(&argc, &argv, NULL);
	g_test_add_func("/state/a-life", a_life_from_start_to_power_off_is_allowed);
	g_test_add_func("/state/destroy", whatever_has_a_worker_can_be_destroyed_and_can_die);
	g_test_add_func("/state/start", only_what_is_off_can_start);
	g_test_add_func("/state/stopping", what_a_stopping_worker_still_says_changes_nothing);
	g_test_add_func("/state/words", each_refusal_has_words_and_each_state_a_name);
	g_test_add_func("/state/range", states_out_of_range_lead_nowhere);
	g_test_add_func("/state/reasons", reasons_follow_from_what_the_worker_said);
	return g_test_run();
}
