/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "run": one machine on the terminal, for people who want no XML. */
#pragma once

#include "vmsh/command.h"

extern const struct option_def options_run[];

bool cmd_run(struct shell *sh, struct command_args *args, GError **error);

/* The domain XML of those arguments. */
char *run_xml(const struct command_args *args, GError **error);
