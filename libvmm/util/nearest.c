/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was meant by a word with typing slips. */
#include "config.h"
#include "libvmm/util/nearest.h"

#include <glib.h>
#include <string.h>

#define WORD_MAX 32

/* Typing slips between two words: a letter missing, extra, wrong, or two swapped. */
static unsigned slips(const char *a, const char *b)
{
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];
	size_t na = strlen(a), nb = strlen(b);

	if (na > WORD_MAX || nb > WORD_MAX)
		return G_MAXUINT;
	for (size_t i = 0; i <= na; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= nb; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= na; i++) {
		for (size_t j = 1; j <= nb; j++) {
			unsigned change = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
			unsigned best = MIN(change, MIN(d[i - 1][j], d[i][j - 1]) + 1);

			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				best = MIN(best, d[i - 2][j - 2] + 1);
			d[i][j] = best;
		}
	}
	return d[na][nb];
}

const char *nearest(const char *word, const char *(*names)(const void *arg, unsigned i),
		    const void *arg)
{
	const char *best = NULL, *name;
	unsigned best_slips = MIN(2, strlen(word) / 3) + 1;

	for (unsigned i = 0; (name = names(arg, i)); i++) {
		unsigned n = g_ascii_strcasecmp(word, name) ? slips(word, name) : 0;

		if (n < best_slips) {
			best_slips = n;
			best = name;
		}
	}
	for (unsigned i = 0; !best && strlen(word) >= 2 && (name = names(arg, i)); i++) {
		if (g_str_has_prefix(name, word))
			best = name;
	}
	return best;
}
