/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Running commands: words, lines and files of them, with their pipes, files and aliases. */
#include "config.h"
#include "vmsh/exec.h"

#include <errno.h>
#include <stdlib.h>

#include "libvmm/util/error.h"
#include "vmsh/convert.h"
#include "vmsh/hosts.h"
#include "vmsh/output.h"
#include "vmsh/rc.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static bool show_help(struct shell *sh, const struct command *cmd)
{
	g_autofree char *page = command_help(cmd, sh->out.width ? sh->out.width : 80);

	fputs(page, stdout);
	return true;
}

static bool run_asked(struct shell *sh, const struct command *cmd, struct command_args *args,
		      const GPtrArray *words, GError **error)
{
	if (!(cmd->flags & COMMAND_OFFLINE) && hosts_are_several(sh))
		return hosts_run(sh, cmd, args, words, error);
	return cmd->run(sh, args, error);
}

/* The command prints JSON, and XML or CSV is made of it. */
static bool run_converted(struct shell *sh, const struct command *cmd, struct command_args *args,
			  const GPtrArray *words, GError **error)
{
	g_autofree char *json = NULL, *text = NULL;
	g_autoptr(GError) why = NULL;
	struct output o;
	bool ok;

	if (!output_to_memory(&o, error))
		return false;
	ok = run_asked(sh, cmd, args, words, error);
	json = output_end_text(&o);
	if (!*json)
		return ok;
	if (args_output(args) == OUTPUT_CSV)
		text = convert_to_csv(json, &why);
	else if (*json == '<')		/* is XML already */
		text = g_strdup(json);
	else
		text = convert_to_xml(json, cmd->name, &why);
	if (text)
		fputs(text, stdout);
	else if (ok)
		g_propagate_prefixed_error(error, g_steal_pointer(&why), "%s: ", cmd->name);
	return ok && text;
}

static bool run_plain(struct shell *sh, const GPtrArray *words, GError **error)
{
	g_autoptr(command_args) args = NULL;
	const struct command *cmd;
	unsigned used;

	cmd = command_find(words, &used, error);
	args = cmd ? args_parse(cmd, words, used, error) : NULL;
	if (!args)
		return false;
	if (args_given(args, "help"))
		return show_help(sh, cmd);
	if (!sh->member && (args_output(args) == OUTPUT_XML || args_output(args) == OUTPUT_CSV))
		return run_converted(sh, cmd, args, words, error);
	return run_asked(sh, cmd, args, words, error);
}

/* ---- where the output goes ---- */

static bool run_foreign(struct shell *sh, const char *command, GError **error)
{
	int status = output_run_shell(command, error);

	if (status > 0)
		sh->status = STATUS_FAILED;	/* it has said why */
	return status == 0;
}

static bool run_redirected(struct shell *sh, const GPtrArray *words, const struct word *op,
			   GError **error)
{
	struct output o;
	bool ok;

	if (!(op->op == WORD_PIPE ? output_to_pipe(&o, op->text, error) :
				    output_to_file(&o, op->text, op->op == WORD_APPEND, error)))
		return false;
	shell_screen_update(sh);
	ok = run_plain(sh, words, error);
	if (!output_end(&o) && ok) {
		ok = false;
		if (op->op == WORD_PIPE)
			sh->status = STATUS_FAILED;	/* as sh(1) has it: the last one's */
		else
			error_errno(error, errno, "write '%s'", op->text);
	}
	shell_screen_update(sh);
	return ok;
}

bool shell_run_inner(struct shell *sh, const GPtrArray *given, GError **error)
{
	g_autoptr(GPtrArray) plain = g_ptr_array_new();
	g_autoptr(GPtrArray) words = NULL;
	const struct word *op = NULL;

	words = rc_expand(sh, given);
	for (unsigned i = 0; i < words->len; i++) {
		struct word *w = words->pdata[i];

		if (w->op == WORD_PLAIN)
			g_ptr_array_add(plain, w);
		else if (op)
			return usage_error(error, "the output can go to one place only");
		else
			op = w;
	}
	if (op && op->op == WORD_SHELL)
		return run_foreign(sh, op->text, error);
	if (plain->len == 0)
		return usage_error(error, "there is no command whose output that is");
	return op ? run_redirected(sh, plain, op, error) : run_plain(sh, plain, error);
}

/* ---- words, lines, files ---- */

bool shell_run_words(struct shell *sh, const GPtrArray *words)
{
	g_autoptr(GError) error = NULL;
	bool ok;

	shell_interrupt_clear(sh);
	shell_screen_update(sh);
	sh->status = STATUS_OK;
	ok = shell_run_inner(sh, words, &error);
	if (fflush(stdout) != 0 && ok && errno != EPIPE)
		ok = error_errno(&error, errno, "write to the standard output");
	if (ok)
		return true;
	if (error)
		shell_print_error(sh, error);
	if (sh->status == STATUS_OK)
		sh->status = g_error_matches(error, USAGE_ERROR, 0) ? STATUS_USAGE : STATUS_FAILED;
	return false;
}

bool shell_run_line(struct shell *sh, const char *line)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) commands = words_split(line, &error);
	int worst = STATUS_OK;

	if (!commands) {
		shell_print_error(sh, error);
		sh->status = STATUS_USAGE;
		return false;
	}
	for (unsigned i = 0; i < commands->len && !sh->quit; i++) {
		if (shell_run_words(sh, commands->pdata[i]))
			continue;
		worst = MAX(worst, sh->status);
		if (sh->stop_on_error || shell_interrupted(sh))
			break;
	}
	sh->status = worst;
	return worst == STATUS_OK;
}

void shell_run_file(struct shell *sh, FILE *in)
{
	int worst = STATUS_OK;
	char *line = NULL;
	size_t size = 0;

	while (!sh->quit && getline(&line, &size, in) >= 0) {
		if (shell_run_line(sh, line))
			continue;
		worst = worst ? worst : sh->status;
		if (sh->stop_on_error || shell_interrupted(sh))
			break;
	}
	free(line);
	sh->status = worst;
}
