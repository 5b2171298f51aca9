/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The COMMANDS of vmsh(1), made of the command tables, in mdoc(7). */
#include "config.h"

#include <string.h>

#include "vmsh/command.h"

/* Nothing of text is a request or an escape. */
static void append_text(GString *s, const char *text)
{
	if (*text == '.' || *text == '\'')
		g_string_append(s, "\\&");
	for (; *text; text++) {
		if (*text == '\\')
			g_string_append(s, "\\e");
		else
			g_string_append_c(s, *text);
	}
}

static bool is_plain_word(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz");

	return n > 0 && (!text[n] || strchr(" ,;", text[n]));
}

/* A sentence: a plain word at its begin is capitalized, names of things are not. */
static void append_sentence(GString *s, const char *text)
{
	size_t at = s->len;

	append_text(s, text);
	if (is_plain_word(text))
		s->str[at] = g_ascii_toupper(s->str[at]);
	if (*text && !strchr(".:)", text[strlen(text) - 1]))
		g_string_append_c(s, '.');
	g_string_append_c(s, '\n');
}

/* "Ar FILE ...", "Oo Fl Fl paused Oc", "Oo Fl f Ar raw|qcow2 Oc" */
static void append_usage(GString *s, const struct option_def *opt)
{
	bool optional = !(opt->flags & OPT_REQUIRED);
	g_autofree char *value = option_value(opt);

	g_string_append(s, optional ? " Oo" : "");
	if (opt->flags & OPT_POSITION)
		g_string_append_printf(s, " Ar %s", value);
	else if (opt->letter && opt->kind != OPT_FLAG)
		g_string_append_printf(s, " Fl %c Ar %s", opt->letter, value);
	else
		g_string_append_printf(s, " Fl Fl %s%s%s", opt->name, value ? " Ar " : "",
				       value ? value : "");
	g_string_append(s, opt->flags & OPT_MANY ? " ..." : "");
	g_string_append(s, optional ? " Oc" : "");
}

static void append_option(GString *s, const struct option_def *opt)
{
	g_autofree char *value = option_value(opt);

	g_string_append(s, ".It");
	if (opt->flags & OPT_POSITION) {
		g_string_append_printf(s, " Ar %s", value);
	} else {
		if (opt->letter)
			g_string_append_printf(s, " Fl %c ,", opt->letter);
		g_string_append_printf(s, " Fl Fl %s%s%s", opt->name, value ? " Ar " : "",
				       value ? value : "");
	}
	g_string_append_c(s, '\n');
	append_sentence(s, opt->help);
}

/* What the page's introduction says of all commands is not said of each. */
static bool is_described(const struct option_def *opt)
{
	static const char *const common[] = { "help", "json", "output", "domain", NULL };
	bool domain = g_str_equal(opt->name, "domain") && !(opt->flags & OPT_POSITION);

	return !(opt->flags & OPT_HIDDEN) && (domain || !g_strv_contains(common, opt->name));
}

static void append_options(GString *s, const struct command *cmd)
{
	const struct option_def *opt;
	bool any = false;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		if (!is_described(opt))
			continue;
		g_string_append(s, any ? "" : ".Bl -tag -width Ds -compact\n");
		append_option(s, opt);
		any = true;
	}
	g_string_append(s, any ? ".El\n" : "");
}

static void append_command(GString *s, const struct command *cmd)
{
	const struct option_def *opt;

	g_string_append_printf(s, ".It Ic %s", cmd->name);
	for (int position = 1; position >= 0; position--) {
		for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
			if (!!(opt->flags & OPT_POSITION) == position &&
			    !(opt->flags & OPT_HIDDEN) && !g_str_equal(opt->name, "help"))
				append_usage(s, opt);
		}
	}
	g_string_append_c(s, '\n');
	append_sentence(s, cmd->summary);
	append_options(s, cmd);
	if (cmd->flags & COMMAND_HOSTS)
		g_string_append(s, ".Pp\nSeveral hosts can be asked at once.\n");
	if (cmd->more) {
		g_auto(GStrv) lines = g_strsplit(cmd->more, "\n", 0);

		for (unsigned i = 0; lines[i]; i++) {
			g_string_append(s, ".Pp\n");
			append_sentence(s, lines[i]);
		}
	}
}

char *command_manual(void)
{
	GString *s = g_string_new(NULL);
	const struct command *cmd;

	for (const char *group = NULL; (group = command_group_next(group));) {
		g_string_append_printf(s, ".Ss %s\n.Bl -tag -width Ds\n", group);
		for (unsigned i = 0; (cmd = command_at(i)); i++)
			if (g_str_equal(cmd->group, group))
				append_command(s, cmd);
		g_string_append(s, ".El\n");
	}
	return g_string_free(s, FALSE);
}
