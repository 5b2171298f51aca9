/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The words behind a command, parsed by its table. */
#include "config.h"

#include <string.h>

#include "libvmm/util/cleanup.h"
#include "libvmm/util/nearest.h"
#include "vmsh/command.h"
#include "vmsh/size.h"
#include "vmsh/usage.h"
#include "vmsh/words.h"

struct command_args {
	const struct command *cmd;
	GHashTable *values;	/* option name -> GPtrArray of struct word */
	GPtrArray *none;	/* what an option that was not given holds */
};

static struct command_args *args_new(const struct command *cmd)
{
	struct command_args *a = g_new0(struct command_args, 1);

	a->cmd = cmd;
	a->values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL,
					  (GDestroyNotify)g_ptr_array_unref);
	a->none = g_ptr_array_new();
	return a;
}

void args_free(struct command_args *a)
{
	if (!a)
		return;
	g_hash_table_unref(a->values);
	g_ptr_array_unref(a->none);
	g_free(a);
}

static const struct option_def *option_by_name(const struct command *cmd, const char *name)
{
	const struct option_def *opt;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		if (g_str_equal(opt->name, name))
			return opt;
	}
	return NULL;
}

static const struct option_def *option_by_letter(const struct command *cmd, char letter)
{
	const struct option_def *opt;

	for (unsigned i = 0; (opt = command_option(cmd, i)); i++) {
		if (opt->letter == letter)
			return opt;
	}
	return NULL;
}

static const char *option_name_at(const void *arg, unsigned i)
{
	const struct option_def *opt = command_option(arg, i);

	return opt ? opt->name : NULL;
}

static const struct option_def *unknown_option(const struct command *cmd, const char *name,
					       GError **error)
{
	const char *near = nearest(name, option_name_at, cmd);

	if (near)
		usage_error(error, "%s: unknown option --%s: did you mean --%s?", cmd->name, name,
			    near);
	else
		usage_error(error, "%s: unknown option --%s: help %s lists its options", cmd->name,
			    name, cmd->name);
	return NULL;
}

static const char *word_at(const void *arg, unsigned i)
{
	return ((const char *const *)arg)[i];
}

static bool word_check(const struct command *cmd, const struct option_def *opt, const char *word,
		       GError **error)
{
	g_auto(GStrv) words = g_strsplit(opt->words, " ", 0);
	g_autofree char *list = g_strjoinv("|", words);
	const char *near = nearest(word, word_at, words);

	if (g_strv_contains((const char *const *)words, word))
		return true;
	if (near)
		return usage_error(error, "%s: '%s' is not a value of %s: did you mean '%s'?",
				   cmd->name, word, opt->name, near);
	return usage_error(error, "%s: '%s' is not a value of %s, which are %s", cmd->name, word,
			   opt->name, list);
}

static bool value_check(const struct command *cmd, const struct option_def *opt, const char *text,
			GError **error)
{
	uint64_t n;

	if (opt->kind == OPT_NUMBER &&
	    !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &n, NULL))
		return usage_error(error, "%s: '%s' is no number, as %s must be", cmd->name, text,
				   opt->name);
	if (opt->kind == OPT_SIZE && !size_parse(text, 1, &n))
		return usage_error(error,
				   "%s: '%s' is no size: write a number and perhaps K, M, G or T",
				   cmd->name, text);
	if (opt->kind == OPT_TIME && !duration_parse(text, &n))
		return usage_error(error, "%s: '%s' is no time: write 500ms, 2s, 5m or 1h",
				   cmd->name, text);
	return opt->complete != COMPLETE_WORDS || word_check(cmd, opt, text, error);
}

static bool args_add(struct command_args *a, const struct option_def *opt, struct word *value,
		     GError **error)
{
	g_autoptr(shell_word) owned = value;
	GPtrArray *list = g_hash_table_lookup(a->values, opt->name);

	if (owned && !value_check(a->cmd, opt, owned->text, error))
		return false;
	if (list && opt->kind != OPT_FLAG && !(opt->flags & OPT_MANY))
		return usage_error(error, "%s: %s is given twice", a->cmd->name, opt->name);
	if (!list) {
		list = g_ptr_array_new_with_free_func((GDestroyNotify)word_free);
		g_hash_table_insert(a->values, (char *)opt->name, list);
	}
	if (owned)
		g_ptr_array_add(list, g_steal_pointer(&owned));
	return true;
}

