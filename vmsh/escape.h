/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is typed to leave a console: a control key ("^]"), or after Enter a
 * character and a dot ("~."); the character twice is itself.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

#define ESCAPE_DEFAULT "^] ~."
#define ESCAPE_KEYS_MAX 8

struct escape {
	unsigned n_keys;
	char keys[ESCAPE_KEYS_MAX];
	char tilde;		/* 0: none */
	bool line_begins, held;	/* Enter was typed; and then the tilde, which waits */
};

/* "^] ~.", "^A", "none". */
bool escape_parse(const char *text, struct escape *ret, GError **error);
/* As people write it: "Ctrl-] or Enter ~ ." */
char *escape_text(const struct escape *e);
/*
 * out (2 * len bytes) gets what is for the guest, *ret_len of it; true when the
 * rest was typed behind an escape.
 */
bool escape_filter(struct escape *e, const char *keys, size_t len, char *out, size_t *ret_len);
