/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is typed to leave a console. */
#include "config.h"
#include "vmsh/escape.h"

#include <string.h>

#include "vmsh/usage.h"

static bool word_parse(const char *word, struct escape *e)
{
	char key = word[0] == '^' && word[1] && !word[2] ? g_ascii_toupper(word[1]) : 0;

	if (key >= '@' && key <= '_' && e->n_keys < ESCAPE_KEYS_MAX) {
		e->keys[e->n_keys++] = key & 0x1f;
		return true;
	}
	if (!g_ascii_ispunct(word[0]) || word[1] != '.' || word[2] || e->tilde)
		return false;
	e->tilde = word[0];
	return true;
}

bool escape_parse(const char *text, struct escape *ret, GError **error)
{
	g_auto(GStrv) words = g_strsplit_set(text, " ,", -1);
	struct escape e = { .line_begins = true };

	for (unsigned i = 0; words[i]; i++) {
		if (*words[i] && strcmp(words[i], "none") != 0 && !word_parse(words[i], &e))
			return usage_error(error, "'%s' is no way to leave a console: write ^] for "
					   "Ctrl-], ~. for Enter and ~., or none", words[i]);
	}
	*ret = e;
	return true;
}

char *escape_text(const struct escape *e)
{
	GString *s = g_string_new(NULL);

	for (unsigned i = 0; i < e->n_keys; i++)
		g_string_append_printf(s, "%sCtrl-%c", i ? " or " : "", e->keys[i] | 0x40);
	if (e->tilde)
		g_string_append_printf(s, "%sEnter %c .", e->n_keys ? " or " : "", e->tilde);
	return g_string_free(s, FALSE);
}

bool escape_filter(struct escape *e, const char *keys, size_t len, char *out, size_t *ret_len)
{
	size_t n = 0;
	bool left = false;

	for (size_t i = 0; i < len && !left; i++) {
		bool held = e->held;

		e->held = false;
		if (memchr(e->keys, keys[i], e->n_keys) || (held && keys[i] == '.')) {
			left = true;
		} else if (!held && e->tilde && keys[i] == e->tilde && e->line_begins) {
			e->held = true;
		} else {
			if (held && keys[i] != e->tilde)
				out[n++] = e->tilde;
			out[n++] = keys[i];
			e->line_begins = keys[i] == '\r' || keys[i] == '\n';
		}
	}
	*ret_len = n;
	return left;
}
