/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands about the shell itself. */
#include "config.h"
#include "vmsh/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmsh/complete.h"
#include "vmsh/exec.h"
#include "vmsh/hosts.h"
#include "vmsh/options.h"
#include "vmsh/rc.h"
#include "vmsh/shell.h"
#include "vmsh/sql.h"
#include "vmsh/top.h"
#include "vmsh/usage.h"
#include "vmsh/watch.h"
#include "vmsh/words.h"

static bool print_names(void)
{
	const struct command *cmd;

	for (unsigned i = 0; (cmd = command_at(i)); i++)
		printf("%s\n", cmd->name);
	return true;
}

/* What the bash completion asks: candidates for the end of a line. */
static bool print_candidates(struct shell *sh, const char *line)
{
	g_autoptr(GPtrArray) words = NULL;
	g_autoptr(GPtrArray) list = NULL;
	g_autofree char *context = NULL;
	enum opt_complete files;
	const char *text;
	char quote;

	words = words_split_partial(line, &quote);
	text = ((struct word *)words->pdata[words->len - 1])->text;
	if (!g_str_has_suffix(line, text) || quote)
		return true;
	context = g_strndup(line, strlen(line) - strlen(text));
	list = complete_word(sh, context, text, &files);
	for (unsigned i = 0; i < list->len; i++)
		printf("%s\n", (char *)list->pdata[i]);
	if (files != COMPLETE_NOTHING)
		printf("%s\n", files == COMPLETE_DIR ? "<folders>" : "<files>");
	return true;
}

/* Commands whose name begins with the word: "help image". */
static bool help_family(struct shell *sh, const char *word, unsigned width, GError **error)
{
	g_autofree char *prefix = g_strconcat(word, " ", NULL);
	const struct command *cmd;
	bool any = false;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		g_autofree char *synopsis = command_synopsis(cmd);

		if (!g_str_has_prefix(cmd->name, prefix))
			continue;
		printf("%s\n    %s\n", synopsis, cmd->summary);
		any = true;
	}
	return any;
}

static bool cmd_help(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "command");
	unsigned width = sh->out.width ? sh->out.width : 80, used;
	g_autofree char *text = NULL;
	const struct command *cmd;

	if (args_given(args, "commands"))
		return print_names();
	if (args_given(args, "manual")) {
		text = command_manual();
		fputs(text, stdout);
		return true;
	}
	if (args_given(args, "complete"))
		return print_candidates(sh, args_text(args, "complete"));
	if (words->len == 1 &&
	    help_family(sh, ((struct word *)words->pdata[0])->text, width, error))
		return true;
	cmd = words->len > 0 ? command_find(words, &used, error) : NULL;
	if (words->len > 0 && !cmd)
		return false;
	text = cmd ? command_help(cmd, width) : command_overview(width);
	fputs(text, stdout);
	return true;
}

static bool cmd_cd(struct shell *sh, struct command_args *args, GError **error)
{
	const char *folder =
		args_text(args, "folder") ? args_text(args, "folder") : g_get_home_dir();

	if (chdir(folder) == 0)
		return true;
	g_set_error(error, VMM_ERROR, VMM_ERR_SYSTEM, "cd '%s': %s", folder, g_strerror(errno));
	return false;
}

static bool cmd_pwd(struct shell *sh, struct command_args *args, GError **error)
{
	g_autofree char *folder = g_get_current_dir();

	shell_print_text(sh, args, "folder", folder);
	return true;
}

static bool cmd_echo(struct shell *sh, struct command_args *args, GError **error)
{
	const GPtrArray *words = args_words(args, "word");

	for (unsigned i = 0; i < words->len; i++)
		printf("%s%s", i > 0 ? " " : "", ((struct word *)words->pdata[i])->text);
	printf("\n");
	return true;
}

static bool cmd_quit(struct shell *sh, struct command_args *args, GError **error)
{
	sh->quit = true;
	return true;
}

static bool cmd_connect(struct shell *sh, struct command_args *args, GError **error)
{
	const char *uri = args_text(args, "uri");

	shell_disconnect(sh);
	g_free(sh->uri);
	sh->uri = g_strdup(uri);
	sh->connect_flags = args_given(args, "readonly") ? VMM_CONNECT_RO : 0;
	/* of several each is connected to when it is asked */
	if (hosts_are_several(sh))
		return true;
	if (!shell_connect(sh, error))
		return false;
	if (sh->interactive)
		shell_say(sh, "Connected to %s", vmm_connect_uri(sh->conn));
	return true;
}

/* ---- commands about commands ---- */

static bool cmd_time(struct shell *sh, struct command_args *args, GError **error)
{
	gint64 begun = g_get_monotonic_time();
	bool ok;

	sh->one_shot = false;	/* there is more to do after the command */
	ok = shell_run_inner(sh, args_words(args, "command"), error);
	fflush(stdout);
	fprintf(stderr, "real %.3f s\n", (g_get_monotonic_time() - begun) / 1e6);
	return ok;
}

