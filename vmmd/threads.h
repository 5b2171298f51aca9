/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The threads of a worker, as the host sees them: a vCPU's is known by its name.
 * A worker that lies about names is itself pinned otherwise, and nobody else.
 */
#pragma once

#include <sys/types.h>

#include "libvmm/domain/domain.h"

#define THREADS_OTHER (-1)		/* those that are no vCPU */

/* cpuset: as in the definition; NULL: all CPUs. */
bool threads_pin(pid_t pid, int vcpu, const char *cpuset, GError **error);
/* All that a definition says of pins; only what it says. */
bool threads_pin_all(pid_t pid, const domain_def *def, GError **error);
/* The host CPU on which the vCPU ran last; -1: not known. */
int threads_last_cpu(pid_t pid, unsigned vcpu);
