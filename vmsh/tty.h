/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The terminal while a guest has it: every key goes there. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

void tty_raw(void);	/* does nothing when the standard input is no terminal */
void tty_cooked(void);
bool tty_is_raw(void);
/* All of it, however slow who reads, also where the descriptor does not block; false: errno. */
bool tty_write(int fd, const void *data, size_t bytes);
