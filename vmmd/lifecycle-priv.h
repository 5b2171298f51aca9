/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the files of lifecycle share. */
#pragma once

#include "vmmd/lifecycle.h"
#include "vmmd/link.h"
#include "vmmd/permit.h"

struct waiter {
	lifecycle_done *done;
	void *opaque;
};

/* What a domain has only while a worker is there; lives from spawn to its end. */
struct lifecycle {
	int64_t wished_us;		/* monotonic: when the start began */
	struct waiter starter;		/* done is NULL: nobody waits */
	GError *start_error;		/* why the start has failed; its worker is about to end */
	GArray *enders;			/* of struct waiter */
	guint timer;			/* of the start, later of the stop */
	guint powerdown_timer;
	bool start_paused;
	int state_fd;			/* what is restored; -1: a cold boot, or done */
	bool restored, managed;		/* of the start: from a file; from the domain's own */
	bool saving;			/* SAVE is not answered */
	bool run_after_save;		/* if it fails */
	bool saved;			/* it is stopped because it was saved */
	bool polite;			/* the end must not be forced */
	bool by_host;			/* we pressed the power button */
	int said_cause;			/* of WORKER_STOPPED */
	char *said_detail;
	struct permit *permit;		/* only while START runs */
	int64_t outbound_us;		/* outbound.h */
	unsigned *adopting;		/* counts the adopted that have not answered; NULL */
};

/* What a worker says: all links of domains have these. */
extern const struct link_ops life_link_ops;

struct lifecycle *life_new(void);
void life_free(struct lifecycle *life);
/* Each tells whoever waits, once. */
void life_tell_starter(struct domain *dom, const GError *error);
void life_tell_enders(struct domain *dom, const GError *error);
/* Listens to what its worker says on stderr. */
void life_hear(struct domain *dom);
/* An adopted worker has answered, or never will. */
void life_answered(struct domain *dom);
/* The state that a domain has ended in goes into the database. */
void life_store_state(struct domain *dom);
/* That a run has ended, and how: into the history. */
void life_note_run(struct domain *dom, int cause, const char *detail);
/* The same to listeners, with what of the history was not written yet. */
void life_tell_end(struct domain *dom, int cause);
/* What the worker's state means for the domain. */
void life_take_state(struct domain *dom, int state, int cause, const char *detail);
