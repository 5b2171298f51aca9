/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Commands as tables: finding one, and its options. */
#include "config.h"
#include "vmsh/command.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/nearest.h"
#include "vmsh/commands.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

static const struct command *const tables[] = {
	commands_domain,
	commands_console,
	commands_console_log,
	commands_exec,
	commands_agent, commands_copy,
	commands_reach,
	commands_guest,
	commands_create,
	commands_save,
	commands_info,
	commands_history,
	commands_log,
	commands_plan,
	commands_graph,
	commands_network,
	commands_pool,
	commands_vol,
	commands_device,
	commands_stat,
	commands_block,
	commands_snapshot_create,
	commands_snapshot,
	commands_host,
	commands_image,
	commands_image_snapshot,
	commands_image_convert,
	commands_image_bench,
	commands_shell,
	commands_web,
};

const struct command *command_at(unsigned i)
{
	for (unsigned t = 0; t < ARRAY_SIZE(tables); t++) {
		for (const struct command *cmd = tables[t]; cmd->name; cmd++) {
			if (i-- == 0)
				return cmd;
		}
	}
	return NULL;
}

static bool group_is_new(const char *group, unsigned before)
{
	for (unsigned i = 0; i < before; i++)
		if (g_str_equal(command_at(i)->group, group))
			return false;
	return true;
}

const char *command_group_next(const char *group)
{
	const struct command *cmd;
	bool behind = !group;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		if (!group_is_new(cmd->group, i))
			continue;
		if (behind)
			return cmd->group;
		behind = g_str_equal(cmd->group, group);
	}
	return NULL;
}

/* How many words of the line are this command's name; 0 if they are not. */
static unsigned name_matches(const char *name, const GPtrArray *words)
{
	g_auto(GStrv) parts = g_strsplit(name, " ", 0);
	unsigned i = 0;

	for (; parts[i]; i++) {
		if (g_strcmp0(parts[i], words_text(words, i)) != 0)
			return 0;
	}
	return i;
}

static const char *command_name_at(const void *arg, unsigned i)
{
	const struct command *cmd = command_at(i);

	return cmd ? cmd->name : NULL;
}

/* "image" alone, or "image" and a word that is none of its commands. */
static bool is_family(const char *word)
{
	g_autofree char *prefix = g_strconcat(word, " ", NULL);
	const struct command *cmd;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		if (g_str_has_prefix(cmd->name, prefix))
			return true;
	}
	return false;
}

const struct command *command_find(const GPtrArray *words, unsigned *ret_used, GError **error)
{
	g_autofree char *said = NULL;
	const struct command *cmd;
	const char *near;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		unsigned used = name_matches(cmd->name, words);

		if (used > 0) {
			*ret_used = used;
			return cmd;
		}
	}
	said = g_strdup(words_text(words, 0));
	if (is_family(said) && words_text(words, 1)) {
		g_autofree char *one = g_steal_pointer(&said);

		said = g_strdup_printf("%s %s", one, words_text(words, 1));
	} else if (is_family(said)) {
		usage_error(error, "'%s' needs a command after it: help %s", said, said);
		return NULL;
	}
	near = nearest(said, command_name_at, NULL);
	if (near)
		usage_error(error, "unknown command '%s': did you mean '%s'?", said, near);
	else
		usage_error(error, "unknown command '%s': help lists the commands", said);
	return NULL;
}

#define OPTION_OUTPUT \
	.name = "output", .kind = OPT_STRING, .complete = COMPLETE_WORDS, \
	.words = "table json xml csv human", .value = "table|json|xml|csv", \
	.help = "how to print it"

static const struct option_def opt_output = { OPTION_OUTPUT, .letter = 'o' };
static const struct option_def opt_output_long = { OPTION_OUTPUT };
static const struct option_def opt_json = {
	.name = "json", .kind = OPT_FLAG, .flags = OPT_HIDDEN, .help = "as --output json",
};
static const struct option_def opt_help = {
	.name = "help", .letter = 'h', .kind = OPT_FLAG, .help = "show this page",
};

const struct option_def *command_option(const struct command *cmd, unsigned i)
{
	bool has_o = false;
	unsigned n = 0;

	while (cmd->options && cmd->options[n].name) {
		if (n == i)
			return &cmd->options[n];
		has_o |= cmd->options[n].letter == 'o';
		n++;
	}
	if ((cmd->flags & COMMAND_JSON) && i == n++)
		return has_o ? &opt_output_long : &opt_output;
	if ((cmd->flags & COMMAND_JSON) && i == n++)
		return &opt_json;
	return i == n ? &opt_help : NULL;
}
