/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exec, shell: a command inside a guest, by its agent. */
#include "config.h"
#include "vmsh/cmd-exec.h"

#include <string.h>
#include <unistd.h>

#include "vmsh/agent-exec.h"
#include "vmsh/agent-options.h"
#include "vmsh/commands.h"
#include "vmsh/exec-many.h"
#include "vmsh/fleet.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

struct agent *exec_agent(struct shell *sh, const struct command_args *args, GError **error)
{
	g_autoptr(vmm_domain) dom = fleet_domain(sh, args, error);
	unsigned ms = (unsigned)MIN(args_ms(args, "timeout", AGENT_TIMEOUT_MS), G_MAXINT);

	return dom ? agent_open(sh, dom, ms, error) : NULL;
}

/* ---- the request ---- */

static void put_texts(struct json_object *o, const char *key, const GPtrArray *words,
		      unsigned first)
{
	struct json_object *list = json_object_new_array();

	for (unsigned i = first; i < words->len; i++)
		json_object_array_add(list, json_object_new_string(words_text(words, i)));
	json_object_object_add(o, key, list);
}

bool exec_check(const struct command_args *args, GError **error)
{
	const GPtrArray *env = args_words(args, "env");

	for (unsigned i = 0; i < env->len; i++) {
		const char *text = words_text(env, i);
		if (*text == '=' || !strchr(text, '='))
			return usage_error(error, "%s: --env '%s' is not like NAME=VALUE",
					   args_command(args)->name, text);
	}
	return true;
}

static struct json_object *spawn_request(const struct command_args *args, bool sandbox)
{
	struct json_object *o = agent_request("spawn");

	agent_put_text(o, "user", args_text(args, "user"));
	agent_put_text(o, "cwd", args_text(args, "cwd"));
	put_texts(o, "env", args_words(args, "env"), 0);
	json_object_object_add(o, "sandbox", json_object_new_boolean(sandbox));
	return o;
}

struct json_object *exec_request(const struct command_args *args, bool sandbox)
{
	const GPtrArray *command = args_words(args, "command");
	struct json_object *o = spawn_request(args, sandbox);

	agent_put_text(o, "command", words_text(command, 0));
	put_texts(o, "args", command, 1);
	return o;
}

/* ---- here ---- */

static bool run_here(struct shell *sh, struct agent *a, struct json_object *request,
		     const struct agent_exec_opts *opts, GError **error)
{
	int status;

	if (!agent_exec(a, request, opts, &status, error)) {
		if (agent_machine_off(a))
			sh->status = STATUS_MACHINE_OFF;
		return false;
	}
	sh->status = status;
	return status == 0;
}

static void put_term(struct json_object *request)
{
	const char *term = g_getenv("TERM");
	g_autofree char *word = g_strdup_printf("TERM=%s", term ? term : "linux");

	json_object_array_add(json_object_object_get(request, "env"), json_object_new_string(word));
}

/* Without the sandbox. */
static bool shell_here(struct shell *sh, struct agent *a, const struct command_args *args,
		       GError **error)
{
	const struct agent_exec_opts opts = { .terminal = true, .stdin_too = true };
	struct json_object *o = spawn_request(args, false);

	put_term(o);
	return run_here(sh, a, o, &opts, error);
}

bool exec_command(struct shell *sh, struct agent *a, const struct command_args *args, bool sandbox,
		  GError **error)
{
	const struct agent_exec_opts opts = {
		.terminal = args_given(args, "tty"),
		.stdin_too = args_given(args, "interactive") || !isatty(STDIN_FILENO),
	};
	struct json_object *o;

	if (!args_given(args, "command"))
		return shell_here(sh, a, args, error);
	o = exec_request(args, sandbox);
	if (opts.terminal)
		put_term(o);
	json_object_object_add(o, "network", json_object_new_boolean(args_given(args, "network")));
	return run_here(sh, a, o, &opts, error);
}

static bool cmd_exec(struct shell *sh, struct command_args *args, GError **error)
{
	if (args_given(args, "all"))
		return exec_check(args, error) && exec_many(sh, args, error);
	if (args_given(args, "where") || args_given(args, "parallel"))
		return usage_error(error, "exec: --where and --parallel go with --all");
	g_autoptr(agent) a = exec_check(args, error) ? exec_agent(sh, args, error) : NULL;

	return a && exec_command(sh, a, args, !args_given(args, "raw"), error);
}

static bool cmd_shell(struct shell *sh, struct command_args *args, GError **error)
{
	g_autoptr(agent) a = exec_check(args, error) ? exec_agent(sh, args, error) : NULL;

	return a && shell_here(sh, a, args, error);
}

/* ---- tables ---- */

static const struct option_def options_exec[] = {
	OPTION_DOMAIN(ACTIVE),
	{ .name = "command", .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY, .value = "COMMAND",
	  .help = "with its words; write -- before it if one begins with -" },
	OPTIONS_STREAMS,
	OPTIONS_USER,
	OPTION_FLAG("raw", "without the sandbox: with all rights on the guest"),
	OPTION_FLAG("network", "in the sandbox, with the guest's network"),
	OPTION_FLAG("all", "in all guests that DOMAIN matches, as in 'web-*', at once"),
	{ .name = "where", .kind = OPT_STRING, .complete = COMPLETE_EXPRESSION,
	  .value = "EXPRESSION", .help = "with --all: those for which it holds" },
	{ .name = "parallel", .kind = OPT_NUMBER, .value = "N",
	  .help = "with --all: so many at a time; else 16" },
	OPTION_AGENT_TIMEOUT,
	{ 0 },
};

static const struct option_def options_shell[] = {
	OPTION_DOMAIN(ACTIVE), OPTIONS_USER, OPTION_AGENT_TIMEOUT, { 0 },
};

const struct command commands_exec[] = {
	{ "exec", AGENT_GROUP, "run a command inside a guest", options_exec, 0, cmd_exec,
	  "Its standard streams are ours, and so is its exit status: 128 and the signal's number "
	  "when it was ended by one, 254 when the machine went off while it ran. Signals and ^C "
	  "are passed on.\n"
	  "It runs in a sandbox inside the guest: a read-only system, a /tmp of its own, no "
	  "network, no capabilities. --raw does without.\n"
	  "With --all each line is told with its guest's name, then who ended how; the exit status "
	  "is the highest, 255 for a guest in which the command could not be run." },
	{ "shell", AGENT_GROUP, "a user's shell inside a guest", options_shell, 0, cmd_shell,
	  "In a terminal, without the sandbox. No network and no password are needed." },
	{ 0 },
};