/* The value that follows in the next word. */
static bool parse_next_value(struct command_args *a, const struct option_def *opt,
			     const GPtrArray *words, unsigned *i, GError **error)
{
	if (*i + 1 >= words->len)
		return usage_error(error, "%s: --%s needs a value (%s)", a->cmd->name, opt->name,
				   opt->value ? opt->value : "VALUE");
	(*i)++;
	return args_add(a, opt, word_copy(words->pdata[*i]), error);
}

/* "--name", "--name=value", "--name value" */
static bool parse_long(struct command_args *a, const GPtrArray *words, unsigned *i, GError **error)
{
	const char *text = words_text(words, *i) + 2;
	const char *equals = strchr(text, '=');
	g_autofree char *name = equals ? g_strndup(text, equals - text) : g_strdup(text);
	const struct option_def *opt = option_by_name(a->cmd, name);

	if (!opt)
		return unknown_option(a->cmd, name, error);
	if (opt->kind == OPT_FLAG && equals)
		return usage_error(error, "%s: --%s takes no value", a->cmd->name, name);
	if (opt->kind == OPT_FLAG)
		return args_add(a, opt, NULL, error);
	if (equals)
		return args_add(a, opt, word_new(equals + 1), error);
	return parse_next_value(a, opt, words, i, error);
}

/* "-q", "-qp", "-f value", "-fvalue" */
static bool parse_letters(struct command_args *a, const GPtrArray *words, unsigned *i,
			  GError **error)
{
	for (const char *p = words_text(words, *i) + 1; *p; p++) {
		const struct option_def *opt = option_by_letter(a->cmd, *p);

		if (!opt)
			return usage_error(error,
					   "%s: unknown option -%c: help %s lists its options",
					   a->cmd->name, *p, a->cmd->name);
		if (opt->kind != OPT_FLAG && p[1])
			return args_add(a, opt, word_new(p + 1), error);
		if (opt->kind != OPT_FLAG)
			return parse_next_value(a, opt, words, i, error);
		if (!args_add(a, opt, NULL, error))
			return false;
	}
	return true;
}

static unsigned positions_behind(const struct command *cmd, unsigned i)
{
	const struct option_def *opt;
	unsigned n = 0;

	while ((opt = command_option(cmd, ++i)))
		n += (opt->flags & OPT_POSITION) && (opt->flags & OPT_REQUIRED);
	return n;
}

static bool is_chosen_by_where(const struct command_args *a, const struct option_def *opt)
{
	return (opt->flags & OPT_OR_WHERE) && args_given(a, "where");
}

/*
 * Plain words fill the positions in order.  One that takes many leaves as many
 * as those behind it need, as in "setmem web-1 web-2 512M".
 */
static bool place_words(struct command_args *a, const GPtrArray *plain, GError **error)
{
	const struct option_def *opt;
	unsigned at = 0;

	for (unsigned i = 0; (opt = command_option(a->cmd, i)) && at < plain->len; i++) {
		unsigned keep = positions_behind(a->cmd, i);

		if (!(opt->flags & OPT_POSITION) || args_given(a, opt->name))
			continue;
		if (is_chosen_by_where(a, opt) && at + keep >= plain->len)
			continue;
		do {
			if (!args_add(a, opt, word_copy(plain->pdata[at++]), error))
				return false;
		} while ((opt->flags & OPT_MANY) && at + keep < plain->len);
	}
	if (at < plain->len)
		return usage_error(error, "%s: '%s' is one word too many: help %s shows the usage",
				   a->cmd->name, words_text(plain, at), a->cmd->name);
	return true;
}

