/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "list": all domains, as a table. */
#pragma once

#include "vmsh/command.h"
#include "vmsh/table.h"

extern const struct option_def options_list[];

bool cmd_list(struct shell *sh, struct command_args *args, GError **error);

/* Green for what runs. */
enum colour state_colour(int state);
