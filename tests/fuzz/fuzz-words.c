/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any line: what the shell cuts it into, and that a word which it quotes is that word again. */
#include "config.h"

#include "tests/fuzz/fuzz.h"
#include "vmsh/words.h"

static void split(const char *line)
{
	g_autoptr(GPtrArray) commands = words_split(line, NULL);
	char quote;
	g_autoptr(GPtrArray) partial = words_split_partial(line, &quote);

	for (unsigned i = 0; commands && i < commands->len; i++) {
		const GPtrArray *words = commands->pdata[i];

		for (unsigned j = 0; j < words->len; j++)
			pattern_is_glob(((const struct word *)words->pdata[j])->pattern);
	}
	if (!partial || partial->len == 0)
		g_error("no word is being written in a line");
}

static void quote_again(const char *text)
{
	g_autofree char *quoted = word_quote(text);
	g_autoptr(GPtrArray) commands = words_split(quoted, NULL);
	const GPtrArray *words = commands && commands->len == 1 ? commands->pdata[0] : NULL;

	if (!words || words->len != 1 || g_strcmp0(words_text(words, 0), text) != 0)
		g_error("%s is not one word", quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	g_autofree char *line = g_strndup((const char *)data, size);

	fuzz_quiet();
	split(line);
	quote_again(line);
	return 0;
}
