/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where vmmd's own messages go. */
#pragma once

#include "vmmd/daemon.h"

/* The daemon must last as long as the process; its logbook may come later. */
void log_writer_set(struct daemon *daemon);
/* From now on nobody looks at stderr: what comes there all the same goes into a file. */
void log_writer_background(struct daemon *daemon);
