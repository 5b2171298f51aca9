/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* exec --all: a command inside many guests at once. */
#pragma once

#include "vmsh/shell.h"

/* sh->status is the worst end. */
bool exec_many(struct shell *sh, const struct command_args *args, GError **error);
