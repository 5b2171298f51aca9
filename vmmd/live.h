/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A machine that runs becomes another: what domain/now.h lists, one step after
 * the other.  A step is done by the worker, the switch or the host's kernel
 * first and then is in the live definition.  After one that fails those before
 * it are undone: the change is whole, or it is not.
 */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/lifecycle.h"
#include "vmmd/server.h"

/*
 * to: taken; the live definition with changes that domain_def_take_now() makes.
 * The done function's domain may be NULL: it is gone, and the error says so.
 */
void live_change(struct domain *dom, domain_def *to, lifecycle_done *done, void *opaque);

/*
 * Both definitions, or the one that is not NULL; taken.  The saved one is kept
 * when the machine has changed.  Answers the call.
 */
void live_change_call(struct domain *dom, domain_def *live, domain_def *saved, struct call *call);
