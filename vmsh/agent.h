/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One conversation with the agent in a guest: docs/agent-protocol.md, one request at a time. */
#pragma once

#include <json-c/json.h>

#include "vmsh/shell.h"

struct agent;

struct agent_ops {
	/* It runs, or the answer.  May be NULL. */
	void (*reply)(struct agent *a, struct json_object *reply, void *opaque);
	/* Bytes of its output; false: nobody wants more, the conversation ends.  May be NULL. */
	bool (*output)(struct agent *a, bool errors, const void *data, size_t bytes, void *opaque);
	/* There is room for input, agent_room() says how much.  May be NULL: there is none. */
	void (*room)(struct agent *a, void *opaque);
};

struct agent_end {
	int code;		/* -1: by a signal */
	int signal;
};

/* Waits until the agent has said hello; an error says what is waited for in vain. */
struct agent *agent_open(struct shell *sh, vmm_domain *dom, unsigned timeout_ms, GError **error);
void agent_close(struct agent *a);
typedef struct agent agent;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(agent, agent_close)

/* Takes the request.  Iterates agent_context() until its end; ^C ends a command, or us. */
bool agent_run(struct agent *a, struct json_object *request, const struct agent_ops *ops,
	       void *opaque, struct agent_end *ret, GError **error);
/* One that is answered by its reply: the caller's object. */
struct json_object *agent_ask(struct agent *a, struct json_object *request, GError **error);

/* A request has failed by that. */
bool agent_machine_off(const struct agent *a);
/* ^C is not this conversation's alone: it is left for the others to see. */
void agent_share_interrupt(struct agent *a);
GMainContext *agent_context(struct agent *a);
size_t agent_room(const struct agent *a);
void agent_input(struct agent *a, const void *data, size_t bytes);	/* at most agent_room() */
void agent_input_end(struct agent *a);
void agent_control(struct agent *a, struct json_object *control);	/* takes it */
void agent_signal(struct agent *a, int signal);
/* What went wrong on our side: agent_run() ends with it. */
void agent_stop(struct agent *a, GError *error);

/* {"do": what} */
struct json_object *agent_request(const char *what);
void agent_put_text(struct json_object *o, const char *key, const char *text);
void agent_put_number(struct json_object *o, const char *key, int64_t number);