static bool cmd_alias(struct shell *sh, struct command_args *args, GError **error)
{
	static const struct column columns[] = {
		{ "Alias", "alias", 0 }, { "Command", "command", COLUMN_SHRINK }, { 0 },
	};
	const GPtrArray *words = args_words(args, "command");
	g_autoptr(GPtrArray) names = NULL;
	g_autoptr(table) t = NULL;

	if (words->len > 0)
		return rc_set_alias(sh, args_text(args, "name"), words, 0, error);
	names = rc_alias_names(sh);
	t = table_new(columns);
	for (unsigned i = 0; i < names->len; i++) {
		g_autofree char *text = rc_alias_text(sh, names->pdata[i]);

		if (args_given(args, "name") &&
		    !g_str_equal(args_text(args, "name"), names->pdata[i]))
			continue;
		table_text(t, names->pdata[i]);
		table_text(t, text);
	}
	shell_print_table(sh, args, t);
	return true;
}

static bool cmd_unalias(struct shell *sh, struct command_args *args, GError **error)
{
	const char *name = args_text(args, "name");

	return rc_remove_alias(sh, name) || usage_error(error, "there is no alias '%s'", name);
}

static const struct option_def options_time[] = {
	{ .name = "command", .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_REQUIRED | OPT_MANY, .complete = COMPLETE_LINE,
	  .value = "COMMAND", .help = "with its own options" },
	{ 0 },
};

#define OPTION_ALIAS(required) { \
	.name = "name", .kind = OPT_STRING, .flags = OPT_POSITION | (required), \
	.complete = COMPLETE_ALIAS, .value = "NAME", .help = "the new word", \
}

static const struct option_def options_alias[] = {
	OPTION_ALIAS(0),
	{ .name = "command", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY,
	  .complete = COMPLETE_LINE, .value = "COMMAND", .help = "what it stands for" },
	{ 0 },
};

static const struct option_def options_unalias[] = { OPTION_ALIAS(OPT_REQUIRED), { 0 } };

static const struct option_def options_help[] = {
	{ .name = "command",
	  .kind = OPT_STRING,
	  .flags = OPT_POSITION | OPT_MANY,
	  .complete = COMPLETE_COMMAND,
	  .value = "COMMAND",
	  .help = "show this command's page" },
	OPTION_FLAG("commands", "print the names of all commands, one a line"),
	OPTION_HIDDEN_FLAG("manual"),
	{ .name = "complete",
	  .kind = OPT_STRING,
	  .flags = OPT_HIDDEN,
	  .value = "LINE",
	  .help = "" },
	{ 0 },
};

static const struct option_def options_cd[] = {
	{ .name = "folder", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_DIR,
	  .value = "FOLDER", .help = "where to go; your home folder if not given" },
	{ 0 },
};

static const struct option_def options_echo[] = {
	{ .name = "word", .kind = OPT_STRING, .flags = OPT_POSITION | OPT_MANY, .value = "WORD",
	  .help = "what to print" },
	{ 0 },
};

static const struct option_def options_connect[] = {
	{ .name = "uri", .kind = OPT_STRING, .flags = OPT_POSITION, .complete = COMPLETE_HOST,
	  .value = "URI",
	  .help = "vmm:///system, vmm:///session, vmm+unix:///system?socket=PATH or a host of "
		  "vmshrc; the default one if not given" },
	OPTION_FLAG("readonly", "without the right to change anything"),
	{ 0 },
};

#define GROUP "The shell"

const struct command commands_shell[] = {
	{ "help", GROUP, "list the commands, or show one's page", options_help, COMMAND_OFFLINE,
	  cmd_help },
	{ "connect", GROUP, "connect to a daemon", options_connect, COMMAND_OFFLINE, cmd_connect },
	{ "top", GROUP, "watch the fleet: states, processor, memory, disks, network", options_top,
	  COMMAND_JSON, cmd_top, "h shows the keys: sorting, starting, stopping, attaching." },
	{ "watch", GROUP, "run a command again and again, on the whole screen", options_watch,
	  COMMAND_OFFLINE | COMMAND_REST, cmd_watch, "q and Ctrl-C end it." },
	{ "sql", GROUP, "ask for anything of the fleet", options_sql,
	  COMMAND_JSON | COMMAND_HOSTS, cmd_sql,
	  "The tables are made for the query, with few calls for all domains, and can only be "
	  "read. The expressions that choose domains elsewhere are about table domains.\n"
	  "rss_mb is what the domain's worker has of the host's memory, the guest's included. "
	  "boot_ms is the time from the wish to start the domain to its processors' first "
	  "instruction: what the guest then does is not in it. Times are seconds since 1970." },
	{ "time", GROUP, "tell how long a command takes", options_time,
	  COMMAND_OFFLINE | COMMAND_REST, cmd_time },
	{ "alias", GROUP, "give a command a shorter name, for this session", options_alias,
	  COMMAND_OFFLINE | COMMAND_REST | COMMAND_JSON, cmd_alias,
	  "Without a command: print them. For good they are lines of ~/.config/vmm/vmshrc." },
	{ "unalias", GROUP, "forget an alias", options_unalias, COMMAND_OFFLINE, cmd_unalias },
	{ "cd", GROUP, "change the working folder", options_cd, COMMAND_OFFLINE, cmd_cd },
	{ "pwd", GROUP, "print the working folder", NULL, COMMAND_OFFLINE | COMMAND_JSON, cmd_pwd },
	{ "echo", GROUP, "print words", options_echo, COMMAND_OFFLINE, cmd_echo },
	{ "quit", GROUP, "leave the shell", NULL, COMMAND_OFFLINE, cmd_quit },
	{ "exit", GROUP, "leave the shell", NULL, COMMAND_OFFLINE, cmd_quit },
	{ 0 },
};
