/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "watch": a command's output, again and again. */
#pragma once

#include "vmsh/command.h"

extern const struct option_def options_watch[];

bool cmd_watch(struct shell *sh, struct command_args *args, GError **error);
