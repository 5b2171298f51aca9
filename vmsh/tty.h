/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal while a guest has it: every key goes there. */
#pragma once

#include <stdbool.h>

void tty_raw(void);	/* does nothing when the standard input is no terminal */
void tty_cooked(void);
bool tty_is_raw(void);
