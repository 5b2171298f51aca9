/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "run" with a command: a machine for that, which is gone afterwards. */
#pragma once

#include "vmsh/command.h"

/* Do the arguments of run ask for one? */
bool run_is_once(const struct command_args *args);
bool run_once(struct shell *sh, const struct command_args *args, GError **error);
