/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A terminal between a browser and a guest.
 *
 * Each has a thread and a connection of its own, because what a guest says
 * must be able to wait: a browser acknowledges what it has drawn, and while a
 * window's worth is not, the thread stands still, and through the connection
 * the guest's side feels it.  In the other direction the browser is told how
 * much of what was typed has left, and ends if it does not wait for that.
 * So neither side makes us keep more than its window.
 */
#pragma once

#include <libsoup/soup.h>

#include "vmsh/shell.h"

#define TERM_WINDOW (256u << 10)	/* bytes of output that the browser has not drawn */
#define TERM_INPUT_MAX (128u << 10)	/* bytes of input that have not left */

enum term_kind { TERM_CONSOLE, TERM_SHELL };
enum term_mode { TERM_WRITE, TERM_TAKE_OVER, TERM_WATCH };

struct term_opts {
	enum term_kind kind;
	enum term_mode mode;		/* of a console */
	const char *uri;		/* NULL: the library's default */
	unsigned connect_flags;
	const char *uuid;
	unsigned columns, rows;		/* of a shell, to begin with */
};

struct term;

/* Lives until its socket is closed and its thread has ended; then gone runs, on the main loop. */
struct term *term_new(SoupWebsocketConnection *socket, const struct term_opts *opts,
		      void (*gone)(struct term *t, void *opaque), void *opaque);
/* Begins the end: closes the socket with that text. */
void term_end(struct term *t, const char *why);
