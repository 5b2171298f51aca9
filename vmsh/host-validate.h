/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "host-validate": can this host run virtual machines, and if not, what to do. */
#pragma once

#include "vmsh/command.h"

bool cmd_host_validate(struct shell *sh, struct command_args *args, GError **error);
