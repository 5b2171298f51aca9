/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes the output of a machine's consoles to their journal (util/conlog.h).
 *
 * Who puts never waits for the disk: bytes go into memory, a thread of the
 * recorder's own takes them from there.  When that does not keep up, bytes are
 * dropped, and the journal shows how many.  When the journal can't be written
 * (the disk is full), that is said once, and it ends; the machine goes on.
 */
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvmm/util/conlog.h"

struct recorder;

/* fd: of the journal, taken also on failure; bytes: its bound. */
struct recorder *recorder_new(int fd, uint64_t bytes, GError **error);
/* What was put is in the file when it returns.  After the hubs that know it. */
void recorder_free(struct recorder *r);
uint64_t recorder_run(const struct recorder *r);	/* conlog_entry.run */

/* A device's number; before the first boot. */
unsigned recorder_add(struct recorder *r, const char *name);
/* What is put from here on is of a new boot.  The owner's thread. */
void recorder_boot(struct recorder *r, enum conlog_cause cause);
/* pos: bytes that the device has put before.  Any thread. */
void recorder_put(struct recorder *r, unsigned device, uint64_t pos, const uint8_t *data,
		  size_t len);
