/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The state of a session with the user: connection, output, interrupts. */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stdio.h>

#include "libvmm/vmm.h"
#include "vmsh/command.h"
#include "vmsh/table.h"

/* What the process's exit status says. */
enum { STATUS_OK = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

struct shell {
	char *uri;			/* NULL: the library's default */
	unsigned connect_flags;
	vmm_connect *conn;		/* opened by the first command that needs it */
	int interrupt_fd;		/* eventfd: readable once ^C was typed */
	bool interactive;		/* a person types the lines */
	bool one_shot;			/* nothing follows this command */
	bool stop_on_error;		/* -e */
	bool quiet;
	bool proxy;			/* --proxy: no commands at all */
	bool member;			/* --member: tables go to another vmsh, see hosts.h */
	bool quit;
	int status;			/* of the last command */
	struct screen out, err;		/* what stdout and stderr can do */
	struct complete_cache *completions;
	struct rc *rc;			/* vmshrc: aliases, names of daemons */
};

/* Catches SIGINT for the life of the process. */
void shell_init(struct shell *sh);
void shell_done(struct shell *sh);

/* The connection, opened if there is none or the old one is dead. */
vmm_connect *shell_connect(struct shell *sh, GError **error);
void shell_disconnect(struct shell *sh);

bool shell_interrupted(const struct shell *sh);
/* Waits ms; false at once when ^C is typed. */
bool shell_sleep(const struct shell *sh, unsigned ms);

/* Forgets a ^C that nobody waits for any more. */
void shell_interrupt_clear(struct shell *sh);
/* After the standard output, or its terminal, has become another. */
void shell_screen_update(struct shell *sh);

/* "error: ..." on stderr. */
void shell_print_error(const struct shell *sh, const GError *error);
/* A success that a person wants to see and a script does not mind. */
void shell_say(const struct shell *sh, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The table as columns, lines, or JSON if --json was given. */
void shell_print_table(const struct shell *sh, const struct command_args *args,
		       const struct table *t);
void shell_print_record(const struct shell *sh, const struct command_args *args,
			const struct table *t);
/* A single text: itself and a newline, or {"key": "text"}. */
void shell_print_text(const struct shell *sh, const struct command_args *args, const char *key,
		      const char *text);
