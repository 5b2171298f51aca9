/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Worker processes and their run folders, RUN_DIR/domains/UUID, and likewise
 * switches of networks in RUN_DIR/networks/UUID:
 *
 *	control.sock	listened on by vmmd for the worker, which inherits it
 *	status		"STATE CAUSE detail": a worker's last words, then vmmd's verdict
 *	said		a FIFO: its stderr (said.h)
 *	pid		written by vmmd; a pid counts only while that process's
 *			arguments still name the uuid, so a reused one does not
 *	handed		which files the worker was given (handed.h)
 *	autodestroy	is there when the domain was to end with its client
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <sys/types.h>

#include "vmmd/daemon.h"

#define SUPERVISOR_AUTODESTROY "autodestroy"

struct supervisor_end {			/* how a worker ended, as far as it could say */
	/* enum worker_cause; WORKER_CAUSE_NONE when it said nothing */
	int cause;
	char *detail;
};

enum supervised { SUPERVISED_DOMAIN, SUPERVISED_NETWORK };

/* uuid_text NULL: the folder that has them all. */
char *supervisor_folder(const struct daemon *daemon, enum supervised what, const char *uuid_text);
/* Makes the folder, starts a worker, connects to it.  The descriptors are the caller's. */
bool supervisor_spawn(const struct daemon *daemon, enum supervised what, const char *name,
		      const char *uuid_text, int *ret_fd, int *ret_pidfd, GError **error);
/* To a worker that another vmmd has started; *ret_fd is -1 when it does not take connections. */
bool supervisor_find(const struct daemon *daemon, enum supervised what, const char *uuid_text,
		     int *ret_fd, int *ret_pidfd);
/* To the socket of that name in a worker's folder; never waits.  -1 and *error: nobody listens. */
int supervisor_dial(const struct daemon *daemon, enum supervised what, const char *uuid_text,
		    const char *name, GError **error);
/* What a worker says on its stderr, for said_new(); -1: it can't be heard. */
int supervisor_hear(const struct daemon *daemon, enum supervised what, const char *uuid_text);
/* Of its worker; 0: there is none. */
pid_t supervisor_pid(const struct daemon *daemon, const char *uuid_text);
/* What its worker has of the host's memory, guest's memory and all; false: it can't be known. */
bool supervisor_rss(const struct daemon *daemon, const char *uuid_text, uint64_t *ret_kib);
/* The uuids that have a folder: NULL-terminated. */
char **supervisor_scan(const struct daemon *daemon, enum supervised what);
bool supervisor_mark(const struct daemon *daemon, const char *uuid_text, const char *mark);
bool supervisor_marked(const struct daemon *daemon, const char *uuid_text, const char *mark);
/* What a domain's worker has left; the detail is the caller's. */
void supervisor_last_words(const struct daemon *daemon, const char *uuid_text,
			   struct supervisor_end *ret);
/*
 * Puts other words in the place of those: how it ended by all that we know.  So the next vmmd
 * finds that, should this one die before it is stored and the folder is gone.
 */
void supervisor_conclude(const struct daemon *daemon, const char *uuid_text, int cause,
			 const char *detail);
/* Removes the folder of who has ended. */
void supervisor_bury(const struct daemon *daemon, enum supervised what, const char *uuid_text);
