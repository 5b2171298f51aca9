/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* vmshrc: aliases, names of daemons, and which daemon by default. */
#include "config.h"
#include "vmsh/rc.h"

#include <errno.h>
#include <string.h>

#include "libvmm/util/error.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

#define ALIAS_DEPTH 8

struct rc {
	GHashTable *aliases;	/* name -> GPtrArray of struct word */
	GHashTable *hosts;	/* name -> uri */
	char *uri;		/* the default */
};

static struct rc *rc_of(struct shell *sh)
{
	if (sh->rc)
		return sh->rc;
	sh->rc = g_new0(struct rc, 1);
	sh->rc->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
						(GDestroyNotify)g_ptr_array_unref);
	sh->rc->hosts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
	return sh->rc;
}

void rc_free(struct shell *sh)
{
	if (!sh->rc)
		return;
	g_hash_table_unref(sh->rc->aliases);
	g_hash_table_unref(sh->rc->hosts);
	g_free(sh->rc->uri);
	g_clear_pointer(&sh->rc, g_free);
}

/* ---- aliases ---- */

GPtrArray *rc_expand(const struct shell *sh, const GPtrArray *given)
{
	GPtrArray *words = g_ptr_array_new();

	g_ptr_array_extend(words, (GPtrArray *)given, NULL, NULL);
	for (unsigned depth = 0; sh->rc && words->len > 0 && depth < ALIAS_DEPTH; depth++) {
		const struct word *first = words->pdata[0];
		GPtrArray *alias = g_hash_table_lookup(sh->rc->aliases, first->text);

		if (!alias || first->op != WORD_PLAIN)
			break;
		g_ptr_array_remove_index(words, 0);
		for (unsigned i = 0; i < alias->len; i++)
			g_ptr_array_insert(words, (int)i, alias->pdata[i]);
	}
	return words;
}

static bool is_command(const char *name)
{
	const struct command *cmd;

	for (unsigned i = 0; (cmd = command_at(i)); i++) {
		size_t n = strcspn(cmd->name, " ");

		if (strlen(name) == n && strncmp(cmd->name, name, n) == 0)
			return true;
	}
	return false;
}

bool rc_set_alias(struct shell *sh, const char *name, const GPtrArray *words, unsigned first,
		  GError **error)
{
	GPtrArray *alias;

	if (is_command(name))
		return usage_error(error, "alias: '%s' is a command already", name);
	if (g_str_equal(name, words_text(words, first)))
		return usage_error(error, "alias: '%s' cannot stand for itself", name);
	alias = g_ptr_array_new_with_free_func((GDestroyNotify)word_free);
	for (unsigned i = first; i < words->len; i++)
		g_ptr_array_add(alias, word_copy(words->pdata[i]));
	g_hash_table_replace(rc_of(sh)->aliases, g_strdup(name), alias);
	return true;
}

bool rc_is_alias(const struct shell *sh, const char *name)
{
	return sh->rc && g_hash_table_contains(sh->rc->aliases, name);
}

bool rc_remove_alias(struct shell *sh, const char *name)
{
	return g_hash_table_remove(rc_of(sh)->aliases, name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static GPtrArray *sorted_keys(GHashTable *of)
{
	GPtrArray *names = g_ptr_array_new_with_free_func(g_free);
	GHashTableIter iter;
	void *name;

	g_hash_table_iter_init(&iter, of);
	while (g_hash_table_iter_next(&iter, &name, NULL))
		g_ptr_array_add(names, g_strdup(name));
	g_ptr_array_sort(names, by_text);
	return names;
}

GPtrArray *rc_alias_names(const struct shell *sh)
{
	return sh->rc ? sorted_keys(sh->rc->aliases) : g_ptr_array_new();
}

GPtrArray *rc_host_names(const struct shell *sh)
{
	return sh->rc ? sorted_keys(sh->rc->hosts) : g_ptr_array_new();
}

char *rc_alias_text(const struct shell *sh, const char *name)
{
	static const char *const marks[] = {
		[WORD_PLAIN] = "", [WORD_FILE] = "> ", [WORD_APPEND] = ">> ", [WORD_PIPE] = "| ",
		[WORD_SHELL] = "!",
	};
	const GPtrArray *alias = sh->rc ? g_hash_table_lookup(sh->rc->aliases, name) : NULL;
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; alias && i < alias->len; i++) {
		const struct word *w = alias->pdata[i];
		bool as_is = w->op > WORD_APPEND || pattern_is_glob(w->pattern);
		g_autofree char *text = as_is ? g_strdup(w->text) : word_quote(w->text);

		g_string_append_printf(s, "%s%s%s", i > 0 ? " " : "", marks[w->op], text);
	}
	return g_string_free(s, FALSE);
}

/* ---- daemons ---- */

const char *rc_uri(const struct shell *sh, const char *text)
{
	const char *uri;

	if (!text && (g_getenv("VMM_DEFAULT_URI") || g_getenv("LIBVIRT_DEFAULT_URI")))
		return NULL;
	if (!text && sh->rc)
		text = sh->rc->uri;
	uri = text && sh->rc ? g_hash_table_lookup(sh->rc->hosts, text) : NULL;
	return uri ? uri : text;
}

/* ---- the file ---- */

static bool run_setting(struct shell *sh, const GPtrArray *words, GError **error)
{
	const char *what = words_text(words, 0), *name = words_text(words, 1);

	if (g_str_equal(what, "alias") && words->len > 2)
		return rc_set_alias(sh, name, words, 2, error);
	if (g_str_equal(what, "host") && words->len == 3) {
		g_hash_table_replace(rc_of(sh)->hosts, g_strdup(name),
				     g_strdup(words_text(words, 2)));
		return true;
	}
	if (g_str_equal(what, "connect") && words->len == 2) {
		g_free(rc_of(sh)->uri);
		sh->rc->uri = g_strdup(name);
		return true;
	}
	return usage_error(error, "a line is \"alias NAME COMMAND...\", \"host NAME URI\" or "
				  "\"connect URI\"");
}

static void load_line(struct shell *sh, const char *path, unsigned number, const char *line)
{
	g_autoptr(GError) error = NULL;
	g_autoptr(GPtrArray) commands = words_split(line, &error);
	bool ok = commands != NULL;

	for (unsigned i = 0; ok && i < commands->len; i++)
		ok = run_setting(sh, commands->pdata[i], &error);
	if (ok)
		return;
	g_prefix_error(&error, "%s:%u: ", path, number);
	shell_print_error(sh, error);
}

void rc_load(struct shell *sh)
{
	g_autofree char *path = g_build_filename(g_get_user_config_dir(), "vmm", "vmshrc", NULL);
	g_autoptr(GError) error = NULL;
	g_autofree char *text = NULL;
	g_auto(GStrv) lines = NULL;

	if (!g_file_get_contents(path, &text, NULL, &error)) {
		/* A home that is somebody else's, under sudo or su, has none for us. */
		if (!g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT) &&
		    !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_ACCES))
			shell_print_error(sh, error);
		return;
	}
	lines = g_strsplit(text, "\n", 0);
	for (unsigned i = 0; lines[i]; i++)
		load_line(sh, path, i + 1, lines[i]);
}
