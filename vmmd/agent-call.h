/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client's call that is answered by what answers in the guest. */
#pragma once

#include <json-c/json.h>

#include "vmmd/agent-ask.h"
#include "vmmd/server.h"

#define AGENT_SLOW_MS 30000	/* of commands that write back what a guest has cached */

/* ret: what the guest returned, and anything: the call is answered.  dom: NULL if it has gone. */
typedef void agent_answer(struct call *call, struct domain *dom, struct json_object *ret);

/*
 * args is taken, and may be NULL; answer NULL: with nothing.  dom is what
 * api_domain_of() has found.
 */
void agent_call(struct call *call, struct domain *dom, const char *name, struct json_object *args,
		unsigned timeout_ms, agent_answer *answer);
/* Of a procedure that others may call with other sources; answers the call when it is refused. */
bool agent_allowed(struct call *call, const struct domain *dom);
/* The answer was of a shape that the protocol does not have. */
void agent_call_odd(struct call *call);

/* ---- what guests write, as what can be used; a list that is none is empty ---- */

size_t guest_list(struct json_object *list, size_t max);
/* NULL: there is none.  The n-th of a list, an object. */
struct json_object *guest_item(struct json_object *list, size_t n);
uint64_t guest_number(struct json_object *o, const char *key);
