/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What commands that run something in a guest share. */
#pragma once

#define STATUS_MACHINE_OFF 254 /* of a command whose machine went off while it ran */

#include <json-c/json.h>

#include "vmsh/agent.h"

/* The agent of option "domain", within option "timeout". */
struct agent *exec_agent(struct shell *sh, const struct command_args *args, GError **error);
/* Of OPTIONS_USER: is it well formed? */
bool exec_check(const struct command_args *args, GError **error);
/* A "spawn" of OPTIONS_USER and option "command". */
struct json_object *exec_request(const struct command_args *args, bool sandbox);
/*
 * That by OPTIONS_STREAMS; without a command the user's shell in a terminal.  Its end is ours:
 * sh->status.
 */
bool exec_command(struct shell *sh, struct agent *a, const struct command_args *args, bool sandbox,
		  GError **error);
