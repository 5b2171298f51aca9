/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The journals of consoles (libvmm/util/conlog.h): LOG_DIR/UUID.console, made
 * here, written by the worker, which keeps its descriptor whoever vmmd is, and
 * sent to clients as it is: who wants to read it unpacks it himself.
 */
#pragma once

#include "vmmd/domain.h"
#include "vmmd/server.h"

#define CONSOLE_LOG_MIB 16		/* unless --console-log says something else */

/* For reading and writing; -1 when none is kept, which has been logged if it is an error. */
int console_log_open(const struct domain *dom);
void console_log_remove(const struct domain *dom);
/* Of one that nobody knows any more: its worker ended while no vmmd was there. */
void console_log_remove_stray(const struct daemon *daemon, const char *uuid_text);
/* Answers the call, and opens a stream that gives the file's bytes; none if there is no file. */
void console_log_send(struct call *call, const struct domain *dom);
