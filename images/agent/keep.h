/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What outlives the child that made it: open files, running commands, frozen
 * file systems.  A child inherits what is kept, and tells by a message what is
 * to be kept or dropped.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define KEPT_MAX 64

struct agent;

enum kept_kind { KEPT_FILE = 1, KEPT_COMMAND = 2 };

struct kept {
	int32_t kind, id;
	int fd;
};

/* Takes fd; one that finds no room is closed. */
void keep_add(struct agent *a, int32_t kind, int32_t id, int fd);
void keep_drop(struct agent *a, int32_t kind, int32_t id);
int keep_find(const struct agent *a, int32_t kind, int32_t id); /* -1: there is none */
/* In a child: closes all descriptors from `first` on but the kept ones. */
void keep_only(const struct agent *a, int first);

/* File systems are frozen: they are thawed in so many seconds at the latest.  0: thawed. */
void keep_frozen(struct agent *a, uint32_t seconds);
/* In the loop: is it time? */
void keep_watch(struct agent *a);
