/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The whole terminal for one command: another screen, keys one by one, and its size. */
#pragma once

#include <stdbool.h>

#include "vmsh/shell.h"

enum key {
	KEY_NONE = 0,		/* the time is over */
	KEY_RESIZE = 256,	/* the terminal has another size */
	KEY_INTERRUPT,		/* ^C, or the terminal is gone */
	KEY_UP, KEY_DOWN, KEY_LEFT, KEY_RIGHT, KEY_PAGE_UP, KEY_PAGE_DOWN, KEY_HOME, KEY_END,
};

/* False: standard input and output are no terminal. */
bool fullscreen_begin(struct shell *sh);
void fullscreen_end(void);

void fullscreen_size(unsigned *ret_rows, unsigned *ret_columns);
/* A character, or enum key. */
int fullscreen_key(const struct shell *sh, unsigned timeout_ms);
/* Lines from the first row on; the rest of the screen is cleared.  What does not fit is cut. */
void fullscreen_show(const char *text);
