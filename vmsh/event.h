/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "event", "net-event", "pool-event": what the daemon reports, as lines. */
#pragma once

#include "vmsh/command.h"

extern const struct option_def options_event[], options_net_event[], options_pool_event[];

bool cmd_event(struct shell *sh, struct command_args *args, GError **error);
bool cmd_net_event(struct shell *sh, struct command_args *args, GError **error);
bool cmd_pool_event(struct shell *sh, struct command_args *args, GError **error);
