/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A terminal's guest's side: a shell, by the agent in the guest. */
#include "config.h"
#include "vmsh/web/term-priv.h"

#include "vmsh/agent.h"

#define TIMEOUT_MS 10000
#define PIECE 4096

struct side {
	struct term *t;
	struct agent *agent;
	bool begun;
};

static bool on_output(struct agent *a, bool errors, const void *data, size_t bytes, void *opaque)
{
	struct side *s = opaque;

	return term_output(s->t, data, bytes);
}

static void pump(struct side *s)
{
	char typed[PIECE];
	size_t n;

	while ((n = term_input(s->t, typed, MIN(agent_room(s->agent), sizeof(typed)))) > 0) {
		agent_input(s->agent, typed, n);
		term_left(s->t, n);
	}
}

static void on_room(struct agent *a, void *opaque)
{
	pump(opaque);
}

static void put_size(struct json_object *o, unsigned columns, unsigned rows)
{
	agent_put_number(o, "columns", columns);
	agent_put_number(o, "rows", rows);
}

static void on_reply(struct agent *a, struct json_object *reply, void *opaque)
{
	struct side *s = opaque;

	s->begun = true;
	term_opened(s->t, "write", NULL);
}

static void on_wake(void *arg)
{
	struct side *s = arg;
	unsigned columns, rows;

	if (term_closing(s->t)) {
		agent_stop(s->agent, g_error_new(VMM_ERROR, VMM_ERR_ABORTED, "closed"));
		return;
	}
	if (s->begun && term_resized(s->t, &columns, &rows)) {
		struct json_object *o = agent_request("resize");

		put_size(o, columns, rows);
		agent_control(s->agent, o);
	}
	pump(s);
}

/* The login shell of root, outside the guest's sandbox: as "vmsh shell". */
static struct json_object *shell_request(struct term *t)
{
	struct json_object *o = agent_request("spawn"), *env = json_object_new_array();
	struct json_object *pty = json_object_new_object();
	unsigned columns, rows;

	term_resized(t, &columns, &rows);
	put_size(pty, columns, rows);
	json_object_object_add(o, "pty", pty);
	json_object_array_add(env, json_object_new_string("TERM=xterm-256color"));
	json_object_object_add(o, "env", env);
	json_object_object_add(o, "sandbox", json_object_new_boolean(false));
	return o;
}

void term_shell_run(struct term *t, vmm_domain *dom, int *ret_code, GError **error)
{
	static const struct agent_ops ops = {
		.reply = on_reply, .output = on_output, .room = on_room,
	};
	/* What agent.c wants of a shell: to hear of the end. */
	struct shell sh = { .interrupt_fd = t->stop_fd };
	struct side s = { .t = t, .agent = agent_open(&sh, dom, TIMEOUT_MS, error) };
	struct agent_end end;

	if (!s.agent)
		return;
	term_wake_by(t, agent_context(s.agent), on_wake, &s);
	if (agent_run(s.agent, shell_request(t), &ops, &s, &end, error))
		*ret_code = end.signal ? 128 + end.signal : end.code;
	term_wake_by(t, NULL, NULL, NULL);
	agent_close(s.agent);
}
