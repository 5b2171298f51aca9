/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What could come next on a line, from the command tables. */
#include "config.h"
#include "vmsh/complete.h"

#include <string.h>

#include "vmsh/domain-xml.h"
#include "vmsh/rc.h"
#include "vmsh/sql.h"
#include "vmsh/words.h"

#define CACHE_US (2 * G_USEC_PER_SEC)

/* Names of domains, asked for a moment ago: a person who presses Tab presses it again. */
struct complete_cache {
	unsigned flags;
	gint64 at_us;
	char *uri;
	GPtrArray *names;
};

void complete_cache_free(struct complete_cache *c)
{
	if (!c)
		return;
	g_free(c->uri);
	g_ptr_array_unref(c->names);
	g_free(c);
}

static void add(GPtrArray *list, const char *text, const char *candidate)
{
	if (g_str_has_prefix(candidate, text))
		g_ptr_array_add(list, g_strdup(candidate));
}

static void add_once(GPtrArray *list, const char *text, const char *candidate)
{
	if (!g_ptr_array_find_with_equal_func(list, candidate, g_str_equal, NULL))
		add(list, text, candidate);
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
			add_once(list, text, parts[at]);
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

/* NULL: nobody answers. */
static GPtrArray *domain_names(struct shell *sh, unsigned flags)
{
	struct complete_cache *c = sh->completions;
	g_autoptr(GPtrArray) all = NULL;
	vmm_connect *conn;

	if (c && c->flags == flags && g_get_monotonic_time() - c->at_us < CACHE_US &&
	    g_strcmp0(c->uri, sh->uri) == 0)
		return c->names;
	conn = shell_connect(sh, NULL);
	all = conn ? vmm_domain_list(conn, flags, NULL) : NULL;
	if (!all)
		return NULL;
	complete_cache_free(c);
	sh->completions = c = g_new0(struct complete_cache, 1);
	c->flags = flags;
	c->at_us = g_get_monotonic_time();
	c->uri = g_strdup(sh->uri);
	c->names = g_ptr_array_new_full(all->len, g_free);
	for (unsigned i = 0; i < all->len; i++)
		g_ptr_array_add(c->names, g_strdup(vmm_domain_name(all->pdata[i])));
	return c->names;
}

static void add_domains(GPtrArray *list, struct shell *sh, enum opt_complete what, const char *text)
{
	unsigned flags = what == COMPLETE_ACTIVE ? VMM_LIST_ACTIVE :
			 what == COMPLETE_INACTIVE ? VMM_LIST_INACTIVE : 0;
	const GPtrArray *names = domain_names(sh, flags);

	for (unsigned i = 0; names && i < names->len; i++)
		add(list, text, names->pdata[i]);
}

/* Targets of disks, or addresses of cards. */
static void add_devices(GPtrArray *list, struct shell *sh, enum opt_complete what,
			const char *domain, const char *text)
{
	vmm_connect *conn = domain ? shell_connect(sh, NULL) : NULL;
	g_autoptr(vmm_domain) dom = conn ? vmm_domain_lookup(conn, domain, NULL) : NULL;
	g_autofree char *xml = dom ? vmm_domain_xml(dom, 0, NULL) : NULL;
	g_autoptr(GPtrArray) disks =
		xml && what == COMPLETE_DISK ? xml_disks(xml, NULL) : NULL;
	g_autoptr(GPtrArray) ifaces =
		xml && what == COMPLETE_IFACE ? xml_ifaces(xml, NULL) : NULL;

	for (unsigned i = 0; disks && i < disks->len; i++)
		add(list, text, ((struct xml_disk *)disks->pdata[i])->target);
	for (unsigned i = 0; ifaces && i < ifaces->len; i++) {
		const struct xml_iface *f = ifaces->pdata[i];

		if (f->name || f->mac)
			add(list, text, f->name ? f->name : f->mac);
	}
}

static void add_snapshots(GPtrArray *list, struct shell *sh, const char *domain, const char *text)
{
	vmm_connect *conn = domain ? shell_connect(sh, NULL) : NULL;
	g_autoptr(vmm_domain) dom = conn ? vmm_domain_lookup(conn, domain, NULL) : NULL;
	g_auto(GStrv) names = dom ? vmm_snapshot_list(dom, 0, NULL) : NULL;

	for (unsigned i = 0; names && names[i]; i++)
		add(list, text, names[i]);
}

static void add_pools(GPtrArray *list, struct shell *sh, const char *text)
{
	vmm_connect *conn = shell_connect(sh, NULL);
	g_autoptr(GPtrArray) all = conn ? vmm_pool_list(conn, 0, NULL) : NULL;

	for (unsigned i = 0; all && i < all->len; i++)
		add(list, text, vmm_pool_name(all->pdata[i]));
}

static void add_networks(GPtrArray *list, struct shell *sh, const char *text)
{
	vmm_connect *conn = shell_connect(sh, NULL);
	g_autoptr(GPtrArray) all = conn ? vmm_network_list(conn, 0, NULL) : NULL;

	for (unsigned i = 0; all && i < all->len; i++)
		add(list, text, vmm_network_name(all->pdata[i]));
}

static void add_volumes(GPtrArray *list, struct shell *sh, const char *pool, const char *text)
{
	vmm_connect *conn = pool ? shell_connect(sh, NULL) : NULL;
	g_autoptr(vmm_pool) found = conn ? vmm_pool_lookup(conn, pool, NULL) : NULL;
	g_auto(GStrv) names = found ? vmm_pool_volumes(found, NULL) : NULL;

	for (unsigned i = 0; names && names[i]; i++)
		add(list, text, names[i]);
}

static void add_all(GPtrArray *list, GPtrArray *names, const char *text)
{
	for (unsigned i = 0; i < names->len; i++)
		add(list, text, names->pdata[i]);
	g_ptr_array_unref(names);
}

/* The last name of "name,st", or of "vcpus > 1 and sta". */
static void add_columns(GPtrArray *list, const char *text)
{
	const char *name = text + strlen(text), *column;
	g_autofree char *before = NULL;

	while (name > text && (g_ascii_isalpha(name[-1]) || name[-1] == '_'))
		name--;
	before = g_strndup(text, name - text);
	for (unsigned i = 0; (column = sql_domain_column(NULL, i)); i++) {
		g_autofree char *whole = g_strconcat(before, column, NULL);

		add(list, text, whole);
	}
}

static void add_words(GPtrArray *list, const char *words, const char *text)
{
	g_auto(GStrv) each = g_strsplit(words, " ", 0);

	for (unsigned i = 0; each[i]; i++)
		add(list, text, each[i]);
}

/* What the words before say that others depend on. */
struct context {
	const char *domain;	/* the first plain word; NULL */
	const char *pool;	/* the value of --pool, or the second plain word; NULL */
};

static void add_values(GPtrArray *list, struct shell *sh, const struct option_def *opt,
		       const struct context *context, const char *text,
		       enum opt_complete *ret_files)
{
	g_autoptr(GPtrArray) no_words = NULL;

	switch (opt->complete) {
	case COMPLETE_NOTHING:
		break;
	case COMPLETE_WORDS:
		add_words(list, opt->words, text);
		break;
	case COMPLETE_DOMAIN:
	case COMPLETE_ACTIVE:
	case COMPLETE_INACTIVE:
		add_domains(list, sh, opt->complete, text);
		break;
	case COMPLETE_SNAPSHOT:
		add_snapshots(list, sh, context->domain, text);
		break;
	case COMPLETE_DISK:
	case COMPLETE_IFACE:
		add_devices(list, sh, opt->complete, context->domain, text);
		break;
	case COMPLETE_NETWORK:
		add_networks(list, sh, text);
		break;
	case COMPLETE_POOL:
		add_pools(list, sh, text);
		break;
	case COMPLETE_VOLUME:
		add_volumes(list, sh, context->pool, text);
		*ret_files = context->pool ? COMPLETE_NOTHING : COMPLETE_FILE;
		break;
	case COMPLETE_COMMAND:
	case COMPLETE_LINE:
		no_words = g_ptr_array_new();
		g_ptr_array_add(no_words, NULL);
		add_commands(list, no_words, 0, text);
		break;
	case COMPLETE_HOST:
		add_all(list, rc_host_names(sh), text);
		break;
	case COMPLETE_ALIAS:
		add_all(list, rc_alias_names(sh), text);
		break;
	case COMPLETE_COLUMN:
	case COMPLETE_EXPRESSION:
		add_columns(list, text);
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
	const char *begun = words_text(words, words->len - 1);
	const struct option_def *opt = NULL;
	struct context context = { 0 };
	unsigned plain = 0;

	for (unsigned i = used; i + 1 < words->len; i++) {
		const char *word = words_text(words, i);

		if (opt) {
			if (g_str_equal(opt->name, "pool"))
				context.pool = word;
			opt = NULL;
			continue;
		}
		opt = option_waiting(cmd, word);
		if (word[0] == '-')
			continue;
		if (plain == 0)
			context.domain = word;
		else if (plain == 1 && !context.pool)
			context.pool = word;
		plain++;
	}
	if (!opt && g_str_has_prefix(begun, "--") && g_str_has_suffix(begun, "="))
		opt = find_option(cmd, begun + 2, strlen(begun) - 3);
	else if (!opt && text[0] != '-')
		opt = position_after(cmd, plain);
	if (opt)
		add_values(list, sh, opt, &context, text, ret_files);
	else
		add_options(list, cmd, text);
}

/* Where another command's line begins behind cmd's own words; 0: not yet. */
static unsigned inner_line(const struct command *cmd, const GPtrArray *words, unsigned used)
{
	const struct option_def *opt;
	unsigned plain = 0;

	for (unsigned i = used; (cmd->flags & COMMAND_REST) && i < words->len; i++) {
		const char *word = words_text(words, i);

		opt = position_after(cmd, plain);
		if (opt && opt->complete == COMPLETE_LINE && word[0] != '-')
			return i;
		if (option_waiting(cmd, word))
			i++;
		else if (word[0] != '-')
			plain++;
	}
	return 0;
}

static void complete_words(GPtrArray *list, struct shell *sh, const GPtrArray *given,
			   const char *text, enum opt_complete *ret_files)
{
	g_autoptr(GPtrArray) words = g_ptr_array_new();
	const struct command *cmd = NULL;
	unsigned used = 0, inner;

	g_ptr_array_extend(words, (GPtrArray *)given, NULL, NULL);
	if (words->len > 1) {
		g_autoptr(GPtrArray) expanded = rc_expand(sh, words);

		cmd = command_find(expanded, &used, NULL);
		g_ptr_array_set_size(words, 0);
		g_ptr_array_extend(words, expanded, NULL, NULL);
	}
	if (!cmd || used >= words->len) {
		add_commands(list, words, 0, text);
		if (words->len == 1)
			add_all(list, rc_alias_names(sh), text);
		return;
	}
	inner = inner_line(cmd, words, used);
	if (inner) {
		g_ptr_array_remove_range(words, 0, inner);
		complete_words(list, sh, words, text, ret_files);
	} else {
		complete_argument(list, sh, cmd, words, used, text, ret_files);
	}
}

GPtrArray *complete_word(struct shell *sh, const char *context, const char *text,
			 enum opt_complete *ret_files)
{
	GPtrArray *list = g_ptr_array_new_with_free_func(g_free);
	g_autoptr(GPtrArray) words = NULL;
	enum word_op op;
	char quote;

	*ret_files = COMPLETE_NOTHING;
	words = words_split_partial(context, &quote);
	op = ((struct word *)words->pdata[words->len - 1])->op;
	if (op == WORD_PLAIN)
		complete_words(list, sh, words, text, ret_files);
	else
		*ret_files = COMPLETE_FILE;
	return list;
}