static bool check_required(const struct command_args *a, GError **error)
{
	const struct option_def *opt;

	if (args_given(a, "help"))
		return true;
	for (unsigned i = 0; (opt = command_option(a->cmd, i)); i++) {
		if (!(opt->flags & OPT_REQUIRED) || args_given(a, opt->name) ||
		    is_chosen_by_where(a, opt))
			continue;
		g_autofree char *synopsis = command_synopsis(a->cmd);

		return usage_error(error, "%s: %s is missing: %s", a->cmd->name,
				   opt->value ? opt->value : opt->name, synopsis);
	}
	return true;
}

static bool is_number(const char *text)
{
	return text[0] == '-' && g_ascii_isdigit(text[1]);
}

static bool parse_words(struct command_args *a, const GPtrArray *words, unsigned first,
			GError **error)
{
	g_autoptr(GPtrArray) plain = g_ptr_array_new();
	bool options = true, ok = true;

	for (unsigned i = first; ok && i < words->len; i++) {
		const char *text = words_text(words, i);

		if (options && g_str_equal(text, "--"))
			options = false;
		else if (options && g_str_has_prefix(text, "--"))
			ok = parse_long(a, words, &i, error);
		else if (options && text[0] == '-' && text[1] && !is_number(text))
			ok = parse_letters(a, words, &i, error);
		else
			g_ptr_array_add(plain, words->pdata[i]);
		options = options && !(plain->len > 0 && (a->cmd->flags & COMMAND_REST));
	}
	return ok && place_words(a, plain, error) && check_required(a, error);
}

struct command_args *args_parse(const struct command *cmd, const GPtrArray *words, unsigned first,
			GError **error)
{
	g_autoptr(command_args) a = args_new(cmd);

	return parse_words(a, words, first, error) ? g_steal_pointer(&a) : NULL;
}

const GPtrArray *args_words(const struct command_args *a, const char *name)
{
	const GPtrArray *list = g_hash_table_lookup(a->values, name);

	g_assert(option_by_name(a->cmd, name));
	return list ? list : a->none;
}

bool args_given(const struct command_args *a, const char *name)
{
	return args_words(a, name) != a->none;
}

const char *args_text(const struct command_args *a, const char *name)
{
	const GPtrArray *list = args_words(a, name);

	return list->len > 0 ? words_text(list, list->len - 1) : NULL;
}

uint64_t args_number(const struct command_args *a, const char *name, uint64_t otherwise)
{
	const char *text = args_text(a, name);
	uint64_t n = otherwise;

	if (text)
		g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &n, NULL);
	return n;
}

uint64_t args_size(const struct command_args *a, const char *name, uint64_t unit,
		   uint64_t otherwise)
{
	const char *text = args_text(a, name);
	uint64_t n = otherwise;

	if (text && !size_parse(text, unit, &n))
		return G_MAXUINT64;	/* it parsed with a unit of 1, so it is merely too large */
	return n;
}

uint64_t args_ms(const struct command_args *a, const char *name, uint64_t otherwise)
{
	const char *text = args_text(a, name);
	uint64_t n = otherwise;

	if (text)
		duration_parse(text, &n);
	return n;
}

unsigned args_bits(const struct command_args *args, const struct option_bit *flags)
{
	unsigned bits = 0;

	for (; flags->option; flags++)
		bits |= args_given(args, flags->option) ? flags->bit : 0;
	return bits;
}

enum output_format args_output(const struct command_args *a)
{
	static const char *const names[] = {
		[OUTPUT_TABLE] = "table",
		[OUTPUT_JSON] = "json",
		[OUTPUT_XML] = "xml",
		[OUTPUT_CSV] = "csv",
	};
	const char *text = a->cmd->flags & COMMAND_JSON ? args_text(a, "output") : NULL;

	for (unsigned i = 0; text && i < ARRAY_SIZE(names); i++) {
		if (g_str_equal(text, names[i]))
			return i;
	}
	return !text && (a->cmd->flags & COMMAND_JSON) && args_given(a, "json") ? OUTPUT_JSON :
										   OUTPUT_TABLE;
}

bool args_json(const struct command_args *a)
{
	return args_output(a) != OUTPUT_TABLE;
}

const struct command *args_command(const struct command_args *a)
{
	return a->cmd;
}
