/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A client's call that is answered by what answers in the guest. */
#include "config.h"
#include "vmmd/agent-call.h"

#include "libvmm/util/error.h"
#include "vmmd/owner.h"

struct waiting {
	struct call *call;
	agent_answer *answer;
};

void agent_call_odd(struct call *call)
{
	call_fail_text(call, VMM_ERR_AGENT,
		       "Guest agent is not responding: its answer is none of this command");
}

static void on_answer(struct json_object *ret, const char *text, const GError *error, void *opaque)
{
	g_autofree struct waiting *w = opaque;
	struct call *call = w->call;

	if (error)
		call_fail(call, error);
	else if (w->answer)
		w->answer(call, domain_find_uuid(call->daemon->domains, call->about), ret);
	else
		call_reply(call, NULL);
}

void agent_call(struct call *call, struct domain *dom, const char *name, struct json_object *args,
		unsigned timeout_ms, agent_answer *answer)
{
	struct waiting *w = g_new(struct waiting, 1);
	g_autofree char *command = agent_command(name, args);
	struct agent_wish wish = { .command = command, .who = session_who(call->session),
				   .timeout_ms = timeout_ms };

	*w = (struct waiting){ call, answer };
	agent_ask(dom, &wish, on_answer, w);
}

bool agent_allowed(struct call *call, const struct domain *dom)
{
	if (!session_readonly(call->session) || owner_is(dom, session_uid(call->session)))
		return true;
	call_fail_text(call, VMM_ERR_OPERATION_DENIED,
		       "operation forbidden for read only access: to ask the guest's agent");
	return false;
}

size_t guest_list(struct json_object *list, size_t max)
{
	return json_object_is_type(list, json_type_array) ?
		       MIN(json_object_array_length(list), max) : 0;
}

struct json_object *guest_item(struct json_object *list, size_t n)
{
	struct json_object *o = json_object_array_get_idx(list, n);

	return json_object_is_type(o, json_type_object) ? o : NULL;
}

uint64_t guest_number(struct json_object *o, const char *key)
{
	int64_t n = o ? json_object_get_int64(json_object_object_get(o, key)) : 0;

	return n > 0 ? (uint64_t)n : 0;
}
