/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The states of a domain, what leads from one to the next, and their numbers on the wire. */
#pragma once

#include <stdbool.h>

enum domain_state {
	DOMAIN_OFF = 1,
	DOMAIN_STARTING,		/* a worker was spawned, START is not answered */
	DOMAIN_RUNNING,
	DOMAIN_PAUSED,
	DOMAIN_SHUTTING_DOWN,		/* runs; the power button was pressed */
	DOMAIN_SAVED,			/* off, with its memory in a file */
	DOMAIN_CRASHED,			/* the guest is dead, its machine is kept to be looked at */
	DOMAIN_STOPPING,		/* its worker was told to end and has not */
	N_DOMAIN_STATES
};

enum domain_event {
	/* Wishes: whether it may be asked for now; the worker's answer is a fact of its own. */
	EV_START, EV_SUSPEND, EV_RESUME, EV_SHUTDOWN, EV_REBOOT, EV_RESET, EV_SAVE, EV_DESTROY,
	/* Facts. */
	EV_READY,			/* START is answered, it runs */
	EV_READY_PAUSED,
	EV_RUNS,			/* resumed, or started again in place */
	EV_STANDS,			/* paused */
	EV_CRASHED,			/* crashed and kept */
	EV_IGNORED,			/* the guest did not heed the power button */
	EV_SAVED,			/* off, and its memory is in a file */
	EV_DISCARDED,			/* that is not there any more */
	EV_GONE,			/* the worker has ended */
	N_DOMAIN_EVENTS
};

/* libvirt's numbers: DOMAIN_GET_STATE. */
enum wire_state {
	WIRE_NOSTATE,
	WIRE_RUNNING,
	WIRE_BLOCKED,
	WIRE_PAUSED,
	WIRE_SHUTDOWN,
	WIRE_SHUTOFF,
	WIRE_CRASHED,
};

enum wire_reason {
	REASON_UNKNOWN = 0,
	REASON_RUNNING_BOOTED = 1,
	REASON_RUNNING_RESTORED = 3,
	REASON_RUNNING_UNPAUSED = 5,
	REASON_PAUSED_USER = 1,
	REASON_PAUSED_SAVE = 3,
	REASON_PAUSED_IO_ERROR = 5,
	REASON_PAUSED_SHUTTING_DOWN = 8,
	REASON_PAUSED_CRASHED = 10,
	REASON_PAUSED_STARTING_UP = 11,
	REASON_SHUTDOWN_USER = 1,
	REASON_SHUTOFF_SHUTDOWN = 1,
	REASON_SHUTOFF_DESTROYED = 2,
	REASON_SHUTOFF_CRASHED = 3,
	REASON_SHUTOFF_SAVED = 5,
	REASON_SHUTOFF_FAILED = 6,
	REASON_SHUTOFF_FROM_SNAPSHOT = 7,
	REASON_CRASHED_PANICKED = 1,
};

/* Where `event` leads from `state`; 0 when it is not allowed there. */
enum domain_state state_next(enum domain_state state, enum domain_event event);
bool state_is_active(enum domain_state state);		/* has a worker */
const char *state_name(enum domain_state state);
/* Why `event` is refused in `state`: the end of "domain 'x' ...". */
const char *state_refusal(enum domain_state state, enum domain_event event);

enum wire_state state_to_wire(enum domain_state state);
/* The reason that goes with `state` when the worker says `cause` (enum worker_cause). */
enum wire_reason state_reason(enum domain_state state, int cause);
