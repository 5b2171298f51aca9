/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help pages, made of the command tables. */
#include "config.h"

#include <string.h>

#include "vmsh/command.h"
#include "vmsh/table.h"

char *option_value(const struct option_def *opt)
{
	if (opt->kind == OPT_FLAG)
		return NULL;
	if (opt->words && !opt->value)
		return g_strdelimit(g_strdup(opt->words), " ", '|');
	return g_strdup(opt->value ? opt->value : "VALUE");
}

static void append_value(GString *s, const struct option_def *opt)
{
	g_autofree char *value = option_value(opt);

	g_string_append(s, value ? value : "");
}

static void append_synopsis(GString *s, const struct option_def *opt)
{
	bool optional = !(opt->flags & OPT_REQUIRED);

	g_string_append(s, optional ? " [" : " ");
	if (opt->flags & OPT_POSITION)
		append_value(s, opt);
	else if (opt->letter && (strlen(opt->name) == 1 || opt->kind != OPT_FLAG))
		g_string_append_printf(s, "-%c", opt->letter);
	else
		g_string_append_printf(s, "--%s", opt->name);
	if (!(opt->flags & OPT_POSITION) && opt->kind != OPT_FLAG) {
		g_string_append_c(s, ' ');
		append_value(s, opt);
	}
	g_string_append(s, optional ? "]" : "");
	g_string_append(s, opt->flags & OPT_MANY ? "..." : "");
}

char *command_synopsis(const struct command *cmd)
{
	GString *s = g_string_new(cmd->name);
	const struct option_def *opt;

	for (int position = 1; position >= 0; position--) {
		for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
			if (!!(opt->flags & OPT_POSITION) != position ||
			    (opt->flags & OPT_HIDDEN) || g_str_equal(opt->name, "help"))
				continue;
			append_synopsis(s, opt);
		}
	}
	return g_string_free(s, FALSE);
}

static char *option_term(const struct option_def *opt)
{
	GString *s = g_string_new(NULL);

	if (opt->flags & OPT_POSITION) {
		append_value(s, opt);
		return g_string_free(s, FALSE);
	}
	if (opt->letter)
		g_string_append_printf(s, "-%c, ", opt->letter);
	g_string_append_printf(s, "--%s", opt->name);
	if (opt->kind != OPT_FLAG) {
		g_string_append_c(s, ' ');
		append_value(s, opt);
	}
	return g_string_free(s, FALSE);
}

#define TERM_COLUMNS 24

static void append_term(GString *s, const char *term, const char *text, unsigned width)
{
	g_string_append_printf(s, "  %-*s", TERM_COLUMNS - 2, term);
	if (strlen(term) > TERM_COLUMNS - 4)
		g_string_append_printf(s, "\n%*s", TERM_COLUMNS, "");
	text_append_wrapped(s, text, TERM_COLUMNS, width);
}

static void append_paragraphs(GString *s, const char *text, unsigned width)
{
	g_auto(GStrv) lines = g_strsplit(text, "\n", 0);

	for (unsigned i = 0; lines[i]; i++) {
		g_string_append(s, "\n  ");
		text_append_wrapped(s, lines[i], 2, width);
	}
}

char *command_help(const struct command *cmd, unsigned width)
{
	g_autofree char *synopsis = command_synopsis(cmd);
	GString *s = g_string_new(NULL);
	const struct option_def *opt;

	g_string_append_printf(s, "%s: %s\n\nUsage: ", cmd->name, cmd->summary);
	text_append_wrapped(s, synopsis, 7, width);
	g_string_append_c(s, '\n');
	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		g_autofree char *term = option_term(opt);

		if (!(opt->flags & OPT_HIDDEN))
			append_term(s, term, opt->help, width);
	}
	if (cmd->flags & COMMAND_HOSTS)
		append_paragraphs(s, "Several hosts can be asked at once: vmsh -c HOST,HOST",
				  width);
	if (cmd->more)
		append_paragraphs(s, cmd->more, width);
	return g_string_free(s, FALSE);
}

char *command_overview(unsigned width)
{
	GString *s = g_string_new(NULL);
	const struct command *cmd;

	for (const char *group = NULL; (group = command_group_next(group));) {
		g_string_append_printf(s, "%s%s:\n", s->len ? "\n" : "", group);
		for (unsigned i = 0; (cmd = command_at(i)); i++)
			if (g_str_equal(cmd->group, group))
				append_term(s, cmd->name, cmd->summary, width);
	}
	g_string_append(s, "\n\"help COMMAND\" shows one command's options.\n");
	return g_string_free(s, FALSE);
}
