/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of domains.  A domain has two definitions under two names: `saved`
 * is what the next start will use and the database keeps; `live` is what its
 * worker runs.  A transient domain has no saved one; one that is off has no
 * live one.
 */
#pragma once

#include "libvmm/domain/domain.h"
#include "vmmd/daemon.h"
#include "vmmd/state.h"

struct job_past;
struct link;
struct lifecycle;
struct said;

/* Of entries in the logbook that a guest can cause (said.h). */
struct said_budget {
	int64_t paid_us;
	unsigned left_out;
};

struct domain {
	struct daemon *daemon;
	uint8_t uuid[UUID_BYTES];
	char uuid_text[UUID_TEXT_BYTES];
	char *name;
	int id;				/* -1 while off */

	enum domain_state state;
	enum wire_reason reason;
	char *detail;			/* what the reason means in words; NULL */
	int64_t state_since_us;		/* monotonic */
	/* real time, of the worker's START; means nothing while off */
	int64_t started_us;
	int64_t boot_ms;		/* from the wish to running vCPUs; -1: not known */
	bool restored;			/* of this run: from saved memory */

	bool persistent, autostart;
	int64_t created_s;
	char *owner;			/* owner.h; NULL: nobody in particular */
	unsigned snapshots;
	domain_def *saved, *live;
	/*
	 * The saved definition as it was stored, until it is read: domain_read().
	 * It stays if that fails, with the reason in saved_fault; else NULL.
	 */
	char *unread_xml, *saved_fault;
	char *live_xml;			/* as it is handed out */

	struct link *link;		/* to its worker; NULL while off */
	struct lifecycle *life;		/* lifecycle.c's */
	struct said *said;		/* its worker's stderr; NULL while off */
	struct said_budget said_budget;
	int agent_timeout_s;		/* for answers of its agent; 0: AGENT_ANSWER_MS */
	void *autodestroy;		/* the session with which it ends; NULL */
	GSList *writers;		/* console.c's: streams that type */
	/*
	 * What is being done to its images: "a snapshot of it is being made".
	 * Until it is over nothing but an end of the machine is begun.  NULL: idle.
	 */
	const char *busy;
	struct job_past *job_past;	/* since vmmd began; NULL: none */
	uint64_t balloon_kib;		/* last heard from the guest; 0: nothing heard */
};

struct domain_table;

struct domain_table *domain_table_new(void);
void domain_table_free(struct domain_table *t);
/*
 * Reads the database.  Definitions are read when somebody looks for a domain,
 * or in idle moments: many take a while.  One that can't be read is kept, and
 * says so when it is used.
 */
bool domain_table_load(struct domain_table *t, struct daemon *daemon, GError **error);

struct domain *domain_find_uuid(struct domain_table *t, const uint8_t uuid[UUID_BYTES]);
struct domain *domain_find_name(struct domain_table *t, const char *name);
struct domain *domain_find_id(struct domain_table *t, int id);
/* Is there one?  Without reading its definition. */
bool domain_table_has(const struct domain_table *t, const uint8_t uuid[UUID_BYTES]);
/* All, sorted by name; the array is the caller's. */
GPtrArray *domain_table_list(struct domain_table *t);
/* Likewise; before their definitions are used each needs domain_read(). */
GPtrArray *domain_table_peek(struct domain_table *t);
void domain_read(struct domain *dom);

/* A new entry that is off and not persistent. */
struct domain *domain_new(struct daemon *daemon, const uint8_t uuid[UUID_BYTES], const char *name);
/* Out of the table, and freed. */
void domain_drop(struct domain *dom);

/*
 * May this definition's name and uuid be used?  *ret is the domain that has
 * both, or NULL when there is none; a clash is an error.
 */
bool domain_match(struct domain_table *t, const domain_def *def, struct domain **ret,
		  GError **error);
/* Is nothing being done to its images?  VMM_ERR_OPERATION_INVALID says what is. */
bool domain_idle(const struct domain *dom, GError **error);
/* Stores def (taken) as the saved definition; on the disk before a call is answered. */
bool domain_save(struct domain *dom, domain_def *def, GError **error);
/* On the disk when it returns: what it does not name any more may be removed. */
bool domain_save_now(struct domain *dom, domain_def *def, GError **error);
/*
 * The two halves of it, for a change that is one transaction with others: write
 * def into the open one; when that is committed, take def.
 */
bool domain_save_begin(struct domain *dom, const domain_def *def, GError **error);
void domain_save_end(struct domain *dom, domain_def *def);
/* No longer in the database; it goes on while it runs. */
bool domain_forget(struct domain *dom, GError **error);
/* The name alone, in the table alone: of a domain that is not in the database. */
void domain_set_name(struct domain *dom, const char *name);
bool domain_rename(struct domain *dom, const char *name, GError **error);
bool domain_set_autostart(struct domain *dom, bool on, GError **error);
/* Live definition def (taken; NULL when it is off) and its id. */
void domain_set_live(struct domain *dom, domain_def *def);
/* A changed live definition (metadata): only its text is made anew. */
void domain_refresh_live(struct domain *dom);

/* The saved definition's text, for the caller to free; NULL if it has none. */
char *domain_saved_xml(const struct domain *dom);
/* What is in force now: live while it is active, else saved. NULL if saved can't be read. */
const domain_def *domain_def_now(const struct domain *dom);
/* The saved definition, or the error why there is none. */
domain_def *domain_need_saved(struct domain *dom, GError **error);

/* Is `event` allowed now?  Changes nothing. */
bool domain_may(const struct domain *dom, enum domain_event event, GError **error);
/* Do it: new state, reason and detail. A refusal is VMM_ERR_OPERATION_INVALID. */
bool domain_step(struct domain *dom, enum domain_event event, int cause, const char *detail,
		 GError **error);
