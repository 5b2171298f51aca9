/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One change of a domain's definitions: of the saved one, of the live one, or of
 * both alike.  Copies are changed first; what the change means for the machine
 * is done between the two calls; then they are kept: the saved one on the disk,
 * the live one by the worker, so that the next vmmd hears of it too.
 */
#pragma once

#include "vmmd/api.h"

struct change {
	struct domain *dom;
	domain_def *live, *saved;	/* the new ones; NULL: not changed */
};
typedef struct change change;

typedef bool change_fn(domain_def *def, const void *opaque, GError **error);

/* affect: as of api_affect(). */
bool change_begin(struct change *ret, struct domain *dom, unsigned affect, change_fn *fn,
		  const void *opaque, GError **error);
/* Keeps them and answers the call, now or when the worker has answered. */
void change_commit(struct change *c, struct call *call);
void change_done(struct change *c);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(change, change_done)
