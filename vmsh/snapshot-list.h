/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain's snapshots as a list or as a tree. */
#pragma once

#include "vmsh/shell.h"

/* names of snapshots, each looked at by a call of its own. */
bool snapshot_list_print(struct shell *sh, struct command_args *args, vmm_domain *dom, char **names,
			 GError **error);
/* Lines and branches; what has a parent that is not among names is a root. */
bool snapshot_tree_print(struct shell *sh, vmm_domain *dom, char **names, GError **error);
/* "2026-11-21 10:35:00 +0000" */
char *snapshot_time(int64_t seconds);
