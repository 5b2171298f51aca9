/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One table holds every change of a domain's state; nothing here has effects. */
#include "config.h"
#include "vmmd/state.h"

#include <stdint.h>

#include "libvmm/rpc/worker.h"
#include "libvmm/util/cleanup.h"

#define STAYS(s) [EV_RUNS] = s, [EV_STANDS] = s, [EV_CRASHED] = s
#define TELLS [EV_RUNS] = DOMAIN_RUNNING, [EV_STANDS] = DOMAIN_PAUSED, [EV_CRASHED] = DOMAIN_CRASHED
#define ENDS [EV_DESTROY] = DOMAIN_STOPPING, [EV_GONE] = DOMAIN_OFF

/* States count from 1; 0 is "not allowed". */
static const uint8_t next_state[N_DOMAIN_STATES][N_DOMAIN_EVENTS] = {
	[DOMAIN_OFF] = { [EV_START] = DOMAIN_STARTING, [EV_SAVED] = DOMAIN_SAVED },
	[DOMAIN_SAVED] = { [EV_START] = DOMAIN_STARTING, [EV_DISCARDED] = DOMAIN_OFF },
	/* Its worker talks of itself before START is answered: that is heard, and waits. */
	[DOMAIN_STARTING] = {
		[EV_READY] = DOMAIN_RUNNING, [EV_READY_PAUSED] = DOMAIN_PAUSED,
		STAYS(DOMAIN_STARTING), ENDS,
	},
	[DOMAIN_RUNNING] = {
		[EV_SUSPEND] = DOMAIN_RUNNING, [EV_SHUTDOWN] = DOMAIN_SHUTTING_DOWN,
		[EV_REBOOT] = DOMAIN_RUNNING, [EV_RESET] = DOMAIN_RUNNING,
		[EV_SAVE] = DOMAIN_RUNNING, TELLS, ENDS,
	},
	[DOMAIN_PAUSED] = {
		[EV_SUSPEND] = DOMAIN_PAUSED, [EV_RESUME] = DOMAIN_PAUSED,
		[EV_RESET] = DOMAIN_PAUSED, [EV_SAVE] = DOMAIN_PAUSED, TELLS, ENDS,
	},
	[DOMAIN_SHUTTING_DOWN] = {
		[EV_SUSPEND] = DOMAIN_SHUTTING_DOWN, [EV_SHUTDOWN] = DOMAIN_SHUTTING_DOWN,
		[EV_REBOOT] = DOMAIN_SHUTTING_DOWN, [EV_RESET] = DOMAIN_SHUTTING_DOWN,
		[EV_SAVE] = DOMAIN_SHUTTING_DOWN,
		[EV_IGNORED] = DOMAIN_RUNNING, TELLS, ENDS,
	},
	[DOMAIN_CRASHED] = { [EV_RESET] = DOMAIN_CRASHED, TELLS, ENDS },
	/* Only its end matters. */
	[DOMAIN_STOPPING] = {
		[EV_READY] = DOMAIN_STOPPING,
		[EV_READY_PAUSED] = DOMAIN_STOPPING, STAYS(DOMAIN_STOPPING), ENDS,
	},
};

static const char *const state_names[] = {
	[DOMAIN_OFF] = "off", [DOMAIN_STARTING] = "starting", [DOMAIN_RUNNING] = "running",
	[DOMAIN_PAUSED] = "paused", [DOMAIN_SHUTTING_DOWN] = "shutting down",
	[DOMAIN_SAVED] = "saved", [DOMAIN_CRASHED] = "crashed", [DOMAIN_STOPPING] = "stopping",
};
static_assert(ARRAY_SIZE(state_names) == N_DOMAIN_STATES, "each state has a name");

enum domain_state state_next(enum domain_state state, enum domain_event event)
{
	if (state >= N_DOMAIN_STATES || event >= N_DOMAIN_EVENTS)
		return 0;
	return next_state[state][event];
}

bool state_is_active(enum domain_state state)
{
	return state != DOMAIN_OFF && state != DOMAIN_SAVED;
}

const char *state_name(enum domain_state state)
{
	return state < N_DOMAIN_STATES && state_names[state] ? state_names[state] : "unknown";
}

const char *state_refusal(enum domain_state state, enum domain_event event)
{
	if (!state_is_active(state))
		return "is not running";
	switch (state) {
	case DOMAIN_STARTING:
		return event == EV_START ? "is already starting" : "is still starting";
	case DOMAIN_STOPPING:
		return "is being stopped";
	case DOMAIN_CRASHED:
		return "has crashed: reset or destroy it";
	case DOMAIN_PAUSED:
		return event == EV_START ? "is already running (paused)" :
					   "is paused: resume it first";
	default:
		return "is already running";
	}
}

enum wire_state state_to_wire(enum domain_state state)
{
	static const enum wire_state wire[] = {
		[DOMAIN_OFF] = WIRE_SHUTOFF, [DOMAIN_STARTING] = WIRE_PAUSED,
		[DOMAIN_RUNNING] = WIRE_RUNNING, [DOMAIN_PAUSED] = WIRE_PAUSED,
		[DOMAIN_SHUTTING_DOWN] = WIRE_SHUTDOWN, [DOMAIN_SAVED] = WIRE_SHUTOFF,
		[DOMAIN_CRASHED] = WIRE_CRASHED, [DOMAIN_STOPPING] = WIRE_SHUTDOWN,
	};

	return state < ARRAY_SIZE(wire) ? wire[state] : WIRE_NOSTATE;
}

static enum wire_reason reason_paused(int cause)
{
	switch (cause) {
	case WORKER_CAUSE_IO_ERROR:
		return REASON_PAUSED_IO_ERROR;
	case WORKER_CAUSE_SAVED:
		return REASON_PAUSED_SAVE;
	case WORKER_CAUSE_CRASHED:
		return REASON_PAUSED_CRASHED;
	case WORKER_CAUSE_GUEST_POWEROFF:
	case WORKER_CAUSE_GUEST_RESET:
		return REASON_PAUSED_SHUTTING_DOWN;
	default:
		return REASON_PAUSED_USER;
	}
}

static enum wire_reason reason_off(int cause)
{
	switch (cause) {
	case WORKER_CAUSE_GUEST_POWEROFF:
	case WORKER_CAUSE_GUEST_RESET:
		return REASON_SHUTOFF_SHUTDOWN;
	case WORKER_CAUSE_DESTROYED:
		return REASON_SHUTOFF_DESTROYED;
	case WORKER_CAUSE_SAVED:
		return REASON_SHUTOFF_SAVED;
	case WORKER_CAUSE_CRASHED:
	case WORKER_CAUSE_LOST:
		return REASON_SHUTOFF_CRASHED;
	default:
		return REASON_SHUTOFF_FAILED;
	}
}

enum wire_reason state_reason(enum domain_state state, int cause)
{
	switch (state) {
	case DOMAIN_RUNNING:
		return cause == WORKER_CAUSE_USER	? REASON_RUNNING_UNPAUSED :
		       cause == WORKER_CAUSE_RESTORED	? REASON_RUNNING_RESTORED :
							  REASON_RUNNING_BOOTED;
	case DOMAIN_PAUSED:
		return reason_paused(cause);
	case DOMAIN_OFF:
		return reason_off(cause);
	case DOMAIN_SAVED:
		return REASON_SHUTOFF_SAVED;
	case DOMAIN_STARTING:
		return REASON_PAUSED_STARTING_UP;
	case DOMAIN_CRASHED:
		return REASON_CRASHED_PANICKED;
	default:
		return REASON_SHUTDOWN_USER;
	}
}
