/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* "--proxy": the far end of vmm+ssh://. */
#pragma once

#include "vmsh/shell.h"

/* Bytes between the daemon's socket and our standard input and output, until either ends. */
bool proxy_run(struct shell *sh, GError **error);
