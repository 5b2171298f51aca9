/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A vsock's two ways out of the jail: its listening socket, and the door. */
#pragma once

#include <glib.h>
#include <stdbool.h>

#include "libvmm/machine/machine.h"

/*
 * Makes vsock.sock in the working folder, which is the machine's run folder,
 * and starts the door as a process of its own.  Before the jail.
 */
bool vsock_door_start(const char *uuid_text, struct machine_vsock *ret, GError **error);

/* "vmm-worker --vsock-door UUID": the door itself; the process's exit status. */
int vsock_door_run(void);
