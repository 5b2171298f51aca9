/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "list --tree": domains with what they have below them. */
#pragma once

#include "vmsh/shell.h"

/* all: of struct vmm_domain_stats. */
void list_tree_print(struct shell *sh, const GPtrArray *all);
