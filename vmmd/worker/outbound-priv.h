/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the files of the outbound proxy. */
#pragma once

#include <poll.h>

#include "images/agent/way.h"
#include "libvmm/util/allow.h"
#include "libvmm/util/socks.h"

#define FOUND_MAX 8	/* addresses of a name that are tried */
#define CONNS_MAX 256

/* ---- names (outbound-names.c): by threads, so that one that hangs holds up no other ---- */

struct names;

struct question {
	char name[256];
	struct inet_address found[FOUND_MAX];
	unsigned n;		/* 0: nobody knows it */
	unsigned waiters;	/* the loop's */
};

/* Its threads are all that there will ever be.  *ret_fd: readable when a question is answered. */
struct names *names_new(int *ret_fd);
/* Who asks for a name that is being asked for waits for the same answer. */
struct question *names_ask(struct names *names, const char *name);
/* He does not wait any more. */
void names_leave(struct names *names, struct question *q);
/* The next one that is answered, the caller's to free; NULL: none, wait for the descriptor. */
struct question *names_answered(struct names *names);

/* ---- refusals (outbound-refusal.c): to stderr, so that a user sees what to allow ---- */

struct refusals;

struct refusals *refusals_new(void);
/* what: "name:port"; each is told now and then, and few of many. */
void refusals_tell(struct refusals *r, const char *what, const char *why);

/* ---- one connection (outbound-conn.c) ---- */

struct outbound {
	const struct allow_rule *rules;
	unsigned n_rules;
	struct names *names;
	struct refusals *refusals;
};

enum conn_stage { CONN_GREETS, CONN_NAME, CONN_CONNECTS, CONN_JOINED, CONN_OVER };

struct conn {
	enum conn_stage stage;
	int client, remote;		/* until they are joined; -1 */
	int64_t until_ms, next_ms;	/* of the stage; of the present address */
	struct socks socks;
	struct question *question;	/* CONN_NAME */
	struct inet_address found[FOUND_MAX];
	unsigned n, at;
	int error;			/* of the last address */
	struct join *join;
};

int64_t outbound_now_ms(void);

/* Takes client. */
void conn_begin(struct conn *c, int client);
void conn_end(const struct outbound *o, struct conn *c);
/* What it waits for, and until when at most (-1: for ever). */
int64_t conn_wait(const struct conn *c, struct pollfd ret[2]);
/* After that, or when it is time.  false: it is over, and to be ended. */
bool conn_go(const struct outbound *o, struct conn *c, const struct pollfd polled[2]);
/* Its question has an answer.  Likewise. */
bool conn_answered(const struct outbound *o, struct conn *c, const struct question *q);
