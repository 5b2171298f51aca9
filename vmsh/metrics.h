/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "metrics": the fleet's counters as OpenMetrics text. */
#pragma once

#include "vmsh/command.h"

bool cmd_metrics(struct shell *sh, struct command_args *args, GError **error);
