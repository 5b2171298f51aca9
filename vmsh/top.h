/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "top": the fleet on the whole screen, or as text for scripts. */
#pragma once

#include "vmsh/command.h"

extern const struct option_def options_top[];

bool cmd_top(struct shell *sh, struct command_args *args, GError **error);
