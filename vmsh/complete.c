/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What could come next on a line, from the command tables. */
#include "config.h"
#include "vmsh/complete.h"

#include <string.h>

#include "vmsh/words.h"

static void add(GPtrArray *list, const char *text, const char *candidate)
{
	if (g_str_has_prefix(candidate, text) &&
	    !g_ptr_array_find_with_equal_func(list, candidate, g_str_equal, NULL))
		g_ptr_array_add(list, g_strdup(candidate));
}

/* The next word of every command's name that begins with the n words so far. */
static void add_commands(GPtrArray *list, const GPtrArray *words, unsigned first, const char *text)
{
	const struct command *cmd;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		g_auto(GStrv) parts = g_strsplit(cmd->name, " ", 0);
		unsigned at = 0;

		while (parts[at] && first + at + 1 < words->len &&
		       g_str_equal(parts[at], ((struct word *)words->pdata[first + at])->text))
			at++;
		if (parts[at] && first + at + 1 == words->len)
			add(list, text, parts[at]);
	}
}

static void add_options(GPtrArray *list, const struct command *cmd, const char *text)
{
	const struct option_def *opt;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		g_autofree char *name = g_strconcat("--", opt->name, NULL);

		if (!(opt->flags & (OPT_POSITION | OPT_HIDDEN)))
			add(list, text, name);
	}
}

static void add_domains(GPtrArray *list, struct shell *sh, enum opt_complete what, const char *text)
{
	unsigned flags = what == COMPLETE_ACTIVE ? VMM_LIST_ACTIVE :
			 what == COMPLETE_INACTIVE ? VMM_LIST_INACTIVE : 0;
	vmm_connect *conn = shell_connect(sh, NULL);
	g_autoptr(GPtrArray) all = conn ? vmm_domain_list(conn, flags, NULL) : NULL;

	for (unsigned i = 0; all && i < all->len; i++)
		add(list, text, vmm_domain_name(all->pdata[i]));
}

static void add_snapshots(GPtrArray *list, struct shell *sh, const char *domain, const char *text)
{
	vmm_connect *conn = domain ? shell_connect(sh, NULL) : NULL;
	g_autoptr(vmm_domain) dom = conn ? vmm_domain_lookup(conn, domain, NULL) : NULL;
	g_auto(GStrv) names = dom ? vmm_snapshot_list(dom, 0, NULL) : NULL;

	for (unsigned i = 0; names && names[i]; i++)
		add(list, text, names[i]);
}

/* domain: the first plain word of the line; NULL. */
static void add_pools(GPtrArray *list, struct shell *sh, const char *text)
{
	vmm_connect *conn = shell_connect(sh, NULL);
	g_autoptr(GPtrArray) all = conn ? vmm_pool_list(conn, 0, NULL) : NULL;

	for (unsigned i = 0; all && i < all->len; i++)
		add(list, text, vmm_pool_name(all->pdata[i]));
}

static void add_values(GPtrArray *list, struct shell *sh, const struct option_def *opt,
		       const char *domain, const char *text, enum opt_complete *ret_files)
{
	g_auto(GStrv) words = g_strsplit(opt->words ? opt->words : "", " ", 0);
	g_autoptr(GPtrArray) no_words = NULL;

	switch (opt->complete) {
	case COMPLETE_NOTHING:
		break;
	case COMPLETE_WORDS:
		for (unsigned i = 0; words[i]; i++)
			add(list, text, words[i]);
		break;
	case COMPLETE_DOMAIN:
	case COMPLETE_ACTIVE:
	case COMPLETE_INACTIVE:
		add_domains(list, sh, opt->complete, text);
		break;
	case COMPLETE_SNAPSHOT:
		add_snapshots(list, sh, domain, text);
		break;
	case COMPLETE_POOL:
		add_pools(list, sh, text);
		break;
	case COMPLETE_COMMAND:
		no_words = g_ptr_array_new();
		g_ptr_array_add(no_words, NULL);
		add_commands(list, no_words, 0, text);
		break;
	case COMPLETE_FILE:
	case COMPLETE_DIR:
		*ret_files = opt->complete;
		break;
	}
}

static const struct option_def *find_option(const struct command *cmd, const char *name, size_t n)
{
	const struct option_def *opt;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		if (strlen(opt->name) == n && strncmp(opt->name, name, n) == 0)
			return opt;
	}
	return NULL;
}

/* The option whose value the next word is: after "--name" or "-n"; else NULL. */
static const struct option_def *option_waiting(const struct command *cmd, const char *word)
{
	const struct option_def *opt = NULL, *each;

	if (g_str_has_prefix(word, "--") && !strchr(word, '='))
		opt = find_option(cmd, word + 2, strlen(word + 2));
	for (unsigned i = 0; word[0] == '-' && word[1] && !word[2] &&
			     (each = command_option(cmd, i)); i++) {
		if (each->letter == word[1])
			opt = each;
	}
	return opt && opt->kind != OPT_FLAG ? opt : NULL;
}

/* The position that the word behind n plain words takes. */
static const struct option_def *position_after(const struct command *cmd, unsigned n)
{
	const struct option_def *opt;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		if (!(opt->flags & OPT_POSITION))
			continue;
		if (n == 0 || (opt->flags & OPT_MANY))
			return opt;
		n--;
	}
	return NULL;
}

static void complete_argument(GPtrArray *list, struct shell *sh, const struct command *cmd,
			      const GPtrArray *words, unsigned used, const char *text,
			      enum opt_complete *ret_files)
{
	const struct option_def *opt = NULL;
	const char *begun = ((struct word *)words->pdata[words->len - 1])->text;
	const char *domain = NULL;
	unsigned plain = 0;

	for (unsigned i = used; i + 1 < words->len; i++) {
		const char *word = ((struct word *)words->pdata[i])->text;

		if (opt) {
			opt = NULL;
			continue;
		}
		opt = option_waiting(cmd, word);
		if (word[0] != '-' && plain++ == 0)
			domain = word;
	}
	if (!opt && g_str_has_prefix(begun, "--") && g_str_has_suffix(begun, "="))
		opt = find_option(cmd, begun + 2, strlen(begun) - 3);
	else if (!opt && text[0] != '-')
		opt = position_after(cmd, plain);
	if (opt)
		add_values(list, sh, opt, domain, text, ret_files);
	else
		add_options(list, cmd, text);
}

GPtrArray *complete_word(struct shell *sh, const char *context, const char *text,
			 enum opt_complete *ret_files)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) words = NULL;
	const struct command *cmd = NULL;
	unsigned used = 0;
	char quote;

	*ret_files = COMPLETE_NOTHING;
	words = words_split_partial(context, &quote);
	if (words->len > 1)
		cmd = command_find(words, &used, NULL);
	if (cmd && used < words->len)
		complete_argument(list, sh, cmd, words, used, text, ret_files);
	else
		add_commands(list, words, 0, text);
	return list;
}
