/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What term.c, the browser's side, and its two kinds of guest's side share. */
#pragma once

#include "libvmm/util/error.h"
#include "vmsh/web/term.h"

struct term_side;

struct term {
	/* Set once, before the thread begins. */
	struct term_opts opts;
	char *uri, *uuid;
	int stop_fd;			/* eventfd: readable once the thread shall end */
	GThread *thread;

	/* The main loop's. */
	SoupWebsocketConnection *socket;	/* NULL: closed */
	bool over;			/* the thread is */
	void (*gone)(struct term *t, void *opaque);
	void *opaque;

	GMutex lock;			/* protects what follows */
	GCond room;			/* less is unseen, or it is closing */
	size_t unseen;			/* bytes that were sent and not acknowledged */
	bool closing;
	GByteArray *input;		/* typed, not yet taken by the guest's side */
	size_t waiting;			/* bytes that were typed and have not left */
	bool resized;
	unsigned columns, rows;
	/* The guest's side, while it has one: woken when input, size or closing has changed. */
	GMainContext *context;
	void (*wake)(void *arg);
	void *wake_arg;
};

/* ---- for the guest's side, on the thread ---- */

/* False: the browser is gone.  Waits while it has not seen what was sent before. */
bool term_output(struct term *t, const void *data, size_t bytes);
/* It has begun; mode: "write" or "watch"; why: what the reader should know, or NULL. */
void term_opened(struct term *t, const char *mode, const char *why);
/* From here on fn(arg) is run on context after each change; NULL ends that. */
void term_wake_by(struct term *t, GMainContext *context, void (*fn)(void *arg), void *arg);
/* At most max bytes of what was typed: how many.  They wait until term_left() says otherwise. */
size_t term_input(struct term *t, void *ret, size_t max);
void term_left(struct term *t, size_t bytes);
/* The window's size, if it has changed since. */
bool term_resized(struct term *t, unsigned *ret_columns, unsigned *ret_rows);
bool term_closing(struct term *t);

/* What runs on the thread.  NULL *error: the guest has ended it, *ret_code is a shell's status. */
void term_console_run(struct term *t, vmm_domain *dom, GError **error);
void term_shell_run(struct term *t, vmm_domain *dom, int *ret_code, GError **error);
