/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a document would do, before it does it.  Here a name is an identity: a
 * document without <uuid> is the next definition of the domain that has its
 * name, and interfaces without <mac> keep theirs, so that the same document
 * twice changes nothing.
 */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/preflight.h"

/* The wire's numbers. */
enum plan_action { PLAN_NOTHING, PLAN_NEW, PLAN_CHANGE, PLAN_REFUSED };

struct plan_problem {
	enum preflight_severity severity;
	unsigned line, column;		/* 0: of none */
	char *text;
};

struct plan {
	enum plan_action action;
	domain_def *def;		/* NULL: it can't be read */
	struct domain *dom;		/* NULL: there is none of that name */
	unsigned revision;		/* of dom's saved definition; 0 */
	GPtrArray *problems;		/* of struct plan_problem */
	GPtrArray *fields;		/* of struct diff_field */
};
typedef struct plan plan;

/* Never NULL; with `host` also what this host lacks. */
struct plan *plan_new(struct daemon *daemon, const char *xml, unsigned parse_flags, bool host);
void plan_free(struct plan *p);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(plan, plan_free)

/* The first problem for which it is refused; NULL. */
const struct plan_problem *plan_refusal(const struct plan *p);
