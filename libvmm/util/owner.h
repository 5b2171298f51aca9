/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Owner threads.  An object belongs to the thread that iterates its
 * GMainContext; everybody else asks that thread to run a function.
 *
 * owner_call() waits for the function to have run.  Called by the owner
 * itself it runs at once.  The main loop's thread never owner_call()s a vCPU
 * and never waits for one, so a vCPU thread may wait for the main loop.
 */
#pragma once

#include <glib.h>

typedef void owner_fn(void *arg);

void owner_call(GMainContext *owner, owner_fn *fn, void *arg);
void owner_post(GMainContext *owner, owner_fn *fn, void *arg);

/* A thread that does nothing but iterate its own context, named for ps and gdb (15 characters). */
struct owner_thread;

struct owner_thread *owner_thread_new(const char *name);
GMainContext *owner_thread_context(struct owner_thread *t);
/* Ends the loop after what was posted before, joins the thread. */
void owner_thread_free(struct owner_thread *t);
