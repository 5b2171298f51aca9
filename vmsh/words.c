/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line of the shell cut into commands and words. */
#include "config.h"
#include "vmsh/words.h"

#include <string.h>

#include "vmsh/usage.h"

struct word *word_new(const char *text)
{
	struct word *w = g_new0(struct word, 1);

	w->text = g_strdup(text);
	w->pattern = g_strdup(text);
	return w;
}

struct word *word_copy(const struct word *w)
{
	struct word *copy = g_new0(struct word, 1);

	copy->text = g_strdup(w->text);
	copy->pattern = g_strdup(w->pattern);
	copy->op = w->op;
	return copy;
}

void word_free(struct word *w)
{
	if (!w)
		return;
	g_free(w->text);
	g_free(w->pattern);
	g_free(w);
}

bool pattern_is_glob(const char *pattern)
{
	for (const char *p = pattern; *p; p++) {
		if (*p == '\\' && p[1])
			p++;
		else if (strchr("*?[", *p))
			return true;
	}
	return false;
}

/* The word being read: nothing, or two strings that grow together. */
struct lexer {
	GPtrArray *commands;
	GPtrArray *words;
	GString *text;
	GString *pattern;
	enum word_op op;	/* of the next word */
	bool dangling;		/* a command ended where that word was expected */
	char quote;		/* open quote, or 0 */
};

static GPtrArray *words_new(void)
{
	return g_ptr_array_new_with_free_func((GDestroyNotify)word_free);
}

static void lexer_begin_command(struct lexer *lx)
{
	lx->words = words_new();
	g_ptr_array_add(lx->commands, lx->words);
}

static void lexer_begin_word(struct lexer *lx)
{
	if (lx->text)
		return;
	lx->text = g_string_new(NULL);
	lx->pattern = g_string_new(NULL);
}

static void lexer_put(struct lexer *lx, char c, bool quoted)
{
	lexer_begin_word(lx);
	g_string_append_c(lx->text, c);
	if (c == '\\' || (quoted && strchr("*?[]", c)))
		g_string_append_c(lx->pattern, '\\');
	g_string_append_c(lx->pattern, c);
}

static void lexer_end_word(struct lexer *lx)
{
	struct word *w;

	if (!lx->text)
		return;
	w = g_new0(struct word, 1);
	w->text = g_string_free(lx->text, FALSE);
	w->pattern = g_string_free(lx->pattern, FALSE);
	lx->text = lx->pattern = NULL;
	w->op = lx->op;
	lx->op = WORD_PLAIN;
	g_ptr_array_add(lx->words, w);
}

static void lexer_end_command(struct lexer *lx)
{
	lexer_end_word(lx);
	lx->dangling |= lx->op != WORD_PLAIN;
	lx->op = WORD_PLAIN;
	if (lx->words->len > 0)
		lexer_begin_command(lx);
}

/* One character inside quotes; returns how many were eaten. */
static unsigned lexer_quoted(struct lexer *lx, const char *p)
{
	if (*p == lx->quote) {
		lx->quote = 0;
		return 1;
	}
	if (lx->quote == '"' && *p == '\\' && p[1] && strchr("\\\"", p[1])) {
		lexer_put(lx, p[1], true);
		return 2;
	}
	lexer_put(lx, *p, true);
	return 1;
}

/* The rest of the line is a shell's; returns how much that is. */
static unsigned lexer_foreign(struct lexer *lx, const char *p, enum word_op op)
{
	size_t n = strcspn(p, "\n");
	g_autofree char *rest = g_strndup(p + 1, n - 1);

	lexer_end_word(lx);
	lexer_begin_word(lx);
	lx->op = op;
	g_string_assign(lx->text, g_strstrip(rest));
	return n;	/* where the newline ends the command */
}

/* ">" or ">>" */
static unsigned lexer_redirect(struct lexer *lx, const char *p)
{
	lexer_end_word(lx);
	lx->op = p[1] == '>' ? WORD_APPEND : WORD_FILE;
	return p[1] == '>' ? 2 : 1;
}

static unsigned lexer_bare(struct lexer *lx, const char *p)
{
	if (*p == '\'' || *p == '"') {
		lx->quote = *p;
		lexer_begin_word(lx);
	} else if (*p == '\\' && p[1]) {
		lexer_put(lx, p[1], true);
		return 2;
	} else if (*p == ';' || *p == '\n') {
		lexer_end_command(lx);
	} else if (*p == '#' && !lx->text) {
		return strcspn(p, "\n");
	} else if (*p == '|') {
		return lexer_foreign(lx, p, WORD_PIPE);
	} else if (*p == '!' && !lx->text && lx->words->len == 0) {
		return lexer_foreign(lx, p, WORD_SHELL);
	} else if (*p == '>') {
		return lexer_redirect(lx, p);
	} else if (g_ascii_isspace(*p)) {
		lexer_end_word(lx);
	} else {
		lexer_put(lx, *p, false);
	}
	return 1;
}

static void lexer_run(struct lexer *lx, const char *line)
{
	lx->commands = g_ptr_array_new_with_free_func((GDestroyNotify)g_ptr_array_unref);
	lexer_begin_command(lx);
	while (*line)
		line += lx->quote ? lexer_quoted(lx, line) : lexer_bare(lx, line);
}

GPtrArray *words_split(const char *line, GError **error)
{
	struct lexer lx = { 0 };

	lexer_run(&lx, line);
	lexer_end_command(&lx);
	g_ptr_array_set_size(lx.commands, lx.commands->len - 1);
	if (!lx.quote && !lx.dangling)
		return lx.commands;
	g_ptr_array_unref(lx.commands);
	if (lx.quote)
		usage_error(error, "the quote %c is never closed", lx.quote);
	else
		usage_error(error, "a > needs the name of a file after it");
	return NULL;
}

GPtrArray *words_split_partial(const char *line, char *ret_quote)
{
	struct lexer lx = { 0 };
	GPtrArray *last;

	lexer_run(&lx, line);
	lexer_begin_word(&lx);
	lexer_end_word(&lx);
	last = g_ptr_array_ref(lx.words);
	g_ptr_array_unref(lx.commands);
	*ret_quote = lx.quote;
	return last;
}

GPtrArray *words_from_argv(int argc, char *const *argv)
{
	GPtrArray *words = words_new();

	for (int i = 0; i < argc; i++)
		g_ptr_array_add(words, word_new(argv[i]));
	return words;
}

const char *words_text(const GPtrArray *words, unsigned i)
{
	return i < words->len ? ((struct word *)words->pdata[i])->text : NULL;
}

char *word_quote(const char *text)
{
	GString *s;

	if (*text && !strpbrk(text, " \t\n\v\f\r;#'\"\\*?[]|>!"))
		return g_strdup(text);
	s = g_string_new("\"");
	for (; *text; text++) {
		if (strchr("\\\"", *text))
			g_string_append_c(s, '\\');
		g_string_append_c(s, *text);
	}
	g_string_append_c(s, '"');
	return g_string_free(s, FALSE);
}
