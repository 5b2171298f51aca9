/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A line of the shell cut into commands and words: quotes, ";", "#", "|", ">" and "!". */
#pragma once

#include <glib.h>
#include <stdbool.h>

/* What a word is, when it is none of the command's. */
enum word_op {
	WORD_PLAIN,
	WORD_FILE,		/* > text: where the output goes */
	WORD_APPEND,		/* >> text */
	WORD_PIPE,		/* | text: to the end of the line, sh(1)'s */
	WORD_SHELL,		/* ! text: the same, and the whole command */
};

/*
 * A word twice: as text, and as a glob(7) pattern in which everything that was
 * quoted is escaped, so that 'web-*' in quotes is the name with the star in it.
 */
struct word {
	char *text;
	char *pattern;
	enum word_op op;
};

/* A word that no quotes were written in: the program's own argv. */
struct word *word_new(const char *text);
struct word *word_copy(const struct word *w);
void word_free(struct word *w);
typedef struct word shell_word;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(shell_word, word_free)

/* Does the pattern have a "*", "?" or "[" that is not escaped? */
bool pattern_is_glob(const char *pattern);

/* An array of commands, each an array of struct word; frees all with g_ptr_array_unref(). */
GPtrArray *words_split(const char *line, GError **error);

/* argv as one command. */
GPtrArray *words_from_argv(int argc, char *const *argv);

/*
 * For completion: the words of the last command of a line that may end in the
 * middle of a word or of a quote.  The last word is the one being written,
 * perhaps empty.  *ret_quote is the quote that is open there, or 0.
 */
GPtrArray *words_split_partial(const char *line, char *ret_quote);

/* The i-th word's text; NULL behind the last. */
const char *words_text(const GPtrArray *words, unsigned i);

/* text, quoted for words_split() if it needs quotes. */
char *word_quote(const char *text);
