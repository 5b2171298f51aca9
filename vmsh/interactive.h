/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The readline loop. */
#pragma once

#include "vmsh/shell.h"

/* Reads and runs lines until quit or ^D. */
void interactive_run(struct shell *sh);
